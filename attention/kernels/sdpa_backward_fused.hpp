#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <attention/core/sdpa_problem.hpp>
#include <attention/kernels/isa_functions.hpp>

namespace attention::kernels {

/// The gradients of sdpa cut into tasks for the fused kernels of one instruction set: a task is one
/// head of keys with all queries that use it, panel after panel. So every sum has one order, and no
/// bit depends on the number of threads. Float only.
///
/// The gradients of a mask are shared by tasks: where they are wanted, the tasks must run one after
/// the other, in their order.
///
/// Read on with isa/sdpa_backward.cpp.
class SdpaBackwardFused {
 public:
  /// `sink_sums`: (B, H), where there are sinks: task by task, what they add to d_sinks.
  SdpaBackwardFused(const SdpaBackwardProblem<float>& problem, const IsaFunctions& isa,
                    std::span<double> sink_sums) noexcept;

  std::int64_t tasks() const noexcept;
  /// Bytes that one task needs.
  std::size_t scratch_size() const noexcept;
  /// Computes one task. `scratch` is aligned to 64 bytes.
  void run(std::int64_t task, std::byte* scratch) const noexcept;

 private:
  void add_sinks(std::int64_t b, std::int64_t h_kv, std::int64_t begin,
                 const SdpaBackwardRows& rows) const noexcept;

  const SdpaBackwardProblem<float>& problem_;
  const IsaFunctions& isa_;
  std::span<double> sink_sums_;
};

}  // namespace attention::kernels
