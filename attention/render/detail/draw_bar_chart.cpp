#include <algorithm>
#include <cmath>

#include <attention/render/detail/chart.hpp>
#include <attention/render/detail/draw.hpp>
#include <attention/render/detail/style.hpp>

namespace attention::render::detail {
namespace {

constexpr double kBarShare = 0.62;
constexpr double kWidestBar = 90;
constexpr double kReferenceShare = 0.8;
constexpr double kErrorLine = 1.25;
constexpr double kReferenceLine = 2.25;
constexpr Color kReferenceColor = kSeriesColors[1];

/// All that is shown, from 0; room is left where data ends, not at 0.
Range range_of(const BarChart& figure) {
  double low = 0;
  double high = 0;
  const auto add = [&](double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  };
  for (const Bar& bar : figure.bars) {
    add(bar.value);
    add(bar.reference.value_or(0));
    if (bar.interval) {
      add(bar.interval->low);
      add(bar.interval->high);
    }
  }
  const Range range = low == 0 && high == 0 ? Range{} : usable_range(low, high, Scale::linear);
  const Range wide = widened(range, 0.05, Scale::linear);
  return {.low = low < 0 ? wide.low : 0, .high = high > 0 || low == 0 ? wide.high : 0};
}

std::vector<LegendEntry> legend_of(const BarChart& figure) {
  std::vector<LegendEntry> legend;
  const auto any = [&](const auto& has) { return std::ranges::any_of(figure.bars, has); };
  if (!figure.interval_label.empty() &&
      any([](const Bar& bar) { return bar.interval.has_value(); })) {
    legend.push_back({.name = figure.interval_label,
                      .color = kInk,
                      .sign = LegendEntry::Sign::error_bar,
                      .line_width = kErrorLine});
  }
  if (!figure.reference_label.empty() &&
      any([](const Bar& bar) { return bar.reference.has_value(); })) {
    legend.push_back(
        {.name = figure.reference_label, .color = kReferenceColor, .line_width = kReferenceLine});
  }
  return legend;
}

void draw_bar(Scene& scene, const Frame& frame, const Bar& bar, double x, double cell) {
  const double width = std::min(kBarShare * cell, kWidestBar);
  const double zero = frame.y_of(0);
  const double value = frame.y_of(bar.value);
  scene.add(Rectangle{.box = {.x = x - width / 2,
                              .y = std::min(zero, value),
                              .width = width,
                              .height = std::abs(zero - value)},
                      .color = kBarColor});
  if (bar.reference) {
    const double y = frame.y_of(*bar.reference);
    const double half = width * kReferenceShare / kBarShare / 2;
    scene.line({.x = x - half, .y = y}, {.x = x + half, .y = y}, kWhite, kReferenceLine + 2);
    scene.line({.x = x - half, .y = y}, {.x = x + half, .y = y}, kReferenceColor, kReferenceLine);
  }
  if (bar.interval) {
    const double low = frame.y_of(bar.interval->low);
    const double high = frame.y_of(bar.interval->high);
    const double half = std::min(5.0, width / 4);
    scene.line({.x = x, .y = low}, {.x = x, .y = high}, kInk, kErrorLine);
    for (const double y : {low, high}) {
      scene.line({.x = x - half, .y = y}, {.x = x + half, .y = y}, kInk, kErrorLine);
    }
  }
}

}  // namespace

Scene draw(const BarChart& figure, const Font& font, std::string_view function) {
  ChartSpec spec{.title = figure.title,
                 .x = {.title = figure.category_title, .range = {}},
                 .y = {.title = figure.value_title, .range = range_of(figure)},
                 .legend = legend_of(figure),
                 .width = figure.width,
                 .height = figure.height};
  for (const Bar& bar : figure.bars) {
    spec.categories.push_back(bar.label);
  }
  Scene scene;
  const Frame frame = draw_frame(scene, font, spec, function);
  const double cell = frame.plot.width / static_cast<double>(figure.bars.size());
  for (std::size_t i = 0; i < figure.bars.size(); ++i) {
    const double x = frame.plot.x + (static_cast<double>(i) + 0.5) * cell;
    draw_bar(scene, frame, figure.bars[i], x, cell);
  }
  draw_level(scene, frame, frame.y_of(0));
  return scene;
}

}  // namespace attention::render::detail
