#pragma once

#include <cstddef>
#include <cstdint>

#include <attention/core/norm_problem.hpp>
#include <attention/kernels/isa_functions.hpp>

namespace attention::kernels {

/// layer_norm or rms_norm cut into tasks for the kernels of one instruction set: some rows each.
/// No bit of a row depends on the others.
///
/// Read on with isa/norm_forward.cpp. Float only.
class NormFused {
 public:
  NormFused(const NormProblem<float>& problem, const IsaFunctions& isa) noexcept;

  std::int64_t tasks() const noexcept;
  void run(std::int64_t task) const noexcept;

 private:
  const NormProblem<float>& problem_;
  const IsaFunctions& isa_;
  std::int64_t rows_per_task_;
};

/// The gradients of these rows: writes their d_x, and adds to `sums` what they add to d_weight and
/// d_bias. `scratch` holds isa.norm_backward_scratch bytes, aligned to 64.
///
/// Read on with isa/norm_backward.cpp. Float only.
void norm_backward_fused(const NormBackwardProblem<float>& problem, const IsaFunctions& isa,
                         const RowInterval& rows, const NormSums& sums,
                         std::byte* scratch) noexcept;

}  // namespace attention::kernels
