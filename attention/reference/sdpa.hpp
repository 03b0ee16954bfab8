#pragma once

#include <cstdint>

#include <attention/core/export.hpp>
#include <attention/core/sdpa_problem.hpp>

/// The definition of each operation: plain loops that a reader can check by eye. Everything faster
/// is judged by these.
namespace attention::reference {

/// Scaled dot-product attention, as the formula reads, for every row of every head. `out`, and
/// `lse`, `maximum` and `weights` where they are not null, are written.
///
///   pass 1   scores[j] = rules(scale * sum_d q[i][d] k[j][d])     for the visible keys j
///   pass 2   lse       = log(sum_j exp(scores[j]) [+ exp(sink)])
///   pass 3   weights[j] = exp(scores[j] - lse),  out = sum_j weights[j] v[j]
///
/// Under dropout the sum of pass 3 goes over the keys that are kept, times 1 / (1 - probability);
/// weights, lse and maximum are those without. (A row whose lse is NaN is NaN, whatever is kept.)
///
/// Blocked keys are not read at all. A row without a visible key gives out 0, weights 0 and lse
/// -inf (the sink, if any). Computes in Real (double: the judge; float: what naive code gives) and
/// rounds once when writing.
///
/// `problem` is taken as checked (see ops/sdpa.hpp, the front door). Cost: 2 B H L S (D + Dv)
/// operations, scratch for S scores. Instantiated for Real float and double, T float, double,
/// float16 and bfloat16.
///
/// Source: Vaswani et al. 2017, "Attention Is All You Need", section 3.2.1. See also:
/// docs/semantics.md.
template <class Real, class T>
ATTENTION_API void sdpa(const SdpaProblem<T>& problem);

/// A key that a query sees, and its score.
template <class Real>
struct VisibleKey {
  std::int64_t j;
  Real value;
};

/// Pass 1 of a row: its visible keys with their scores, in the order of j, from `keys` on; returns
/// their end. Keys at and past the key length are not looked at.
template <class Real, class T>
VisibleKey<Real>* visible_scores(const SdpaProblem<T>& problem, std::int64_t b, std::int64_t h,
                                 std::int64_t i, VisibleKey<Real>* keys) noexcept;

/// One row of it: query i of head h in batch entry b. `visible_keys` is scratch for S of them.
template <class Real, class T>
ATTENTION_API void sdpa_row(const SdpaProblem<T>& problem, std::int64_t b, std::int64_t h,
                            std::int64_t i, VisibleKey<Real>* visible_keys) noexcept;

}  // namespace attention::reference
