#include <algorithm>
#include <cmath>

#include <attention/render/detail/blocks.hpp>
#include <attention/render/detail/draw.hpp>
#include <attention/render/detail/heatmap_layout.hpp>
#include <attention/render/detail/style.hpp>
#include <attention/render/detail/text.hpp>

namespace attention::render::detail {
namespace {

/// More cells, or smaller ones, are drawn as one image.
constexpr std::int64_t kMostShapes = 4096;
constexpr double kLeastShape = 8;
constexpr double kPixelsPerUnit = 2;
constexpr std::int64_t kMostPixels = 4096;
constexpr double kHatchSpacing = 5;
constexpr double kBarTickDistance = 28;

/// Lines from the lower left to the upper right, cut off at the box.
void hatch(Scene& scene, const Box& box) {
  scene.add(Rectangle{.box = box, .color = kNoValue});
  const int lines = static_cast<int>((box.width + box.height) / kHatchSpacing);
  for (int i = 0; i <= lines; ++i) {
    // Point t of a line is (shift + t, -t) from the lower left corner.
    const double shift = (i + 0.5) * kHatchSpacing - box.height;
    const double first = std::max(0.0, -shift);
    const double last = std::min(box.height, box.width - shift);
    if (first < last) {
      scene.line({.x = box.x + shift + first, .y = box.bottom() - first},
                 {.x = box.x + shift + last, .y = box.bottom() - last}, kHatchGrey, 0.75);
    }
  }
}

bool has_shapes(const PanelPlan& panel) {
  const Shape& shape = panel.figure->values.shape();
  return element_count(shape) <= kMostShapes &&
         panel.plot.width / static_cast<double>(shape[1]) >= kLeastShape &&
         panel.plot.height / static_cast<double>(shape[0]) >= kLeastShape;
}

void draw_shapes(Scene& scene, const Font& font, const PanelPlan& panel, double annotation_size) {
  const Heatmap& figure = *panel.figure;
  const std::int64_t rows = figure.values.size(0);
  const std::int64_t columns = figure.values.size(1);
  const double width = panel.plot.width / static_cast<double>(columns);
  const double height = panel.plot.height / static_cast<double>(rows);
  // The background shows between the cells.
  const double gap = std::min(width, height) >= 20 ? 1 : 0.5;
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) {
      const double value = figure.values(i, j);
      const Box cell{.x = panel.plot.x + static_cast<double>(j) * width + gap / 2,
                     .y = panel.plot.y + static_cast<double>(i) * height + gap / 2,
                     .width = width - gap,
                     .height = height - gap};
      if (std::isnan(value)) {
        hatch(scene, cell);
        continue;
      }
      const Color color = panel.axis.color(value);
      scene.add(Rectangle{.box = cell, .color = color});
      if (annotation_size > 0 && figure.annotation != Annotation::never) {
        scene.text(font, with_minus_sign(cell_text(value, figure.decimals, panel.axis.scale)),
                   {.size = annotation_size, .color = text_color_on(color)},
                   {.anchor = cell.centre(), .x = AlignX::centre});
      }
    }
  }
}

void outline(Scene& scene, const Box& box) {
  const Point corner{.x = box.right(), .y = box.bottom()};
  for (const double x : {box.x, corner.x}) {
    scene.line({.x = x, .y = box.y}, {.x = x, .y = corner.y}, kAxisGrey, 0.5);
  }
  for (const double y : {box.y, corner.y}) {
    scene.line({.x = box.x, .y = y}, {.x = corner.x, .y = y}, kAxisGrey, 0.5);
  }
}

/// The pixels along one side: cells that are larger than a pixel are enlarged by a whole number, so
/// that they stay sharp in viewers that smooth images.
struct PixelCount {
  std::int64_t cells;
  std::int64_t pixels_per_cell;

  PixelCount(std::int64_t count, double length) {
    const auto most = std::clamp(static_cast<std::int64_t>(length * kPixelsPerUnit),
                                 std::int64_t{1}, kMostPixels);
    cells = std::min(count, most);
    pixels_per_cell =
        std::max(std::min((most + cells - 1) / cells, kMostPixels / cells), std::int64_t{1});
  }
  std::int64_t all() const { return cells * pixels_per_cell; }
};

void draw_image(Scene& scene, const PanelPlan& panel) {
  const Tensor<double>& values = panel.figure->values;
  const PixelCount down(values.size(0), panel.plot.height);
  const PixelCount across(values.size(1), panel.plot.width);
  const Tensor<double> means = block_means(values, even_blocks(values.size(0), down.cells),
                                           even_blocks(values.size(1), across.cells));
  Raster raster{.box = panel.plot,
                .columns = static_cast<int>(across.all()),
                .rows = static_cast<int>(down.all()),
                .pixels = {}};
  raster.pixels.reserve(static_cast<std::size_t>(down.all() * across.all()));
  for (std::int64_t i = 0; i < down.all(); ++i) {
    for (std::int64_t j = 0; j < across.cells; ++j) {
      const Color color = panel.axis.color(means(i / down.pixels_per_cell, j));
      raster.pixels.insert(raster.pixels.end(), static_cast<std::size_t>(across.pixels_per_cell),
                           color);
    }
  }
  scene.add(std::move(raster));
  outline(scene, panel.plot);
}

void draw_panel(Scene& scene, const Font& font, const PanelPlan& panel, double annotation_size) {
  if (has_shapes(panel) || annotation_size > 0) {
    draw_shapes(scene, font, panel, annotation_size);
  } else {
    draw_image(scene, panel);
  }
  if (!panel.rows.texts.empty()) {
    draw_row_labels(scene, font, panel.rows, panel.plot);
  }
  if (!panel.columns.texts.empty()) {
    draw_column_labels(scene, font, panel.columns, panel.plot);
  }
  double y = panel.plot.y - 4;
  for (auto line = panel.title.rbegin(); line != panel.title.rend(); ++line) {
    scene.text(
        font, *line, kPanelTitleStyle,
        {.anchor = {.x = panel.plot.centre().x, .y = y}, .x = AlignX::centre, .y = AlignY::bottom});
    y -= font.line_height(kPanelTitleStyle);
  }
}

void draw_axis_titles(Scene& scene, const Font& font, const AxisTitles& titles) {
  scene.text(font, titles.row, kAxisTitleStyle,
             {.anchor = {.x = titles.row_x, .y = titles.centre.y}, .turn = Turn::up});
  scene.text(font, titles.column, kAxisTitleStyle,
             {.anchor = {.x = titles.centre.x, .y = titles.column_y},
              .x = AlignX::centre,
              .y = AlignY::top});
}

/// The colours between the ends, a point at each end that values lie beyond, ticks, the title, and
/// below, if there are NaNs, their key.
void draw_bar(Scene& scene, const Font& font, const BarPlan& plan) {
  Box bar = plan.box;
  if (plan.axis.has_nan) {
    bar.height -= kBarKey;
    const Box key{.x = bar.x,
                  .y = bar.bottom() + kBarKey - kBarWidth,
                  .width = kBarWidth,
                  .height = kBarWidth};
    hatch(scene, key);
    scene.text(font, "NaN", kLabelStyle,
               {.anchor = {.x = bar.right() + kBarTextGap, .y = key.centre().y}});
  }
  const auto end_point = [&](double base, double tip, double t) {
    scene.add(Path{.points = {{.x = bar.x, .y = base},
                              {.x = bar.right(), .y = base},
                              {.x = bar.centre().x, .y = tip}},
                   .color = sample(plan.axis.colormap, t),
                   .paint = Path::Paint::fill});
  };
  if (plan.axis.above) {
    end_point(bar.y + kBarEnd, bar.y, 1);
    bar.y += kBarEnd;
    bar.height -= kBarEnd;
  }
  if (plan.axis.below) {
    end_point(bar.bottom() - kBarEnd, bar.bottom(), 0);
    bar.height -= kBarEnd;
  }
  const std::span<const Color> colors = anchors(plan.axis.colormap);
  scene.add(Gradient{.box = bar, .colors = {colors.begin(), colors.end()}});
  const double least = font.line_height(kLabelStyle) / bar.height;
  const int most = std::clamp(static_cast<int>(bar.height / kBarTickDistance), 3, 9);
  for (const Tick& tick : spaced_ticks(plan.axis.range, plan.axis.scale, most, least)) {
    const double share = position(tick.value, plan.axis.range, plan.axis.scale);
    const double y = bar.bottom() - share * bar.height;
    scene.line({.x = bar.right(), .y = y}, {.x = bar.right() + 3, .y = y}, kAxisGrey, 0.75);
    scene.text(font, typographic(tick.text), kLabelStyle,
               {.anchor = {.x = bar.right() + kBarTextGap, .y = y}});
  }
  double x = plan.title_x;
  for (const std::string& line : plan.title) {
    scene.text(font, line, kAxisTitleStyle,
               {.anchor = {.x = x, .y = plan.box.centre().y}, .turn = Turn::up});
    x += font.line_height(kAxisTitleStyle);
  }
}

Scene draw_grid(const GridSpec& spec, const Font& font, std::string_view function) {
  const GridPlan plan = lay_out(spec, font, function);
  Scene scene{.width = plan.width, .height = plan.height, .title = clean(spec.title), .items = {}};
  double y = kMargin;
  for (const std::string& line : plan.title) {
    scene.text(font, line, kTitleStyle,
               {.anchor = {.x = plan.width / 2, .y = y}, .x = AlignX::centre, .y = AlignY::top});
    y += font.line_height(kTitleStyle);
  }
  for (const PanelPlan& panel : plan.panels) {
    draw_panel(scene, font, panel, plan.annotation_size);
  }
  for (const AxisTitles& titles : plan.axis_titles) {
    draw_axis_titles(scene, font, titles);
  }
  for (const BarPlan& bar : plan.bars) {
    draw_bar(scene, font, bar);
  }
  return scene;
}

}  // namespace

Scene draw(const Heatmap& figure, const Font& font, std::string_view function) {
  return draw_grid(spec_of(figure), font, function);
}

Scene draw(const HeatmapGrid& figure, const Font& font, std::string_view function) {
  return draw_grid(spec_of(figure), font, function);
}

}  // namespace attention::render::detail
