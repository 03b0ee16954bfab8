#pragma once

#include <cstdint>

#include <attention/core/sdpa_problem.hpp>
#include <attention/kernels/sdpa_args.hpp>

/// Private: a checked problem as the fused kernels receive it. Instantiated for float, float16 and
/// bfloat16.
namespace attention::kernels {

/// One head of keys.
template <class T>
SdpaHead sdpa_head(const SdpaProblem<T>& problem, std::int64_t b, std::int64_t h_kv) noexcept;

/// Rows of one head of keys: row r is query r / group of the head r % group of the group. They fill
/// the lanes from first_lane on; the lanes after them up to end_lane copy the last.
struct RowRange {
  std::int64_t b;
  std::int64_t h_kv;
  std::int64_t begin;
  int count;
  int first_lane;
  int end_lane;
};

template <class T>
void fill_rows(const SdpaProblem<T>& problem, const RowRange& range, SdpaRows& rows) noexcept;

/// The rows of a tensor (B, H, L, ...) in their lanes; null if there is no such tensor.
template <class Element>
void fill_lanes(const TensorView<Element>& tensor, const RowRange& range, std::int64_t group,
                Element** lanes) noexcept;

}  // namespace attention::kernels
