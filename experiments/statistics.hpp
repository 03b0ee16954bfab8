#pragma once

#include <cstdint>
#include <span>

/// The little statistics that the experiments need.
namespace attention::experiments {

/// A closed interval of a probability.
struct Interval {
  double low;
  double high;
  bool contains(double value) const noexcept { return low <= value && value <= high; }
};

/// The z with P(|Z| > z) = alpha for a standard normal Z. alpha in (0, 1).
double two_sided_normal_quantile(double alpha);

/// Wilson's score interval of a probability, from `count` successes in `trials` independent trials,
/// with coverage 1 - alpha. Source: Wilson 1927, "Probable Inference, the Law of Succession, and
/// Statistical Inference".
Interval wilson_interval(std::int64_t count, std::int64_t trials, double alpha);

/// Of values over seeds. The standard error is that of the mean; 0 for fewer than two values.
struct Moments {
  double mean = 0;
  double standard_deviation = 0;
  double standard_error = 0;
  double minimum = 0;
  double maximum = 0;
};
Moments moments(std::span<const double> values);

/// The value below which a fraction q in [0, 1] of the values lies, linear between neighbours. NaN
/// without values.
double quantile(std::span<const double> values, double q);

/// The fraction of the values that lie below `value`, half of those equal to it included.
double rank_of(double value, std::span<const double> values);

}  // namespace attention::experiments
