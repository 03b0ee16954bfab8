#pragma once

#include <optional>
#include <string>
#include <vector>

#include <attention/render/detail/color_axis.hpp>
#include <attention/render/detail/grid_spec.hpp>
#include <attention/render/detail/labels.hpp>
#include <attention/render/detail/scene.hpp>

/// Private to the room: where the parts of heatmaps stand, measured before anything is drawn.
namespace attention::render::detail {

/// A colour bar and what stands beside it.
struct BarPlan {
  ColorAxis axis = {};
  Box box = {};
  /// Lines of the title, from the bar outwards, and the left edge of the first.
  std::vector<std::string> title = {};
  double title_x = 0;
};

/// The titles of the axes of one panel, or of all together: their texts, the left edge of the one
/// and the upper edge of the other, and the centre of what they name.
struct AxisTitles {
  std::string row = {};
  std::string column = {};
  double row_x = 0;
  double column_y = 0;
  Point centre = {};
};

struct PanelPlan {
  const Heatmap* figure = nullptr;
  ColorAxis axis = {};
  Box plot = {};
  std::vector<std::string> title = {};
  /// Without texts where they stand at another panel.
  Labels rows = {};
  Labels columns = {};
};

struct GridPlan {
  double width = 0;
  double height = 0;
  std::vector<std::string> title = {};
  std::vector<PanelPlan> panels = {};
  std::vector<AxisTitles> axis_titles = {};
  std::vector<BarPlan> bars = {};
  /// The size of the type in the cells; 0: no values in them.
  double annotation_size = 0;
};

/// Throws Error, in the name of `function`, when the given size leaves no room for the cells.
GridPlan lay_out(const GridSpec& spec, const Font& font, std::string_view function);

/// A colour bar with the points and the key below has this length at least.
inline constexpr double kLeastBar = 60;
/// What a colour bar takes of its box: its own width, and at the ends what is cut off for them.
inline constexpr double kBarWidth = 12;
inline constexpr double kBarEnd = 9;
inline constexpr double kBarTextGap = 6;
/// Below the bar, for the key of cells without a value.
inline constexpr double kBarKey = 24;
/// Between a cell's value and its edges.
inline constexpr double kCellPadding = 3;

}  // namespace attention::render::detail
