#pragma once

#include <cstdint>
#include <functional>

#include <attention/core/export.hpp>

namespace attention::train {

/// The learning rate of a step; steps count from 1.
using Schedule = std::function<double(std::int64_t step)>;

/// The same at each step.
ATTENTION_API Schedule constant_schedule(double rate);

/// factor embed_dim^-0.5 min(step^-0.5, step warmup^-1.5): rises in a line for `warmup` steps, then
/// falls with the root of the step.
///
/// Throws Error when embed_dim or warmup is not positive.
///
/// Source: Vaswani et al. 2017, section 5.3.
ATTENTION_API Schedule noam_schedule(std::int64_t embed_dim, std::int64_t warmup,
                                     double factor = 1);

/// What a schedule rises to and falls to.
struct ScheduleRange {
  double peak = 1e-3;
  /// From step `steps` on.
  double last = 0;
  /// Steps in which the rate rises in a line to the peak, which step `warmup` has.
  std::int64_t warmup = 0;
  /// All steps, the warm-up among them.
  std::int64_t steps = 1;
};

/// After the warm-up half a cosine from peak to last. Throws Error unless 0 <= warmup < steps.
///
/// Source: Loshchilov and Hutter 2017, "SGDR", equation 5, without restarts.
ATTENTION_API Schedule cosine_schedule(const ScheduleRange& range);

/// After the warm-up a line from peak to last. Throws Error unless 0 <= warmup < steps.
ATTENTION_API Schedule linear_schedule(const ScheduleRange& range);

}  // namespace attention::train
