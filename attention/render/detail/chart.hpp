#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <attention/render/detail/labels.hpp>
#include <attention/render/detail/scene.hpp>
#include <attention/render/detail/ticks.hpp>

/// Private to the room: what charts have in common: titles, a legend, axes and a grid.
namespace attention::render::detail {

/// A name and the sign that it explains.
struct LegendEntry {
  enum class Sign { line, line_with_marker, error_bar };
  std::string name = {};
  Color color = {};
  Sign sign = Sign::line;
  double line_width = 1.75;
  std::vector<double> dashes = {};
};

/// A text above the plot at a value of x.
struct TopLabel {
  double at = 0;
  std::string text = {};
};

struct AxisSpec {
  std::string title = {};
  Range range = {};
  Scale scale = Scale::linear;
};

struct ChartSpec {
  std::string title = {};
  AxisSpec x = {};
  AxisSpec y = {};
  /// In the place of ticks along x: one label for each of equal parts of the axis.
  std::vector<std::string> categories = {};
  enum class Grid { horizontal, both };
  Grid grid = Grid::horizontal;
  std::vector<LegendEntry> legend = {};
  std::vector<TopLabel> top_labels = {};
  double width = 0;
  double height = 0;
};

/// Where the plot is, and where values are in it.
struct Frame {
  Box plot = {};
  AxisSpec x = {};
  AxisSpec y = {};

  /// Outside of the plot for values outside of the axes' ranges.
  double x_of(double value) const;
  double y_of(double value) const;
  Point at(double x_value, double y_value) const {
    return {.x = x_of(x_value), .y = y_of(y_value)};
  }
};

/// True when the texts, each centred at its value as far as the plot's sides allow, stand beside
/// each other without touching.
bool fit_on_top(const ChartSpec& spec, const Font& font, std::string_view function);

/// Lays the chart out, and draws all but its data. Throws Error, in the name of `function`, when
/// the given size leaves no room for the plot.
Frame draw_frame(Scene& scene, const Font& font, const ChartSpec& spec, std::string_view function);

/// The line that the data stands on, across the plot at this y of the page.
void draw_level(Scene& scene, const Frame& frame, double y);

}  // namespace attention::render::detail
