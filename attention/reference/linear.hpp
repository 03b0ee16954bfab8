#pragma once

#include <attention/core/activation.hpp>
#include <attention/core/export.hpp>
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

}  // namespace attention::reference
