#pragma once

#include <attention/core/cross_entropy_row.hpp>
#include <attention/kernels/isa_functions.hpp>

namespace attention::kernels {

/// The loss of a row, and its gradient, with the kernels of one instruction set: what
/// reference/cross_entropy.hpp defines. The bits depend on the logits alone, not on where they lie.
///
/// Read on with isa/cross_entropy.cpp.
CrossEntropyRowLoss cross_entropy_fused(const CrossEntropyRow<float>& row,
                                        const IsaFunctions& isa) noexcept;
void cross_entropy_backward_fused(const CrossEntropyRowGradient<float>& gradient,
                                  const IsaFunctions& isa) noexcept;

}  // namespace attention::kernels
