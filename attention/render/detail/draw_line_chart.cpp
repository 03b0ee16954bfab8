#include <algorithm>
#include <cmath>
#include <limits>

#include <attention/render/detail/chart.hpp>
#include <attention/render/detail/draw.hpp>
#include <attention/render/detail/style.hpp>

namespace attention::render::detail {
namespace {

constexpr double kLineWidth = 1.75;
constexpr double kBandOpacity = 0.18;

/// The range of the values that can be shown on the axis, or as the axis says.
class RangeFinder {
 public:
  explicit RangeFinder(const Axis& axis) : axis_(axis) {}

  void add(const std::vector<double>& values) {
    for (const double value : values) {
      if (!std::isnan(value) && (axis_.scale == Scale::linear || value > 0)) {
        low_ = std::min(low_, value);
        high_ = std::max(high_, value);
      }
    }
  }

  /// A given end is exact; the other ones leave `share` of room.
  Range range(double share) const {
    const bool none = low_ > high_;
    double low = axis_.minimum.value_or(none ? 0.1 : low_);
    double high = axis_.maximum.value_or(none ? 1 : high_);
    if (low > high) {
      (axis_.minimum ? high : low) = axis_.minimum ? low : high;
    }
    const Range range = usable_range(low, high, axis_.scale);
    const Range wide = widened(range, share, axis_.scale);
    return {.low = axis_.minimum ? range.low : wide.low,
            .high = axis_.maximum ? range.high : wide.high};
  }

 private:
  const Axis& axis_;
  double low_ = std::numeric_limits<double>::infinity();
  double high_ = -std::numeric_limits<double>::infinity();
};

Color color_of(std::size_t series) {
  return kSeriesColors[series % kSeriesColors.size()];
}

/// When the colours are used up, dashes tell the series apart.
std::vector<double> dashes_of(std::size_t series) {
  switch (series / kSeriesColors.size() % 3) {
    case 1:
      return {6, 3};
    case 2:
      return {2, 2.5};
    default:
      return {};
  }
}

/// Calls run(first, last) for each stretch [first, last) of points for which `shown` holds.
template <class Shown, class Run>
void for_each_stretch(std::size_t count, const Shown& shown, const Run& run) {
  for (std::size_t first = 0; first < count; ++first) {
    std::size_t last = first;
    while (last < count && shown(last)) {
      ++last;
    }
    if (last > first) {
      run(first, last);
      first = last;
    }
  }
}

void draw_band(Scene& scene, const Frame& frame, const Series& series, Color color) {
  const auto shown = [&](std::size_t i) {
    return !std::isnan(series.lower[i]) && !std::isnan(series.upper[i]);
  };
  for_each_stretch(series.lower.size(), shown, [&](std::size_t first, std::size_t last) {
    Path band{.points = {},
              .color = color,
              .paint = Path::Paint::fill,
              .opacity = kBandOpacity,
              .clip = frame.plot};
    for (std::size_t i = first; i < last; ++i) {
      band.points.push_back(frame.at(series.x[i], series.upper[i]));
    }
    for (std::size_t i = last; i-- > first;) {
      band.points.push_back(frame.at(series.x[i], series.lower[i]));
    }
    scene.add(std::move(band));
  });
}

void draw_line(Scene& scene, const Frame& frame, const Series& series, std::size_t index) {
  const auto shown = [&](std::size_t i) { return !std::isnan(series.y[i]); };
  for_each_stretch(series.y.size(), shown, [&](std::size_t first, std::size_t last) {
    Path line{.points = {},
              .color = color_of(index),
              .line_width = kLineWidth,
              .dashes = dashes_of(index),
              .clip = frame.plot};
    for (std::size_t i = first; i < last; ++i) {
      line.points.push_back(frame.at(series.x[i], series.y[i]));
    }
    // A point alone has no line.
    if (last - first == 1 && series.markers == Markers::off) {
      scene.add(Disc{.centre = line.points.front(),
                     .radius = 2,
                     .color = color_of(index),
                     .clip = frame.plot});
    }
    scene.add(std::move(line));
  });
}

void draw_markers(Scene& scene, const Frame& frame, const Series& series, Color color) {
  // A marker at the edge is shown whole.
  Box clip = frame.plot;
  clip.x -= 4;
  clip.y -= 4;
  clip.width += 8;
  clip.height += 8;
  for (std::size_t i = 0; i < series.y.size(); ++i) {
    if (!std::isnan(series.y[i])) {
      scene.add(Disc{.centre = frame.at(series.x[i], series.y[i]), .color = color, .clip = clip});
    }
  }
}

}  // namespace

Scene draw(const LineChart& figure, const Font& font, std::string_view function) {
  RangeFinder x(figure.x);
  RangeFinder y(figure.y);
  for (const Series& series : figure.series) {
    x.add(series.x);
    y.add(series.y);
    y.add(series.lower);
    y.add(series.upper);
  }
  ChartSpec spec{.title = figure.title,
                 .x = {.title = figure.x.title, .range = x.range(0.02), .scale = figure.x.scale},
                 .y = {.title = figure.y.title, .range = y.range(0.05), .scale = figure.y.scale},
                 .grid = ChartSpec::Grid::both,
                 .width = figure.width,
                 .height = figure.height};
  for (std::size_t i = 0; i < figure.series.size(); ++i) {
    if (!figure.series[i].name.empty()) {
      spec.legend.push_back({.name = figure.series[i].name,
                             .color = color_of(i),
                             .sign = figure.series[i].markers == Markers::on
                                         ? LegendEntry::Sign::line_with_marker
                                         : LegendEntry::Sign::line,
                             .dashes = dashes_of(i)});
    }
  }
  Scene scene;
  const Frame frame = draw_frame(scene, font, spec, function);
  draw_level(scene, frame, frame.plot.bottom());
  for (std::size_t i = 0; i < figure.series.size(); ++i) {
    draw_band(scene, frame, figure.series[i], color_of(i));
  }
  for (std::size_t i = 0; i < figure.series.size(); ++i) {
    draw_line(scene, frame, figure.series[i], i);
    if (figure.series[i].markers == Markers::on) {
      draw_markers(scene, frame, figure.series[i], color_of(i));
    }
  }
  return scene;
}

}  // namespace attention::render::detail
