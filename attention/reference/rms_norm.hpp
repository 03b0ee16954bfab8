#pragma once

#include <attention/core/export.hpp>
#include <attention/core/norm_problem.hpp>

namespace attention::reference {

/// The rows of rms_norm, one after the other. Writes out, and rstd where it is not null.
///
///   pass 1   rstd = 1 / sqrt(sum_e x[e]^2 / E + epsilon)
///   pass 2   out[e] = x[e] rstd weight[e]
///
/// Without weight it counts as 1. E = 0 gives 0 / 0 for rstd.
///
/// Computes in double and rounds once when writing.
/// `problem` is taken as checked (see ops/rms_norm.hpp). Instantiated for float and double.
///
/// Source: Zhang, Sennrich 2019, "Root Mean Square Layer Normalization", section 3.
template <class T>
ATTENTION_API void rms_norm(const NormProblem<T>& problem, const RowInterval& rows);

/// The gradients of rms_norm, as the chain rule reads. d_x is the gradient of a number that depends
/// on `out`, with respect to x. Writes d_x of these rows, and adds to `sums.weight` what they add
/// to d_weight.
///
///   pass 1   rstd, as in the forward pass
///   pass 2   xhat[e] = x[e] rstd,  g[e] = d_out[e] weight[e],  mean_gx = sum_e g[e] xhat[e] / E
///            d_weight[e] += d_out[e] xhat[e]
///   pass 3   d_x[e] = rstd (g[e] - xhat[e] mean_gx)
///
/// rstd is computed again from x: the one of the problem is not looked at. Otherwise as rms_norm.
template <class T>
ATTENTION_API void rms_norm_backward(const NormBackwardProblem<T>& problem, const RowInterval& rows,
                                     const NormSums& sums);

}  // namespace attention::reference
