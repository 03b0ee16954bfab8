#pragma once

#include <attention/core/export.hpp>
#include <attention/core/norm_problem.hpp>

namespace attention::reference {

/// The rows of layer_norm, one after the other. Writes out, and mean and rstd where they are not
/// null.
///
///   pass 1   mean = sum_e x[e] / E, and once more of what that leaves: mean += sum_e (x[e] - mean)
///   / E pass 2   variance = sum_e (x[e] - mean)^2 / E,  rstd = 1 / sqrt(variance + epsilon) pass 3
///   out[e] = (x[e] - mean) rstd weight[e] + bias[e]
///
/// The variance is a sum of squares of differences, so that nothing cancels when a row lies far
/// from 0; the second sum of pass 1 makes the mean of equal elements that element. Without weight
/// it counts as 1, without bias as 0. E = 0 gives 0 / 0 for mean and rstd.
///
/// Computes in double and rounds once when writing.
/// `problem` is taken as checked (see ops/layer_norm.hpp). Instantiated for float and double.
///
/// Source: Ba, Kiros, Hinton 2016, "Layer Normalization", section 3.
template <class T>
ATTENTION_API void layer_norm(const NormProblem<T>& problem, const RowInterval& rows);

/// The gradients of layer_norm, as the chain rule reads. d_x is the gradient of a number that
/// depends on `out`, with respect to x. Writes d_x of these rows, and adds to `sums` what they add
/// to d_weight and d_bias.
///
///   pass 1   mean and rstd, as in the forward pass
///   pass 2   xhat[e] = (x[e] - mean) rstd,  g[e] = d_out[e] weight[e]
///            mean_g = sum_e g[e] / E,  mean_gx = sum_e g[e] xhat[e] / E
///            d_weight[e] += d_out[e] xhat[e],  d_bias[e] += d_out[e]
///   pass 3   d_x[e] = rstd (g[e] - mean_g - xhat[e] mean_gx)
///
/// The statistics are computed again from x: `mean` and `rstd` are not looked at. Otherwise as
/// layer_norm.
template <class T>
ATTENTION_API void layer_norm_backward(const NormBackwardProblem<T>& problem,
                                       const RowInterval& rows, const NormSums& sums);

}  // namespace attention::reference
