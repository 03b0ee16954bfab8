#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include <attention/core/error.hpp>
#include <attention/render/detail/check.hpp>
#include <attention/render/detail/text.hpp>
#include <attention/render/detail/ticks.hpp>

namespace attention::render::detail {
namespace {

constexpr double kLeastSize = 100;
constexpr double kGreatestSize = 10000;
constexpr int kMostBins = 1000;

std::string to_text(double value) {
  if (std::isfinite(value) && value == std::trunc(value) && std::abs(value) < 1e15) {
    return fixed(value, 0);
  }
  return scientific(value, 6);
}

std::string counted(std::size_t count, std::string_view what) {
  return std::to_string(count) + " " + std::string(what);
}

void check_size(double width, double height, std::string_view function) {
  for (const double size : {width, height}) {
    require(size == 0 || (size >= kLeastSize && size <= kGreatestSize), function,
            "width and height must be 0 (chosen) or in [100, 10000]",
            [&] { return "width " + to_text(width) + ", height " + to_text(height); });
  }
}

void check_limits(const std::optional<double>& minimum, const std::optional<double>& maximum,
                  Scale scale, std::string_view function) {
  for (const std::optional<double>& limit : {minimum, maximum}) {
    require(!limit || std::isfinite(*limit), function, "minimum and maximum must be finite",
            [&] { return to_text(*limit); });
    require(!limit || scale == Scale::linear || *limit > 0, function,
            "minimum and maximum must be positive on a log scale", [&] { return to_text(*limit); });
  }
  require(!(minimum && maximum) || *minimum < *maximum, function, "minimum must be below maximum",
          [&] { return "minimum " + to_text(*minimum) + ", maximum " + to_text(*maximum); });
}

void check_color(const ColorScale& color, std::string_view function) {
  check_limits(color.minimum, color.maximum, color.scale, function);
  if (color.colormap != Colormap::diverging) {
    return;
  }
  require(color.scale == Scale::linear, function, "the diverging colour map needs a linear scale",
          [] { return "a log scale"; });
  require(color.minimum || color.maximum.value_or(1) > 0, function,
          "the maximum of the diverging colour map must be positive if it stands alone",
          [&] { return to_text(*color.maximum); });
  require(color.maximum || color.minimum.value_or(-1) < 0, function,
          "the minimum of the diverging colour map must be negative if it stands alone",
          [&] { return to_text(*color.minimum); });
}

void check_labels(const std::vector<std::string>& labels, std::int64_t count, std::string_view rule,
                  std::string_view function) {
  require(labels.empty() || std::ssize(labels) == count, function, rule,
          [&] { return counted(labels.size(), "labels for ") + std::to_string(count); });
}

/// All rules of a heatmap but its size.
void check_panel(const Heatmap& panel, std::string_view function) {
  const Shape& shape = panel.values.shape();
  require(shape.rank() == 2 && panel.values.element_count() > 0, function,
          "values must have two dimensions and at least one element",
          [&] { return "shape " + to_string(shape); });
  check_labels(panel.row_labels, shape[0], "row_labels must be none or one per row", function);
  check_labels(panel.column_labels, shape[1], "column_labels must be none or one per column",
               function);
  check_color(panel.color, function);
  require(panel.decimals >= 0 && panel.decimals <= 10, function, "decimals must lie in [0, 10]",
          [&] { return std::to_string(panel.decimals); });
  require(panel.annotation != Annotation::always || panel.values.element_count() <= kMaxAnnotated,
          function, "at most 10000 cells can be annotated",
          [&] { return std::to_string(panel.values.element_count()); });
}

void check_finite(const std::vector<double>& values, std::string_view rule,
                  std::string_view function) {
  const auto broken =
      std::ranges::find_if(values, [](double value) { return !std::isfinite(value); });
  require(broken == values.end(), function, rule, [&] {
    return to_text(*broken) + " at index " + std::to_string(broken - values.begin());
  });
}

void check_bins(const Histogram& figure, std::string_view function) {
  require(figure.edges.size() == figure.counts.size() + 1, function,
          "edges must be one more than counts", [&] {
            return counted(figure.edges.size(), "edges, ") +
                   counted(figure.counts.size(), "counts");
          });
  check_finite(figure.edges, "edges must be finite", function);
  check_finite(figure.counts, "counts must be finite", function);
  const auto falling = std::ranges::adjacent_find(figure.edges, std::greater_equal<>{});
  require(falling == figure.edges.end(), function, "edges must rise",
          [&] { return to_text(falling[0]) + " before " + to_text(falling[1]); });
  const auto negative = std::ranges::find_if(figure.counts, [](double n) { return n < 0; });
  require(negative == figure.counts.end(), function, "counts must not be negative",
          [&] { return to_text(*negative); });
}

void check_on_axis(const std::vector<double>& values, const Axis& axis, std::string_view rule,
                   std::string_view function) {
  const auto broken = std::ranges::find_if(values, [&](double value) {
    return std::isinf(value) || (axis.scale == Scale::log && value <= 0);
  });
  require(broken == values.end(), function, rule, [&] {
    return to_text(*broken) + " at index " + std::to_string(broken - values.begin());
  });
}

void check_series(const Series& series, const LineChart& figure, std::string_view function) {
  const std::size_t count = series.x.size();
  require(count > 0 && series.y.size() == count, function,
          "a series must have as many y as x, and at least one", [&] {
            return "series \"" + clean(series.name) + "\": " + counted(count, "x, ") +
                   counted(series.y.size(), "y");
          });
  for (const std::vector<double>* const end : {&series.lower, &series.upper}) {
    require(series.lower.size() == series.upper.size() && (end->empty() || end->size() == count),
            function, "lower and upper must be none or one per point", [&] {
              return "series \"" + clean(series.name) + "\": " + counted(count, "points, ") +
                     counted(series.lower.size(), "lower, ") +
                     counted(series.upper.size(), "upper");
            });
  }
  check_finite(series.x, "x must be finite", function);
  check_on_axis(series.x, figure.x, "x must be positive on a log axis", function);
  check_on_axis(series.y, figure.y, "y must not be infinite, and positive on a log axis", function);
  check_on_axis(series.lower, {.title = {}}, "a band must not be infinite", function);
  check_on_axis(series.upper, figure.y, "upper must not be infinite, and positive on a log axis",
                function);
}

}  // namespace

void check(const Heatmap& figure, std::string_view function) {
  check_size(figure.width, figure.height, function);
  check_panel(figure, function);
}

void check(const HeatmapGrid& figure, std::string_view function) {
  check_size(figure.width, figure.height, function);
  require(!figure.panels.empty(), function, "there must be at least one panel",
          [] { return "none"; });
  require(figure.columns >= 0, function, "columns must not be negative",
          [&] { return std::to_string(figure.columns); });
  check_color(figure.color, function);
  for (const Heatmap& panel : figure.panels) {
    check_panel(panel, function);
  }
}

void check(const Histogram& figure, std::string_view function) {
  check_size(figure.width, figure.height, function);
  require(figure.values.empty() != figure.counts.empty(), function,
          "there must be values, or edges and counts, but not both", [&] {
            return counted(figure.values.size(), "values, ") +
                   counted(figure.counts.size(), "counts");
          });
  require(figure.bins >= 0 && figure.bins <= kMostBins, function, "bins must lie in [0, 1000]",
          [&] { return std::to_string(figure.bins); });
  check_finite(figure.values, "values must be finite", function);
  if (figure.values.empty()) {
    check_bins(figure, function);
  }
  for (const Marker& marker : figure.markers) {
    require(std::isfinite(marker.at), function, "markers must stand at a finite value",
            [&] { return to_text(marker.at); });
  }
}

void check(const BarChart& figure, std::string_view function) {
  check_size(figure.width, figure.height, function);
  require(!figure.bars.empty(), function, "there must be at least one bar", [] { return "none"; });
  for (const Bar& bar : figure.bars) {
    const Interval interval = bar.interval.value_or(Interval{});
    for (const double value :
         {bar.value, interval.low, interval.high, bar.reference.value_or(0.0)}) {
      require(std::isfinite(value), function, "values of bars must be finite",
              [&] { return to_text(value); });
    }
    require(interval.low <= interval.high, function, "an interval must have low <= high",
            [&] { return "low " + to_text(interval.low) + ", high " + to_text(interval.high); });
  }
}

void check(const LineChart& figure, std::string_view function) {
  check_size(figure.width, figure.height, function);
  require(!figure.series.empty(), function, "there must be at least one series",
          [] { return "none"; });
  check_limits(figure.x.minimum, figure.x.maximum, figure.x.scale, function);
  check_limits(figure.y.minimum, figure.y.maximum, figure.y.scale, function);
  for (const Series& series : figure.series) {
    check_series(series, figure, function);
  }
}

}  // namespace attention::render::detail
