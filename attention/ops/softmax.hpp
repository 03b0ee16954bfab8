#pragma once

#include <attention/core/error.hpp>
#include <attention/core/execution.hpp>
#include <attention/core/export.hpp>
#include <attention/core/tensor.hpp>

namespace attention {

/// Computes the softmax over the last dimension: out[..., j] = exp(x[..., j]) / sum_k exp(x[...,
/// k]), the largest element taken out first, so that nothing overflows.
///
/// Shapes: x (..., S) of rank 1 or more -> out of the same shape. Any strides. S = 0 gives an empty
/// tensor. A row of -inf alone gives NaN, as the formula does: masks belong to sdpa, where a fully
/// masked row is 0.
///
/// Cost: three passes over x. The fused path serves float, and is quick where the elements of a row
/// lie side by side: each element has a relative error of at most 2e-7 (3 + d + ln S), d the
/// distance of its x from the row's largest, and may be 0 below 1e-37. The reference path computes
/// in double and rounds once.
///
/// Throws Error when x has rank 0, or the path asked for cannot serve.
///
/// See also: softmax_backward; sdpa; reference::softmax.
ATTENTION_API Tensor<float> softmax(TensorView<const float> x, const Execution& execution = {});
ATTENTION_API Tensor<double> softmax(TensorView<const double> x, const Execution& execution = {});
ATTENTION_API Tensor<float16> softmax(TensorView<const float16> x, const Execution& execution = {});
ATTENTION_API Tensor<bfloat16> softmax(TensorView<const bfloat16> x,
                                       const Execution& execution = {});

/// The same, written into the caller's view, which may be x itself: allocates nothing. Returns the
/// path taken.
///
/// Throws Error as softmax does, and when out has another shape, overlaps itself, or overlaps x
/// without being x.
ATTENTION_API Path softmax_into(TensorView<float> out, TensorView<const float> x,
                                const Execution& execution = {});
ATTENTION_API Path softmax_into(TensorView<double> out, TensorView<const double> x,
                                const Execution& execution = {});
ATTENTION_API Path softmax_into(TensorView<float16> out, TensorView<const float16> x,
                                const Execution& execution = {});
ATTENTION_API Path softmax_into(TensorView<bfloat16> out, TensorView<const bfloat16> x,
                                const Execution& execution = {});

/// Computes the gradient of x from that of out: d_x[..., j] = out[..., j] (d_out[..., j] - mean),
/// mean = sum_k out[..., k] d_out[..., k].
///
/// Shapes: d_out and out, as softmax returned it, (..., S) of rank 1 or more -> d_x of the same
/// shape. Any strides. S = 0 gives an empty tensor. A NaN in a row of out or d_out gives a row of
/// NaN.
///
/// Cost: two passes over d_out and out. The fused path serves float: each element is within 5e-7
/// out[..., j] (|d_out[..., j]| + sum_k |out[..., k] d_out[..., k]|) of the exact one. The
/// reference path computes in double and rounds once.
///
/// Throws Error when out has rank 0, d_out another shape, or the path asked for cannot serve.
///
/// See also: softmax; reference::softmax_backward.
ATTENTION_API Tensor<float> softmax_backward(TensorView<const float> d_out,
                                             TensorView<const float> out,
                                             const Execution& execution = {});
ATTENTION_API Tensor<double> softmax_backward(TensorView<const double> d_out,
                                              TensorView<const double> out,
                                              const Execution& execution = {});
ATTENTION_API Tensor<float16> softmax_backward(TensorView<const float16> d_out,
                                               TensorView<const float16> out,
                                               const Execution& execution = {});
ATTENTION_API Tensor<bfloat16> softmax_backward(TensorView<const bfloat16> d_out,
                                                TensorView<const bfloat16> out,
                                                const Execution& execution = {});

/// The same, written into the caller's view, which may be d_out itself: allocates nothing. Returns
/// the path taken.
///
/// Throws Error as softmax_backward does, and when d_x has another shape, overlaps itself or out,
/// or overlaps d_out without being d_out. Nothing has been written then.
ATTENTION_API Path softmax_backward_into(TensorView<float> d_x, TensorView<const float> d_out,
                                         TensorView<const float> out,
                                         const Execution& execution = {});
ATTENTION_API Path softmax_backward_into(TensorView<double> d_x, TensorView<const double> d_out,
                                         TensorView<const double> out,
                                         const Execution& execution = {});
ATTENTION_API Path softmax_backward_into(TensorView<float16> d_x, TensorView<const float16> d_out,
                                         TensorView<const float16> out,
                                         const Execution& execution = {});
ATTENTION_API Path softmax_backward_into(TensorView<bfloat16> d_x, TensorView<const bfloat16> d_out,
                                         TensorView<const bfloat16> out,
                                         const Execution& execution = {});

}  // namespace attention
