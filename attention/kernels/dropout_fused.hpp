#pragma once

#include <cstdint>

#include <attention/core/counter_random.hpp>
#include <attention/core/tensor_view.hpp>
#include <attention/kernels/isa_functions.hpp>

namespace attention::kernels {

/// A mask as the kernels receive it.
DropoutRule dropout_rule(const random::DropoutMask& mask) noexcept;

/// Dropout of the elements [begin, end) of x, counted in row-major order, by the kernels of one
/// instruction set.
///
/// Read on with isa/dropout.cpp.
void dropout_fused(const IsaFunctions& isa, const TensorView<float>& out,
                   const TensorView<const float>& x, const random::DropoutMask& mask,
                   std::int64_t begin, std::int64_t end);

}  // namespace attention::kernels
