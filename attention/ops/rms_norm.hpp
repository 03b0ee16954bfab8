#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <attention/core/error.hpp>
#include <attention/core/export.hpp>
#include <attention/core/tensor.hpp>
#include <attention/ops/norm_options.hpp>

/// Root mean square normalisation, and the way back through it.
///
/// Read on with reference/rms_norm.hpp, the definition, and kernels/isa/norm_forward.cpp and
/// norm_backward.cpp, the same passes made fast.
namespace attention {

/// What rms_norm returns.
template <class T>
struct RmsNormResult {
  /// The shape of x.
  Tensor<T> out;
  /// The shape of x without its last dimension: what rms_norm_backward needs.
  Tensor<T> rstd;
  Taken taken = {};
};

/// Where rms_norm_into writes: views of any strides. `rstd` may be null.
template <class T>
struct RmsNormOutputs {
  TensorView<T> out;
  TensorView<T> rstd = {};
};

/// Computes root mean square normalisation over the last dimension:
///
///   rstd = 1 / sqrt(sum_e x[e]^2 / E + epsilon),  out[e] = x[e] rstd weight[e]
///
/// Shapes: x (..., E) of rank 1 or more, weight (E) or null -> out (..., E), rstd (...). Any
/// strides. Without weight it counts as 1.
///
/// Edge rules: empty dimensions are legal; E = 0 gives NaN for rstd (0 / 0). A NaN makes its row
/// NaN, and no other; an infinity makes rstd 0, its own element NaN and the others of its row 0.
/// The same bits for any number of threads and any other rows.
///
/// Cost: one pass over x in memory, and one more over each row in the cache. The fused path serves
/// float. In float, out is within 4 eps |weight xhat| of the exact numbers, with eps = 2^-23 and
/// xhat = x rstd, whatever E is.
///
/// Throws Error when shapes do not fit, epsilon is negative or not finite, or the path asked for
/// cannot serve.
///
/// Source: Zhang, Sennrich 2019, "Root Mean Square Layer Normalization", section 3. See also:
/// layer_norm; reference::rms_norm.
ATTENTION_API RmsNormResult<float> rms_norm(TensorView<const float> x,
                                            TensorView<const float> weight = {},
                                            const NormOptions& options = {});
ATTENTION_API RmsNormResult<double> rms_norm(TensorView<const double> x,
                                             TensorView<const double> weight = {},
                                             const NormOptions& options = {});

/// The same, written into the caller's views; `out` may be x itself. Allocates nothing. Returns the
/// path and the instruction set taken.
///
/// Throws Error as rms_norm does, and when an output has another shape, overlaps itself, the other
/// output or an input, but for `out` that is x. Nothing has been written then.
ATTENTION_API Taken rms_norm_into(const RmsNormOutputs<float>& outputs, TensorView<const float> x,
                                  TensorView<const float> weight = {},
                                  const NormOptions& options = {});
ATTENTION_API Taken rms_norm_into(const RmsNormOutputs<double>& outputs, TensorView<const double> x,
                                  TensorView<const double> weight = {},
                                  const NormOptions& options = {});

/// What the forward pass leaves for the backward pass: rstd (...), as rms_norm returned it for the
/// same x and epsilon.
template <class T>
struct RmsNormSaved {
  TensorView<const T> rstd;
};

/// Gradients with respect to what gives them their names.
template <class T>
struct RmsNormGradients {
  /// The shape of x.
  Tensor<T> x;
  /// (E), a sum over all rows; there also where the forward pass had no weight.
  Tensor<T> weight;
  Taken taken = {};
};

/// Where rms_norm_backward_into writes: views of any strides.
template <class T>
struct RmsNormGradientOutputs {
  TensorView<T> x;
  TensorView<T> weight;
};

/// What rms_norm_backward_into reads.
template <class T>
struct RmsNormBackwardInputs {
  TensorView<const T> d_out;
  TensorView<const T> x;
  TensorView<const T> weight;  // or null
  RmsNormSaved<T> saved;
};

/// Computes the gradients of rms_norm: from d_out, the gradient of a number with respect to `out`,
/// that of the same number with respect to x and weight.
///
///   xhat[e] = x[e] rstd,  g[e] = d_out[e] weight[e]
///   d_x[e]  = rstd (g[e] - xhat[e] sum_e g[e] xhat[e] / E)
///   d_weight[e] = sum over rows of d_out[e] xhat[e]
///
/// Shapes: d_out and x (..., E), weight (E) or null, saved (...) -> d_x (..., E), d_weight (E). Any
/// strides. Every option counts as in the forward pass.
///
/// Edge rules: empty dimensions are legal; without rows d_weight is 0. A NaN in a row of x makes
/// that row of d_x and all of d_weight NaN; one in d_out makes its row of d_x and its element of
/// d_weight NaN. The same bits for any number of threads: rows are summed in pieces that depend on
/// their number alone.
///
/// Cost: one pass over x and d_out in memory, and one more over each row in the cache. The fused
/// path serves float. The reference path computes rstd again.
///
/// Throws Error when shapes do not fit, epsilon is negative or not finite, or the path asked for
/// cannot serve.
///
/// See also: layer_norm_backward; reference::rms_norm_backward.
ATTENTION_API RmsNormGradients<float> rms_norm_backward(TensorView<const float> d_out,
                                                        TensorView<const float> x,
                                                        TensorView<const float> weight,
                                                        const RmsNormSaved<float>& saved,
                                                        const NormOptions& options = {});
ATTENTION_API RmsNormGradients<double> rms_norm_backward(TensorView<const double> d_out,
                                                         TensorView<const double> x,
                                                         TensorView<const double> weight,
                                                         const RmsNormSaved<double>& saved,
                                                         const NormOptions& options = {});

/// The same, written into the caller's views, with scratch from the caller: allocates nothing.
/// Returns the path and the instruction set taken.
///
/// `workspace` holds rms_norm_backward_workspace_size bytes, of any alignment.
///
/// Throws Error as rms_norm_backward does, and when a gradient has another shape, overlaps itself,
/// an input or the other gradient, or when the workspace is too small. Nothing has been written
/// then.
ATTENTION_API Taken rms_norm_backward_into(const RmsNormGradientOutputs<float>& gradients,
                                           const RmsNormBackwardInputs<float>& inputs,
                                           const NormOptions& options,
                                           std::span<std::byte> workspace);
ATTENTION_API Taken rms_norm_backward_into(const RmsNormGradientOutputs<double>& gradients,
                                           const RmsNormBackwardInputs<double>& inputs,
                                           const NormOptions& options,
                                           std::span<std::byte> workspace);

/// The bytes of workspace that rms_norm_backward_into needs for so many rows (all dimensions of x
/// but the last) of so many features on this path; threads do not count.
///
/// Throws Error when a size is negative, the dtype is neither float32 nor float64, or the path
/// cannot serve the dtype.
ATTENTION_API std::size_t rms_norm_backward_workspace_size(std::int64_t rows, std::int64_t features,
                                                           DType dtype,
                                                           const Execution& execution = {});

}  // namespace attention
