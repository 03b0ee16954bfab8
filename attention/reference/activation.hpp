#pragma once

#include <attention/core/activation.hpp>
#include <attention/core/export.hpp>
#include <attention/core/tensor_view.hpp>

namespace attention::reference {

/// The activation of one number, as core/activation.hpp defines it. NaN stays NaN.
ATTENTION_API double activated(Activation activation, double x) noexcept;

/// The derivative of the activation at x, with s(v) = 1 / (1 + exp(-v)):
///
///   none       1
///   relu       1 for x > 0, else 0
///   gelu       Phi(x) + x phi(x), phi(x) = exp(-x^2 / 2) / sqrt(2 pi)
///   gelu_tanh  s(v) + x v' s(v) s(-v), v = sqrt(8 / pi) (x + 0.044715 x^3)
///   silu       s(x) + x s(x) s(-x)
///
/// At -inf and inf it has its limits, 0 and 1 (none: 1). NaN stays NaN (none: 1).
ATTENTION_API double activation_slope(Activation activation, double x) noexcept;

/// out = f(x), f the activation, element by element. Computes in double and rounds once.
///
/// Views of one shape, of any rank; out may be x. Instantiated for float and double.
template <class T>
ATTENTION_API void activation(TensorView<T> out, TensorView<const T> x, Activation activation);

/// d_x = d_out f'(x), element by element. Computes in double and rounds once.
///
/// Views of one shape, of any rank; d_x may be d_out. Instantiated for float and double.
template <class T>
ATTENTION_API void activation_backward(TensorView<T> d_x, TensorView<const T> d_out,
                                       TensorView<const T> x, Activation activation);

}  // namespace attention::reference
