#pragma once

#include <cstdint>

#include <attention/core/counter_random.hpp>
#include <attention/core/export.hpp>
#include <attention/core/tensor_view.hpp>

namespace attention::reference {

/// Dropout of the elements [begin, end) of x, counted in row-major order: out = x / (1 -
/// probability) where the mask keeps an element, 0 where it does not, whatever x holds there.
/// Computes in double and rounds once.
///
/// x and out have one shape. The gradient is the same map of the gradient of out. Instantiated for
/// float and double.
template <class T>
ATTENTION_API void dropout(TensorView<T> out, TensorView<const T> x,
                           const random::DropoutMask& mask, std::int64_t begin, std::int64_t end);

}  // namespace attention::reference
