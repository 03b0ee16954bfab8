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

/// The gradient of x from that of out and from out: d_x[..., j] = out[..., j] (d_out[..., j] -
/// mean), mean = sum_k out[..., k] d_out[..., k]. Computes in double and rounds once.
///
/// Views of one shape, of rank 1 or more; d_x may be d_out. Instantiated for float, double, float16
/// and bfloat16.
template <class T>
ATTENTION_API void softmax_backward(TensorView<T> d_x, TensorView<const T> d_out,
                                    TensorView<const T> out);

}  // namespace attention::reference
