#include <algorithm>
#include <array>

#include <attention/render/detail/bins.hpp>
#include <attention/render/detail/chart.hpp>
#include <attention/render/detail/draw.hpp>
#include <attention/render/detail/style.hpp>

namespace attention::render::detail {
namespace {

/// The bars have the first of the series' colours, lighter.
Color marker_color(std::size_t index) {
  return kSeriesColors[1 + index % (kSeriesColors.size() - 1)];
}

/// Readers tell lines apart by their dashes too.
std::vector<double> marker_dashes(std::size_t index) {
  const std::array<std::vector<double>, 4> dashes = {
      std::vector<double>{}, {6, 3}, {9, 3, 2, 3}, {3, 2}};
  return dashes[index % dashes.size()];
}

Range range_of(const Bins& bins, const Histogram& figure) {
  Range range{.low = bins.edges.front(), .high = bins.edges.back()};
  for (const Marker& marker : figure.markers) {
    range.low = std::min(range.low, marker.at);
    range.high = std::max(range.high, marker.at);
  }
  return widened(range, 0.02, Scale::linear);
}

ChartSpec spec_of(const Histogram& figure, const Bins& bins) {
  const double most = std::ranges::max(bins.counts);
  return {
      .title = figure.title,
      .x = {.title = figure.value_title, .range = range_of(bins, figure)},
      .y = {.title = figure.count_title, .range = {.low = 0, .high = most > 0 ? most * 1.05 : 1}},
      .width = figure.width,
      .height = figure.height};
}

}  // namespace

Scene draw(const Histogram& figure, const Font& font, std::string_view function) {
  const Bins bins = bins_of(figure);
  ChartSpec spec = spec_of(figure, bins);
  for (const Marker& marker : figure.markers) {
    spec.top_labels.push_back({.at = marker.at, .text = marker.label});
  }
  if (!fit_on_top(spec, font, function)) {
    spec.top_labels.clear();
    for (std::size_t i = 0; i < figure.markers.size(); ++i) {
      spec.legend.push_back(
          {.name = figure.markers[i].label, .color = marker_color(i), .dashes = marker_dashes(i)});
    }
  }
  Scene scene;
  const Frame frame = draw_frame(scene, font, spec, function);
  for (std::size_t i = 0; i < bins.counts.size(); ++i) {
    const Point low = frame.at(bins.edges[i], 0);
    const Point high = frame.at(bins.edges[i + 1], bins.counts[i]);
    const double gap = high.x - low.x >= 4 ? 1 : 0;
    if (bins.counts[i] > 0) {
      scene.add(Rectangle{.box = {.x = low.x + gap / 2,
                                  .y = high.y,
                                  .width = high.x - low.x - gap,
                                  .height = low.y - high.y},
                          .color = kBarColor});
    }
  }
  draw_level(scene, frame, frame.y_of(0));
  for (std::size_t i = 0; i < figure.markers.size(); ++i) {
    const double x = frame.x_of(figure.markers[i].at);
    // White on both sides lifts the line off the bars.
    scene.line({.x = x, .y = frame.plot.y}, {.x = x, .y = frame.plot.bottom()}, kWhite, 4);
    scene.add(Path{.points = {{.x = x, .y = frame.plot.y}, {.x = x, .y = frame.plot.bottom()}},
                   .color = marker_color(i),
                   .line_width = 1.75,
                   .dashes = marker_dashes(i)});
  }
  return scene;
}

}  // namespace attention::render::detail
