#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <attention/core/execution.hpp>
#include <attention/ops/sdpa.hpp>

/// Private to ops: the list of the paths.
namespace attention::detail {

/// One way to compute sdpa: work on `queries_per_task` rows of one head at a time, with scratch of
/// its own.
template <class T>
struct SdpaPath {
  Path path;
  std::int64_t queries_per_task;
  std::size_t (*scratch_size)(const SdpaSize& size);
  /// Rows [i_begin, i_begin + count) of head h in batch entry b. `scratch` is aligned to 64 bytes.
  void (*run)(const SdpaProblem<T>& problem, std::int64_t b, std::int64_t h, std::int64_t i_begin,
              std::int64_t count, std::byte* scratch);
};

/// The paths that serve elements of T, in the order in which they are preferred; the reference is
/// the last.
template <class T>
std::span<const SdpaPath<T>> sdpa_paths();

}  // namespace attention::detail
