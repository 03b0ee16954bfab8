#pragma once

#include <span>
#include <string>

#include "float64_sdpa.hpp"

namespace attention::tests {

/// The library's own definition, run in Real on dense tensors of T.
template <class Real, class T>
Results reference_results(const DenseProblem& p);

/// The naive algorithm on 16-bit tensors: scores, softmax and dropout in float32, then the weights
/// rounded to T, their product with v in float32, and out rounded to T.
template <class T>
std::vector<double> naive_rounded_out(const DenseProblem& p, const Results& naive_float32);

/// One output of one problem, and what it is judged by.
struct Comparison {
  std::string name;
  std::span<const double> found;
  std::span<const double> truth;
  /// Values that belong together: a row with a non-finite value is compared as such, not by value.
  std::size_t row_size = 1;
};

/// The bar of the fused paths: rows that the naive algorithm makes non-finite are non-finite, and
/// only those; in the others the largest error is at most twice the naive one plus `slack`.
/// Returns what is wrong, or nothing.
std::string judge_by_naive(const Comparison& comparison, std::span<const double> naive,
                           double slack);

/// The bar of code that computes in double and rounds once, to `dtype`: each value differs from the
/// truth by at most half a unit in its last place, plus `slack`. Rows that are not finite in the
/// truth, rounded, are not finite, and only those.
std::string judge_by_rounding(const Comparison& comparison, DType dtype, double slack);

/// What holds in bits: a row that sees nothing gives out 0 and the sink's logit, or -inf, as lse; a
/// blocked cell has weight 0. Returns what is wrong, or nothing. Outputs that were not asked for
/// are empty.
std::string judge_blocked_cells(const DenseProblem& p, const Truth& truth, const Results& found);

}  // namespace attention::tests
