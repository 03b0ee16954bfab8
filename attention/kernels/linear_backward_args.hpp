#pragma once

#include <cstdint>

/// Private: what crosses the border to the code that is compiled once for each instruction set; see
/// sdpa_args.hpp.
namespace attention::kernels {

/// Rows of the result, and terms of its sums, in a call at most.
inline constexpr int kMaxProductRows = 256;
inline constexpr int kMaxProductTerms = 256;

/// How the rows of the left factor lie: one for each row of the result, or one for each term.
enum class LeftRows : std::uint8_t { results, terms };

/// out[r][c] = sum_t left(r, t) right[t][c], for some rows r, some terms t and all columns c. An
/// array of pointers names the rows of each matrix, so that they may lie anywhere; a stride is that
/// between the elements of a row.
struct LinearBackwardTask {
  int rows;
  int terms;
  std::int64_t columns;
  LeftRows left_rows;
  const float* left[kMaxProductRows];
  std::int64_t left_stride;
  const float* right[kMaxProductTerms];
  std::int64_t right_stride;
  float* out[kMaxProductRows];
  std::int64_t out_stride;
  float* left_sums;  // sum_t left(r, t) for row r; null: not wanted. Only where left has terms
  std::int64_t left_sums_stride;
  bool adds;         // onto what out and left_sums hold
  bool keeps_right;  // the call before had the same terms of `right`, columns and scratch
};
static_assert(kMaxProductRows == kMaxProductTerms, "left serves for both");

}  // namespace attention::kernels
