#pragma once

#include <attention/core/cross_entropy_row.hpp>
#include <attention/core/export.hpp>

namespace attention::reference {

/// Cross entropy of one row of logits x against one class t, with label smoothing s:
///
///   lse  = log sum_j exp(x[j])
///   loss = (1 - s) (lse - x[t]) + s (lse - mean_j x[j])
///
/// The largest logit is taken out of all of it first, so that nothing overflows and a constant
/// added to the row costs nothing. A term whose factor, s or 1 - s, is 0 does not count: a logit of
/// -inf is legal. A NaN or +inf makes both results NaN; with -inf alone, lse is -inf and the loss
/// NaN. Computes in double. Instantiated for float and double.
template <class T>
ATTENTION_API CrossEntropyRowLoss cross_entropy(const CrossEntropyRow<T>& row);

/// Its gradient:
///
///   p[j]        = exp(x[j] - lse) / sum_k exp(x[k] - lse)
///   d_logits[j] = d_loss (p[j] - (1 - s) [j = t] - s / C)
///
/// The sum is 1 but for what lse lost in its rounding, which this takes out. Computes in double and
/// rounds once.
template <class T>
ATTENTION_API void cross_entropy_backward(const CrossEntropyRowGradient<T>& gradient);

}  // namespace attention::reference
