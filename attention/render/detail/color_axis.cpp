#include <algorithm>
#include <cmath>
#include <limits>

#include <attention/render/detail/color_axis.hpp>

namespace attention::render::detail {
namespace {

struct Extremes {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  double least_positive = std::numeric_limits<double>::infinity();
  bool infinite_low = false;
  bool infinite_high = false;
  bool has_nan = false;

  void add(double value) {
    if (std::isnan(value)) {
      has_nan = true;
    } else if (std::isinf(value)) {
      (value < 0 ? infinite_low : infinite_high) = true;
    } else {
      low = std::min(low, value);
      high = std::max(high, value);
      if (value > 0) {
        least_positive = std::min(least_positive, value);
      }
    }
  }
};

Range data_range(const Extremes& found, Scale scale) {
  if (scale == Scale::log) {
    return found.high > 0 ? Range{.low = found.least_positive, .high = found.high}
                          : Range{.low = 0.1, .high = 1};
  }
  return found.low <= found.high ? Range{.low = found.low, .high = found.high} : Range{};
}

Range limits(const ColorScale& scale, const Extremes& found) {
  const Range data = data_range(found, scale.scale);
  if (scale.colormap == Colormap::diverging && !(scale.minimum && scale.maximum)) {
    const double data_size = std::max(std::abs(data.low), std::abs(data.high));
    const double given = scale.maximum.value_or(-scale.minimum.value_or(-data_size));
    return given > 0 ? usable_range(-given, given, scale.scale) : Range{.low = -1, .high = 1};
  }
  double low = scale.minimum.value_or(data.low);
  double high = scale.maximum.value_or(data.high);
  // One limit is given and all data lies beyond it: the other one is where the first is.
  if (low > high) {
    (scale.minimum ? high : low) = scale.minimum ? low : high;
  }
  return usable_range(low, high, scale.scale);
}

}  // namespace

ColorAxis color_axis(const ColorScale& scale, std::span<const Heatmap* const> panels) {
  Extremes found;
  for (const Heatmap* const panel : panels) {
    for (const double value : panel->values.values()) {
      found.add(value);
    }
  }
  const Range range = limits(scale, found);
  const double slack = 1e-9 * (range.high - range.low);
  // On a log scale the lowest colour says "this or less" by rule; only given limits cut data off.
  const double lowest = scale.scale == Scale::log ? found.least_positive : found.low;
  return {.colormap = scale.colormap,
          .scale = scale.scale,
          .range = range,
          .below = found.infinite_low || lowest < range.low - slack,
          .above = found.infinite_high || found.high > range.high + slack,
          .has_nan = found.has_nan};
}

}  // namespace attention::render::detail
