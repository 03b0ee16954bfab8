#pragma once

#include <attention/core/activation.hpp>
#include <attention/core/error.hpp>
#include <attention/core/execution.hpp>
#include <attention/core/export.hpp>
#include <attention/core/tensor.hpp>

namespace attention {

/// How activation computes, and what.
struct ActivationOptions {
  Activation activation = Activation::relu;
  Execution execution = {};
};

/// Applies an activation to each element: out = f(x), f as core/activation.hpp defines it.
///
/// Shapes: x of any shape, rank 0 too -> out of the same shape. Any strides. Empty is legal. NaN
/// gives NaN, infinity gives infinity. -inf gives 0 for relu, and NaN for gelu, gelu_tanh and silu,
/// whose formula is -inf times 0.
///
/// Cost: one pass over x. The fused path serves float, each element within 4e-7 |x| of the exact
/// one; the reference path computes in double and rounds once.
///
/// Throws Error when x is null, or the path asked for cannot serve.
///
/// See also: activation_backward; linear, which applies one to what it computes;
/// reference::activated.
ATTENTION_API Tensor<float> activation(TensorView<const float> x, const ActivationOptions& options);
ATTENTION_API Tensor<double> activation(TensorView<const double> x,
                                        const ActivationOptions& options);

/// The same, written into the caller's view, which may be x itself: allocates nothing. Returns the
/// path and the instruction set taken.
///
/// Throws Error as activation does, and when out has another shape, overlaps itself, or overlaps x
/// without being x. Nothing has been written then.
ATTENTION_API Taken activation_into(TensorView<float> out, TensorView<const float> x,
                                    const ActivationOptions& options);
ATTENTION_API Taken activation_into(TensorView<double> out, TensorView<const double> x,
                                    const ActivationOptions& options);

/// Computes the gradient of x from that of out: d_x = d_out f'(x). f' is written out at
/// reference::activation_slope.
///
/// Shapes: d_out and x of one shape, rank 0 too -> d_x of the same shape. Any strides. Empty is
/// legal. relu' is 0 at 0. At -inf and inf f' has its limits, 0 and 1 (none: 1), and nothing
/// overflows on the way there. NaN in x gives NaN (none: d_out). It is a product: NaN in d_out
/// gives NaN, and so does an infinity of d_out where f' is 0.
///
/// Cost: one pass over d_out and x. The fused path serves float, each element within 4e-7 |d_out|
/// of the exact one; the reference path computes in double and rounds once.
///
/// Throws Error when d_out or x is null, their shapes differ, or the path asked for cannot serve.
///
/// See also: activation; reference::activation_slope.
ATTENTION_API Tensor<float> activation_backward(TensorView<const float> d_out,
                                                TensorView<const float> x,
                                                const ActivationOptions& options);
ATTENTION_API Tensor<double> activation_backward(TensorView<const double> d_out,
                                                 TensorView<const double> x,
                                                 const ActivationOptions& options);

/// The same, written into the caller's view, which may be d_out itself: allocates nothing. Returns
/// the path and the instruction set taken.
///
/// Throws Error as activation_backward does, and when d_x has another shape, overlaps itself or x,
/// or overlaps d_out without being d_out. Nothing has been written then.
ATTENTION_API Taken activation_backward_into(TensorView<float> d_x, TensorView<const float> d_out,
                                             TensorView<const float> x,
                                             const ActivationOptions& options);
ATTENTION_API Taken activation_backward_into(TensorView<double> d_x, TensorView<const double> d_out,
                                             TensorView<const double> x,
                                             const ActivationOptions& options);

}  // namespace attention
