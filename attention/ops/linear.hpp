#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <attention/core/activation.hpp>
#include <attention/core/error.hpp>
#include <attention/core/execution.hpp>
#include <attention/core/export.hpp>
#include <attention/core/tensor.hpp>

namespace attention {

/// How linear computes.
struct LinearOptions {
  Activation activation = Activation::none;
  Execution execution = {};
};

/// Computes an affine map of the last dimension: out[..., o] = f(sum_i x[..., i] weight[o, i] +
/// bias[o]), f the activation.
///
/// Shapes: x (..., I) of rank 1 or more, weight (O, I), bias (O) or null -> out (..., O). Any
/// strides. Empty dimensions are legal; I = 0 gives the bias. The 16-bit types accumulate in
/// float32.
///
/// Cost: 2 N I O operations for N rows of x. The activation is computed before the outputs are
/// written; in float32, gelu is within 4e-7 |x| of the exact one.
///
/// Throws Error when shapes do not fit, or the path asked for cannot serve.
///
/// See also: nn::Linear; reference::linear.
ATTENTION_API Tensor<float> linear(TensorView<const float> x, TensorView<const float> weight,
                                   TensorView<const float> bias = {},
                                   const LinearOptions& options = {});
ATTENTION_API Tensor<double> linear(TensorView<const double> x, TensorView<const double> weight,
                                    TensorView<const double> bias = {},
                                    const LinearOptions& options = {});
ATTENTION_API Tensor<float16> linear(TensorView<const float16> x, TensorView<const float16> weight,
                                     TensorView<const float16> bias = {},
                                     const LinearOptions& options = {});
ATTENTION_API Tensor<bfloat16> linear(TensorView<const bfloat16> x,
                                      TensorView<const bfloat16> weight,
                                      TensorView<const bfloat16> bias = {},
                                      const LinearOptions& options = {});

/// The same, written into the caller's view, with scratch from the caller: allocates nothing.
/// Returns the path and the instruction set taken.
///
/// `workspace` holds linear_workspace_size bytes, of any alignment.
///
/// Throws Error as linear does, and when out has another shape, overlaps itself or an input, or
/// when the workspace is too small. Nothing has been written then.
ATTENTION_API Taken linear_into(TensorView<float> out, TensorView<const float> x,
                                TensorView<const float> weight, TensorView<const float> bias,
                                const LinearOptions& options, std::span<std::byte> workspace);
ATTENTION_API Taken linear_into(TensorView<double> out, TensorView<const double> x,
                                TensorView<const double> weight, TensorView<const double> bias,
                                const LinearOptions& options, std::span<std::byte> workspace);
ATTENTION_API Taken linear_into(TensorView<float16> out, TensorView<const float16> x,
                                TensorView<const float16> weight, TensorView<const float16> bias,
                                const LinearOptions& options, std::span<std::byte> workspace);
ATTENTION_API Taken linear_into(TensorView<bfloat16> out, TensorView<const bfloat16> x,
                                TensorView<const bfloat16> weight, TensorView<const bfloat16> bias,
                                const LinearOptions& options, std::span<std::byte> workspace);

/// The bytes of workspace that linear_into needs for this number of input features, on this path
/// and number of threads.
///
/// Throws Error when in_features is negative, the dtype is not a floating one, or the path cannot
/// serve the dtype.
ATTENTION_API std::size_t linear_workspace_size(std::int64_t in_features, DType dtype,
                                                const Execution& execution = {});

}  // namespace attention
