#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <attention/core/error.hpp>
#include <attention/core/execution.hpp>
#include <attention/core/export.hpp>
#include <attention/core/tensor.hpp>

/// The way back through ops/linear.hpp.
namespace attention {

/// How linear_backward computes.
struct LinearBackwardOptions {
  /// Which gradients linear_backward returns. (linear_backward_into writes those whose outputs name
  /// a place.)
  bool wants_x = true;
  bool wants_weight = true;
  bool wants_bias = true;
  /// linear_backward_into adds the gradients to what the outputs hold: for a parameter that is used
  /// several times.
  bool accumulate = false;
  Execution execution = {};
};

/// Gradients with respect to what gives them their names; null if not wanted.
template <class T>
struct LinearGradients {
  /// (..., I), (O, I), (O).
  Tensor<T> x;
  Tensor<T> weight;
  Tensor<T> bias;
  Taken taken = {};
};

/// Where linear_backward_into writes: views of any strides, null if not wanted.
template <class T>
struct LinearBackwardOutputs {
  TensorView<T> x = {};
  TensorView<T> weight = {};
  TensorView<T> bias = {};
};

/// Computes the gradients of linear without an activation: from d_out, the gradient of a number
/// with respect to the output, that of the same number with respect to the inputs.
///
///   d_x[..., i]    = sum_o d_out[..., o] weight[o, i]
///   d_weight[o, i] = sum_n d_out[n, o] x[n, i],  n all rows
///   d_bias[o]      = sum_n d_out[n, o]
///
/// Shapes: d_out (..., O), x (..., I) of rank 1 or more, weight (O, I) -> d_x (..., I), d_weight
/// (O, I), d_bias (O). Any strides. Empty dimensions are legal; a sum of nothing is 0.
///
/// Edge rules: a NaN in a row of d_out or of x reaches that row of d_x, and the outputs and inputs
/// of d_weight that it stands at. A row of d_x has the same bits whatever other rows there are, and
/// all gradients have for any number of threads: long sums are cut by their length alone.
///
/// Cost: 2 N I O operations for d_x of N rows, as many for d_weight. In float32 scratch of up to
/// 0.6 MiB a thread. The threads share the elements of d_weight, not the rows: a small d_weight of
/// many rows keeps few threads busy.
///
/// Throws Error when shapes do not fit, or the path asked for cannot serve.
///
/// See also: linear; reference::linear_backward.
ATTENTION_API LinearGradients<float> linear_backward(TensorView<const float> d_out,
                                                     TensorView<const float> x,
                                                     TensorView<const float> weight,
                                                     const LinearBackwardOptions& options = {});
ATTENTION_API LinearGradients<double> linear_backward(TensorView<const double> d_out,
                                                      TensorView<const double> x,
                                                      TensorView<const double> weight,
                                                      const LinearBackwardOptions& options = {});

/// The same, written into the caller's views, with scratch from the caller: allocates nothing.
/// Returns the path and the instruction set taken.
///
/// `workspace` holds linear_backward_workspace_size bytes, of any alignment. `options.wants_x` and
/// its like are not looked at.
///
/// Throws Error as linear_backward does, and when an output has another shape, overlaps itself, an
/// input or another output, or when the workspace is too small. Nothing has been written then.
ATTENTION_API Taken linear_backward_into(const LinearBackwardOutputs<float>& outputs,
                                         TensorView<const float> d_out, TensorView<const float> x,
                                         TensorView<const float> weight,
                                         const LinearBackwardOptions& options,
                                         std::span<std::byte> workspace);
ATTENTION_API Taken linear_backward_into(const LinearBackwardOutputs<double>& outputs,
                                         TensorView<const double> d_out, TensorView<const double> x,
                                         TensorView<const double> weight,
                                         const LinearBackwardOptions& options,
                                         std::span<std::byte> workspace);

/// The bytes of workspace that linear_backward_into needs for this number of input features, on
/// this path and number of threads.
///
/// Throws Error when in_features is negative, the dtype is neither float32 nor float64, or the path
/// cannot serve the dtype.
ATTENTION_API std::size_t linear_backward_workspace_size(std::int64_t in_features, DType dtype,
                                                         const Execution& execution = {});

}  // namespace attention
