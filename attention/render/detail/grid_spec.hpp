#pragma once

#include <string>
#include <vector>

#include <attention/render/figure.hpp>

/// Private to the room: one heatmap and a grid of them, seen alike.
namespace attention::render::detail {

/// What there is to lay out; a single heatmap is a grid of one panel. The figure owns the panels
/// and the colour scale.
struct GridSpec {
  std::vector<const Heatmap*> panels = {};
  int columns = 1;
  std::string title = {};
  ScaleSharing sharing = ScaleSharing::shared;
  const ColorScale* color = nullptr;
  bool has_panel_titles = false;
  double width = 0;
  double height = 0;
};

GridSpec spec_of(const Heatmap& figure);
GridSpec spec_of(const HeatmapGrid& figure);

/// What the panels of a grid have in common, and the largest sizes among them.
struct GridTraits {
  /// Axis titles, labels of rows and of columns (never without the titles), titles of colour bars.
  bool shares_titles = true;
  bool shares_rows = true;
  bool shares_columns = true;
  bool shares_bar_title = true;
  bool has_row_title = false;
  bool has_column_title = false;
  std::int64_t most_rows = 0;
  std::int64_t most_columns = 0;

  explicit GridTraits(const GridSpec& spec);
};

}  // namespace attention::render::detail
