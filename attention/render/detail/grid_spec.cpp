#include <algorithm>
#include <cmath>

#include <attention/render/detail/grid_spec.hpp>

namespace attention::render::detail {
namespace {

template <class Member>
bool all_same(const std::vector<const Heatmap*>& panels, const Member& member) {
  return std::ranges::all_of(
      panels, [&](const Heatmap* panel) { return member(*panel) == member(*panels.front()); });
}

/// From the square's to twice its side, the number that leaves the fewest places empty.
int chosen_columns(int panels) {
  const double side = std::sqrt(panels);
  int best = static_cast<int>(std::ceil(side));
  const auto empty = [&](int columns) { return (columns - panels % columns) % columns; };
  for (int columns = best + 1; columns <= 2 * side; ++columns) {
    best = empty(columns) < empty(best) ? columns : best;
  }
  return best;
}

}  // namespace

GridSpec spec_of(const Heatmap& figure) {
  return {.panels = {&figure},
          .title = figure.title,
          .color = &figure.color,
          .width = figure.width,
          .height = figure.height};
}

GridSpec spec_of(const HeatmapGrid& figure) {
  GridSpec spec{.columns = figure.columns,
                .title = figure.title,
                .sharing = figure.sharing,
                .color = &figure.color,
                .has_panel_titles = true,
                .width = figure.width,
                .height = figure.height};
  for (const Heatmap& panel : figure.panels) {
    spec.panels.push_back(&panel);
  }
  if (spec.columns == 0) {
    spec.columns = chosen_columns(static_cast<int>(spec.panels.size()));
  }
  return spec;
}

GridTraits::GridTraits(const GridSpec& spec) {
  const std::vector<const Heatmap*>& panels = spec.panels;
  shares_titles = all_same(panels, [](const Heatmap& p) { return p.row_title; }) &&
                  all_same(panels, [](const Heatmap& p) { return p.column_title; });
  shares_rows = shares_titles && all_same(panels, [](const Heatmap& p) { return p.row_labels; }) &&
                all_same(panels, [](const Heatmap& p) { return p.values.size(0); });
  shares_columns = shares_titles &&
                   all_same(panels, [](const Heatmap& p) { return p.column_labels; }) &&
                   all_same(panels, [](const Heatmap& p) { return p.values.size(1); });
  shares_bar_title = all_same(panels, [](const Heatmap& p) { return p.color.title; });
  for (const Heatmap* const panel : panels) {
    most_rows = std::max(most_rows, panel->values.size(0));
    most_columns = std::max(most_columns, panel->values.size(1));
    has_row_title = has_row_title || !panel->row_title.empty();
    has_column_title = has_column_title || !panel->column_title.empty();
  }
}

}  // namespace attention::render::detail
