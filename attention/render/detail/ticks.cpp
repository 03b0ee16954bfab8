#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <span>

#include <attention/render/detail/ticks.hpp>

namespace attention::render::detail {
namespace {

constexpr double kLargest = 1e300;
constexpr double kSmallest = 1e-290;

/// mantissa * 10^exponent, rounded once for exponents of a size that data has.
double scaled(double mantissa, int exponent) {
  return exponent < 0 ? mantissa / std::pow(10.0, -exponent) : mantissa * std::pow(10.0, exponent);
}

int exponent_of(double value) {
  return static_cast<int>(std::floor(std::log10(value)));
}

/// 1, 2 or 5 times a power of ten.
struct Step {
  int mantissa;
  int exponent;

  double value() const { return scaled(mantissa, exponent); }
  Step next() const {
    return mantissa == 1   ? Step{.mantissa = 2, .exponent = exponent}
           : mantissa == 2 ? Step{.mantissa = 5, .exponent = exponent}
                           : Step{.mantissa = 1, .exponent = exponent + 1};
  }
};

/// Which multiples of a step lie in the range; the ends may be off by what rounding makes.
struct Multiples {
  double first;
  double last;

  Multiples(const Range& range, const Step& step) {
    const double slack = 1e-9;
    first = std::ceil(range.low / step.value() - slack);
    last = std::floor(range.high / step.value() + slack);
  }
  double count() const { return last - first + 1; }
};

/// The finest step with at most `most` multiples in the range; a finer one where that leaves one.
Step step_for(const Range& range, int most) {
  Step step{.mantissa = 1, .exponent = exponent_of((range.high - range.low) / most) - 1};
  Step finer = step;
  while (Multiples(range, step).count() > most) {
    finer = step;
    step = step.next();
  }
  return Multiples(range, step).count() >= 2 ? step : finer;
}

std::vector<Tick> linear_ticks(const Range& range, int most) {
  const Step step = step_for(range, most);
  const Multiples multiples(range, step);
  const double largest = std::max(std::abs(range.low), std::abs(range.high));
  const int decimals = std::max(0, -step.exponent);
  // Very large and very small numbers are read by their exponent.
  const bool by_exponent = largest >= 1e7 || (largest < 1e-4 && decimals > 5);
  std::vector<Tick> result;
  const int count = static_cast<int>(multiples.count());
  for (int i = 0; i < count; ++i) {
    const double value = scaled((multiples.first + i) * step.mantissa, step.exponent);
    if (by_exponent) {
      const int digits = value == 0 ? 0 : std::max(0, exponent_of(std::abs(value)) - step.exponent);
      result.push_back({.value = value, .text = value == 0 ? "0" : scientific(value, digits)});
    } else {
      result.push_back({.value = value, .text = fixed(value, decimals)});
    }
  }
  return result;
}

std::vector<Tick> multiples_of_decades(const Range& range, std::span<const int> mantissas) {
  std::vector<Tick> result;
  const int first = exponent_of(range.low);
  const int last = exponent_of(range.high);
  for (int exponent = first; exponent <= last; ++exponent) {
    for (const int mantissa : mantissas) {
      const double value = scaled(mantissa, exponent);
      if (value >= range.low * (1 - 1e-9) && value <= range.high * (1 + 1e-9)) {
        result.push_back({.value = value, .text = {}});
      }
    }
  }
  return result;
}

std::vector<Tick> log_ticks(const Range& range, int most) {
  static constexpr std::array<int, 1> kDecades = {1};
  static constexpr std::array<int, 3> kOneTwoFive = {1, 2, 5};
  std::vector<Tick> result = multiples_of_decades(range, kDecades);
  if (result.size() < 3) {
    std::vector<Tick> finer = multiples_of_decades(range, kOneTwoFive);
    if (finer.size() < 2) {
      return linear_ticks(range, most);
    }
    if (static_cast<int>(finer.size()) <= most || result.size() < 2) {
      result = std::move(finer);
    }
  }
  if (static_cast<int>(result.size()) > most) {
    // Every nth decade, those that n divides: 1e-6, 1e-3, 1e0.
    const int count = static_cast<int>(result.size());
    const int every = (count + most - 1) / most;
    std::erase_if(result, [&](const Tick& tick) {
      return static_cast<int>(std::lround(std::log10(tick.value))) % every != 0;
    });
  }
  const bool plain = result.front().value > 0.5e-3 && result.back().value < 2e4;
  for (Tick& tick : result) {
    const int exponent = exponent_of(tick.value * (1 + 1e-9));
    tick.text = plain ? fixed(tick.value, std::max(0, -exponent)) : scientific(tick.value, 0);
  }
  return result;
}

std::string of_not_finite(double value) {
  if (std::isnan(value)) {
    return "nan";
  }
  return value < 0 ? "-inf" : "inf";
}

std::string to_text(double value, std::chars_format format, int decimals) {
  // Room for all digits of the largest double and the decimals.
  std::array<char, 400> buffer = {};
  const auto [end, error] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, format, decimals);
  return {buffer.data(), end};
}

}  // namespace

std::string fixed(double value, int decimals) {
  if (!std::isfinite(value)) {
    return of_not_finite(value);
  }
  std::string text = to_text(value, std::chars_format::fixed, decimals);
  if (text.front() == '-' && text.find_first_not_of("-0.") == std::string::npos) {
    text.erase(0, 1);
  }
  return text;
}

std::string scientific(double value, int decimals) {
  if (!std::isfinite(value)) {
    return of_not_finite(value);
  }
  // to_chars writes "1e-05": without the plus and the leading zero.
  const std::string text = to_text(value, std::chars_format::scientific, decimals);
  const std::size_t e = text.find('e');
  const std::size_t digits = text.find_first_not_of("+-0", e + 1);
  std::string result = text.substr(0, e + 1);
  if (digits == std::string::npos) {
    return result + "0";
  }
  if (text[e + 1] == '-') {
    result += '-';
  }
  return result + text.substr(digits);
}

int decimals_for(double step) {
  const int decimals = std::max(0, -exponent_of(step * (1 + 1e-9)));
  const double digits = step * std::pow(10.0, decimals);
  return std::abs(digits - std::round(digits)) < 1e-6 * digits ? decimals : decimals + 2;
}

std::string cell_text(double value, int decimals, Scale scale) {
  if (scale == Scale::log) {
    if (value <= 0) {
      return "0";
    }
    if (value < 0.5 * std::pow(10.0, -decimals)) {
      return scientific(value, 0);
    }
  }
  return fixed(value, decimals);
}

Range usable_range(double low, double high, Scale scale) {
  Range range{.low = std::clamp(low, -kLargest, kLargest),
              .high = std::clamp(high, -kLargest, kLargest)};
  if (scale == Scale::log) {
    range.low = std::max(range.low, kSmallest);
    range.high = std::max(range.high, kSmallest);
    if (std::log(range.high) - std::log(range.low) < 1e-6) {
      range = {.low = range.low / std::sqrt(10.0), .high = range.high * std::sqrt(10.0)};
    }
    return range;
  }
  const double size = std::max(std::abs(range.low), std::abs(range.high));
  if (size < kSmallest) {
    return {.low = -0.5, .high = 0.5};
  }
  if (range.high - range.low < 1e-6 * size) {
    const double middle = range.low + (range.high - range.low) / 2;
    return {.low = middle - std::abs(middle) / 10, .high = middle + std::abs(middle) / 10};
  }
  return range;
}

Range widened(const Range& range, double share, Scale scale) {
  if (scale == Scale::log) {
    const double factor = std::exp((std::log(range.high) - std::log(range.low)) * share);
    return {.low = range.low / factor, .high = range.high * factor};
  }
  const double extra = (range.high - range.low) * share;
  return {.low = range.low - extra, .high = range.high + extra};
}

double position(double value, const Range& range, Scale scale) {
  if (scale == Scale::log) {
    if (value <= 0) {
      return -std::numeric_limits<double>::infinity();
    }
    return (std::log(value) - std::log(range.low)) / (std::log(range.high) - std::log(range.low));
  }
  return (value - range.low) / (range.high - range.low);
}

std::vector<Tick> ticks(const Range& range, Scale scale, int most) {
  return scale == Scale::log ? log_ticks(range, most) : linear_ticks(range, most);
}

std::vector<Tick> spaced_ticks(const Range& range, Scale scale, int most, double least) {
  std::vector<Tick> result;
  for (; most >= 1; --most) {
    result = ticks(range, scale, most);
    const auto crowded = std::ranges::adjacent_find(result, [&](const Tick& a, const Tick& b) {
      return position(b.value, range, scale) - position(a.value, range, scale) < least;
    });
    if (crowded == result.end()) {
      return result;
    }
  }
  result.resize(1);
  return result;
}

}  // namespace attention::render::detail
