#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <attention/core/error.hpp>
#include <attention/core/export.hpp>
#include <attention/core/tensor.hpp>
#include <attention/ops/norm_options.hpp>

/// Layer normalisation, and the way back through it.
///
/// Read on with reference/layer_norm.hpp, the definition, and kernels/isa/norm_forward.cpp and
/// norm_backward.cpp, the same passes made fast.
namespace attention {

/// What layer_norm returns.
template <class T>
struct LayerNormResult {
  /// The shape of x.
  Tensor<T> out;
  /// The shape of x without its last dimension: what layer_norm_backward needs.
  Tensor<T> mean;
  Tensor<T> rstd;
  Taken taken = {};
};

/// Where layer_norm_into writes: views of any strides. `mean` and `rstd` may be null.
template <class T>
struct LayerNormOutputs {
  TensorView<T> out;
  TensorView<T> mean = {};
  TensorView<T> rstd = {};
};

/// Computes layer normalisation over the last dimension, with torch.nn.functional.layer_norm's
/// formula:
///
///   mean = sum_e x[e] / E,  variance = sum_e (x[e] - mean)^2 / E
///   rstd = 1 / sqrt(variance + epsilon)
///   out[e] = (x[e] - mean) rstd weight[e] + bias[e]
///
/// Shapes: x (..., E) of rank 1 or more, weight (E) or null, bias (E) or null -> out (..., E), mean
/// and rstd (...). Any strides. Without weight it counts as 1, without bias as 0.
///
/// Edge rules: empty dimensions are legal; E = 0 gives NaN for mean and rstd (0 / 0). A row far
/// from 0 keeps its digits: nothing cancels but what the elements themselves have lost. A NaN or an
/// infinity makes its row NaN, and no other. The same bits for any number of threads and any other
/// rows.
///
/// Cost: one pass over x in memory, and one more over each row in the cache; another one over rows
/// whose mean is larger than what their elements differ by. The fused path serves float. In float,
/// out is within 4 eps (|weight| (1 + |xhat|) + |bias|) of the exact numbers, with eps = 2^-23 and
/// xhat = (x - mean) rstd, whatever E is.
///
/// Throws Error when shapes do not fit, epsilon is negative or not finite, or the path asked for
/// cannot serve.
///
/// Source: Ba, Kiros, Hinton 2016, "Layer Normalization", section 3. See also: rms_norm;
/// reference::layer_norm.
ATTENTION_API LayerNormResult<float> layer_norm(TensorView<const float> x,
                                                TensorView<const float> weight = {},
                                                TensorView<const float> bias = {},
                                                const NormOptions& options = {});
ATTENTION_API LayerNormResult<double> layer_norm(TensorView<const double> x,
                                                 TensorView<const double> weight = {},
                                                 TensorView<const double> bias = {},
                                                 const NormOptions& options = {});

/// The same, written into the caller's views; `out` may be x itself. Allocates nothing. Returns the
/// path and the instruction set taken.
///
/// Throws Error as layer_norm does, and when an output has another shape, overlaps itself, another
/// output or an input, but for `out` that is x. Nothing has been written then.
ATTENTION_API Taken layer_norm_into(const LayerNormOutputs<float>& outputs,
                                    TensorView<const float> x, TensorView<const float> weight = {},
                                    TensorView<const float> bias = {},
                                    const NormOptions& options = {});
ATTENTION_API Taken layer_norm_into(const LayerNormOutputs<double>& outputs,
                                    TensorView<const double> x,
                                    TensorView<const double> weight = {},
                                    TensorView<const double> bias = {},
                                    const NormOptions& options = {});

/// What the forward pass leaves for the backward pass: mean and rstd (...), as layer_norm returned
/// them for the same x and epsilon.
template <class T>
struct LayerNormSaved {
  TensorView<const T> mean;
  TensorView<const T> rstd;
};

/// Gradients with respect to what gives them their names.
template <class T>
struct LayerNormGradients {
  /// The shape of x.
  Tensor<T> x;
  /// (E), sums over all rows; there also where the forward pass had no weight, or no bias.
  Tensor<T> weight;
  Tensor<T> bias;
  Taken taken = {};
};

/// Where layer_norm_backward_into writes: views of any strides.
template <class T>
struct LayerNormGradientOutputs {
  TensorView<T> x;
  TensorView<T> weight;
  TensorView<T> bias;
};

/// What layer_norm_backward_into reads.
template <class T>
struct LayerNormBackwardInputs {
  TensorView<const T> d_out;
  TensorView<const T> x;
  TensorView<const T> weight;  // or null
  LayerNormSaved<T> saved;
};

/// Computes the gradients of layer_norm: from d_out, the gradient of a number with respect to
/// `out`, that of the same number with respect to x, weight and bias.
///
///   xhat[e] = (x[e] - mean) rstd,  g[e] = d_out[e] weight[e]
///   d_x[e]  = rstd (g[e] - sum_e g[e] / E - xhat[e] sum_e g[e] xhat[e] / E)
///   d_weight[e] = sum over rows of d_out[e] xhat[e],  d_bias[e] = sum over rows of d_out[e]
///
/// Shapes: d_out and x (..., E), weight (E) or null, saved (...) -> d_x (..., E), d_weight and
/// d_bias (E). Any strides. Every option counts as in the forward pass.
///
/// Edge rules: empty dimensions are legal; without rows d_weight and d_bias are 0. A NaN in a row
/// of x makes that row of d_x and all of d_weight NaN; one in d_out makes its row of d_x and its
/// element of d_weight and d_bias NaN. The same bits for any number of threads: rows are summed in
/// pieces that depend on their number alone.
///
/// Cost: one pass over x and d_out in memory, and one more over each row in the cache. The fused
/// path serves float; what the saved mean has lost by rounding it finds again in x. The reference
/// path computes mean and rstd again.
///
/// Throws Error when shapes do not fit, epsilon is negative or not finite, or the path asked for
/// cannot serve.
///
/// See also: rms_norm_backward; reference::layer_norm_backward.
ATTENTION_API LayerNormGradients<float> layer_norm_backward(TensorView<const float> d_out,
                                                            TensorView<const float> x,
                                                            TensorView<const float> weight,
                                                            const LayerNormSaved<float>& saved,
                                                            const NormOptions& options = {});
ATTENTION_API LayerNormGradients<double> layer_norm_backward(TensorView<const double> d_out,
                                                             TensorView<const double> x,
                                                             TensorView<const double> weight,
                                                             const LayerNormSaved<double>& saved,
                                                             const NormOptions& options = {});

/// The same, written into the caller's views, with scratch from the caller: allocates nothing.
/// Returns the path and the instruction set taken.
///
/// `workspace` holds layer_norm_backward_workspace_size bytes, of any alignment.
///
/// Throws Error as layer_norm_backward does, and when a gradient has another shape, overlaps
/// itself, an input or another gradient, or when the workspace is too small. Nothing has been
/// written then.
ATTENTION_API Taken layer_norm_backward_into(const LayerNormGradientOutputs<float>& gradients,
                                             const LayerNormBackwardInputs<float>& inputs,
                                             const NormOptions& options,
                                             std::span<std::byte> workspace);
ATTENTION_API Taken layer_norm_backward_into(const LayerNormGradientOutputs<double>& gradients,
                                             const LayerNormBackwardInputs<double>& inputs,
                                             const NormOptions& options,
                                             std::span<std::byte> workspace);

/// The bytes of workspace that layer_norm_backward_into needs for so many rows (all dimensions of x
/// but the last) of so many features on this path; threads do not count.
///
/// Throws Error when a size is negative, the dtype is neither float32 nor float64, or the path
/// cannot serve the dtype.
ATTENTION_API std::size_t layer_norm_backward_workspace_size(std::int64_t rows,
                                                             std::int64_t features, DType dtype,
                                                             const Execution& execution = {});

}  // namespace attention
