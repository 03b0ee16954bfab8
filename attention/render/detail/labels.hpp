#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <attention/render/detail/scene.hpp>

/// Private to the room: labels along one side of a row of cells or bars.
namespace attention::render::detail {

/// One at every `step`-th cell, so that none touches the next.
struct Labels {
  /// Harmless and no longer than the room; empty when nothing is to be shown.
  std::vector<std::string> texts = {};
  std::int64_t step = 1;
  Turn turn = Turn::none;
  /// How far the longest reaches away from the cells.
  double extent = 0;
};

/// What labels are made from: one text per cell, or none (then positions from 0), the size of a
/// cell along the side, and how far labels may reach away from it.
struct LabelRequest {
  const std::vector<std::string>* texts = nullptr;
  std::int64_t count = 0;
  double cell = 0;
  double room = 0;
};

/// Labels to the left of rows: never turned, thinned out where rows are lower than a line.
Labels row_labels(const Font& font, const LabelRequest& request);

/// Labels below columns: turned upright where given texts are wider than a column; positions stay
/// level and are thinned out.
Labels column_labels(const Font& font, const LabelRequest& request);

/// Puts the labels to the left of the box, or below it, with a small mark at each cell where not
/// all of them have one.
void draw_row_labels(Scene& scene, const Font& font, const Labels& labels, const Box& box);
void draw_column_labels(Scene& scene, const Font& font, const Labels& labels, const Box& box);

}  // namespace attention::render::detail
