#pragma once

#include <attention/core/export.hpp>
#include <attention/core/sdpa_problem.hpp>

namespace attention::reference {

/// The gradients of sdpa, as the chain rule reads, row by row. d_x is the gradient of a number that
/// depends on `out`, with respect to x. Writes d_q, d_k and d_v, and d_mask and d_sinks where they
/// are not null.
///
///   pass 1   scores, as in the forward pass
///   pass 2   weights[j]   = exp(scores[j] - lse)
///   pass 3   d_weights[j] = d_out . v[j],  mean = sum_j weights[j] d_weights[j]
///   pass 4   d_scores[j]  = weights[j] (d_weights[j] - mean)
///            d_v[j] += weights[j] d_out          d_mask[j] += d_scores[j]
///            d_q    += s[j] k[j]                 d_k[j]    += s[j] q
///            d_sink -= weight of the sink * mean
///
/// where s[j] = d_scores[j] * scale, times 1 - tanh^2 under a softcap. Dimensions along which keys,
/// values, a mask or a sink are shared are summed.
///
/// Under dropout, in d_weights[j] and in d_v[j], a key that is kept counts 1 / (1 - probability)
/// times, and one that is dropped does not count.
///
/// Blocked keys are not read. A row without a visible key gives no gradient. The forward pass is
/// computed again from q, k and v: `out` and `lse` are not looked at. Computes and adds up in Real
/// (double: the judge; float: what naive code gives) and rounds once when writing.
///
/// `problem` is taken as checked (see ops/sdpa_backward.hpp). Cost: about 4 B H L S (D + Dv)
/// operations, scratch for the gradients of one key head, of the mask and for S scores.
/// Instantiated for Real float and double, T float, double, float16 and bfloat16.
///
/// Source: Dao et al. 2022, "FlashAttention", appendix B.2, whose D_i is `mean`. See also:
/// reference/sdpa.hpp.
template <class Real, class T>
ATTENTION_API void sdpa_backward(const SdpaBackwardProblem<T>& problem);

}  // namespace attention::reference
