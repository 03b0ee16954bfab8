#pragma once

#include <cstddef>
#include <span>

#include <attention/core/execution.hpp>
#include <attention/kernels/isa_table.hpp>
#include <attention/ops/sdpa.hpp>

/// Private to ops: the list of the paths.
namespace attention::detail {

/// One way to compute sdpa. `isa` is not looked at by a path that has no kernels.
template <class T>
struct SdpaPath {
  Path path;
  bool has_kernels;
  /// Bytes of scratch for each thread: what this problem needs, and what any of this size may need.
  std::size_t (*scratch)(const SdpaProblem<T>& problem, const kernels::IsaKernels* isa,
                         int threads);
  std::size_t (*scratch_for_size)(const SdpaSize& size, const kernels::IsaKernels* isa);
  void (*run)(const SdpaProblem<T>& problem, const kernels::IsaKernels* isa, int threads,
              std::span<std::byte> workspace);
};

/// The paths that serve elements of T, in the order in which they are preferred; the reference is
/// the last.
template <class T>
std::span<const SdpaPath<T>> sdpa_paths();

}  // namespace attention::detail
