#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include <attention/core/error.hpp>
#include <attention/train/schedule.hpp>

namespace attention::train {
namespace {

void check(const char* function, const ScheduleRange& range) {
  require(range.warmup >= 0 && range.warmup < range.steps, function,
          "warmup must lie in [0, steps)", [&] {
            return "warmup " + std::to_string(range.warmup) + ", steps " +
                   std::to_string(range.steps);
          });
}

/// How much of the way from the peak to the last rate a step has behind it, in [0, 1]; negative in
/// the warm-up: -1 + the part of it that is done.
double way(const ScheduleRange& range, std::int64_t step) {
  if (step < range.warmup) {
    return static_cast<double>(step) / static_cast<double>(range.warmup) - 1;
  }
  const std::int64_t done = std::min(step, range.steps) - std::max(range.warmup, std::int64_t{1});
  const std::int64_t all = range.steps - std::max(range.warmup, std::int64_t{1});
  return all <= 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(all);
}

}  // namespace

Schedule constant_schedule(double rate) {
  return [rate](std::int64_t /*step*/) { return rate; };
}

Schedule noam_schedule(std::int64_t embed_dim, std::int64_t warmup, double factor) {
  require(embed_dim > 0 && warmup > 0, "train::noam_schedule",
          "embed_dim and warmup must be positive", [&] {
            return "embed_dim " + std::to_string(embed_dim) + ", warmup " + std::to_string(warmup);
          });
  const double scale = factor / std::sqrt(static_cast<double>(embed_dim));
  const double rise = 1 / (static_cast<double>(warmup) * std::sqrt(static_cast<double>(warmup)));
  return [scale, rise](std::int64_t step) {
    const auto t = static_cast<double>(std::max(step, std::int64_t{1}));
    return scale * std::min(1 / std::sqrt(t), t * rise);
  };
}

Schedule cosine_schedule(const ScheduleRange& range) {
  check("train::cosine_schedule", range);
  return [range](std::int64_t step) {
    const double at = way(range, step);
    return at < 0
               ? range.peak * (1 + at)
               : range.last + (range.peak - range.last) * (1 + std::cos(std::numbers::pi * at)) / 2;
  };
}

Schedule linear_schedule(const ScheduleRange& range) {
  check("train::linear_schedule", range);
  return [range](std::int64_t step) {
    const double at = way(range, step);
    return at < 0 ? range.peak * (1 + at) : range.peak + (range.last - range.peak) * at;
  };
}

}  // namespace attention::train
