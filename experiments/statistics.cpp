#include "experiments/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

namespace attention::experiments {

double two_sided_normal_quantile(double alpha) {
  // P(|Z| > z) = erfc(z / sqrt(2)) falls with z: bisection to the last bit that double can tell.
  double low = 0;
  double high = 40;
  for (int step = 0; step < 200; ++step) {
    const double middle = (low + high) / 2;
    (std::erfc(middle / std::numbers::sqrt2) > alpha ? low : high) = middle;
  }
  return high;
}

Interval wilson_interval(std::int64_t count, std::int64_t trials, double alpha) {
  const double z = two_sided_normal_quantile(alpha);
  const auto n = static_cast<double>(trials);
  const double p = static_cast<double>(count) / n;
  const double centre = (p + z * z / (2 * n)) / (1 + z * z / n);
  const double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  // At the ends the formula gives exactly 0 or 1 but for rounding.
  return {.low = count == 0 ? 0.0 : std::max(0.0, centre - half),
          .high = count == trials ? 1.0 : std::min(1.0, centre + half)};
}

Moments moments(std::span<const double> values) {
  Moments result;
  if (values.empty()) {
    return result;
  }
  const auto n = static_cast<double>(values.size());
  for (const double value : values) {
    result.mean += value / n;
  }
  double squares = 0;
  for (const double value : values) {
    squares += (value - result.mean) * (value - result.mean);
  }
  if (values.size() > 1) {
    result.standard_deviation = std::sqrt(squares / (n - 1));
    result.standard_error = result.standard_deviation / std::sqrt(n);
  }
  const auto [minimum, maximum] = std::ranges::minmax_element(values);
  result.minimum = *minimum;
  result.maximum = *maximum;
  return result;
}

double quantile(std::span<const double> values, double q) {
  if (values.empty()) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  std::vector<double> sorted(values.begin(), values.end());
  std::ranges::sort(sorted);
  const double position = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], position - static_cast<double>(below));
}

double rank_of(double value, std::span<const double> values) {
  double below = 0;
  for (const double other : values) {
    below += other < value ? 1.0 : (other == value ? 0.5 : 0.0);
  }
  return values.empty() ? std::numeric_limits<double>::quiet_NaN()
                        : below / static_cast<double>(values.size());
}

}  // namespace attention::experiments
