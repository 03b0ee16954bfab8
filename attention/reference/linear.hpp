#pragma once

#include <attention/core/activation.hpp>
#include <attention/core/export.hpp>
#include <attention/core/linear_backward_problem.hpp>
#include <attention/core/tensor_view.hpp>

namespace attention::reference {

/// An affine map of rows: out[n][o] = f(sum_i x[n][i] weight[o][i] + bias[o]), f the activation.
/// Computes in double and rounds once.
///
/// Shapes: x (N, I), weight (O, I), bias (O) or null, out (N, O). Instantiated for float, double,
/// float16 and bfloat16.
template <class T>
ATTENTION_API void linear(TensorView<T> out, TensorView<const T> x, TensorView<const T> weight,
                          TensorView<const T> bias, Activation activation = Activation::none);

/// Its gradients, without the activation: with d_out the gradient of a number with respect to the
/// outputs of all rows n,
///
///   d_x[n][i]      = sum_o d_out[n][o] weight[o][i]
///   d_weight[o][i] = sum_n d_out[n][o] x[n][i]
///   d_bias[o]      = sum_n d_out[n][o]
///
/// Computes in double and rounds once; with `accumulate`, the sum of what the output holds and the
/// gradient. Rows are all dimensions but the last, of any strides. Instantiated for float and
/// double.
template <class T>
ATTENTION_API void linear_backward(const LinearBackwardProblem<T>& problem);

}  // namespace attention::reference
