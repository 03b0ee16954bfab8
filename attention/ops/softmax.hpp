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
/// Cost: three passes over x. There is one path, the reference, which computes in double.
///
/// Throws Error when x has rank 0, or the path asked for does not exist.
///
/// See also: sdpa; reference::softmax.
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

}  // namespace attention
