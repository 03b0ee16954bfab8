#pragma once

#include <attention/core/export.hpp>
#include <attention/core/tensor_view.hpp>

namespace attention::reference {

/// Softmax over the last dimension: out[..., j] = exp(x[..., j]) / sum_k exp(x[..., k]), the
/// largest element taken out first. Computes in double and rounds once.
///
/// x and out have one shape, of rank 1 or more. A row of -inf alone gives NaN, as the formula does;
/// masks belong to sdpa. Instantiated for float, double, float16 and bfloat16.
template <class T>
ATTENTION_API void softmax(TensorView<T> out, TensorView<const T> x);

}  // namespace attention::reference
