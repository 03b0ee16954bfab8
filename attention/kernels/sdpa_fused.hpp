#pragma once

#include <cstddef>
#include <cstdint>

#include <attention/core/sdpa_problem.hpp>
#include <attention/kernels/isa_functions.hpp>

namespace attention::kernels {

/// A problem cut into tasks for the fused kernels of one instruction set. A task is one or more
/// panels of rows of one head of keys: queries of all query heads that share it, so that each key
/// block is read once for them. How it is cut depends on the number of threads; no bit of the
/// results does.
///
/// Read on with isa/sdpa_forward.cpp. Instantiated for float, float16 and bfloat16.
template <class T>
class SdpaFused {
 public:
  SdpaFused(const SdpaProblem<T>& problem, const IsaFunctions& isa, int threads) noexcept;

  std::int64_t tasks() const noexcept;
  /// Bytes that one task needs.
  std::size_t scratch_size() const noexcept;
  /// Computes one task. `scratch` is aligned to 64 bytes.
  void run(std::int64_t task, std::byte* scratch) const noexcept;

 private:
  const SdpaProblem<T>& problem_;
  const IsaFunctions& isa_;
  std::int64_t group_;           // query heads that share a head of keys
  std::int64_t panels_;          // of a head of keys
  std::int64_t tasks_per_head_;  // of a head of keys
  int panels_per_task_;
};

/// The scratch that one task of any problem of this size needs at most, whatever its options.
template <class T>
std::size_t sdpa_fused_scratch(const IsaFunctions& isa, std::int64_t S, std::int64_t D,
                               std::int64_t Dv) noexcept;

}  // namespace attention::kernels
