#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/render/detail/draw.hpp>
#include <attention/render/detail/style.hpp>

namespace attention::render::detail {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

template <class Kind>
Scene scene_of(const Kind& figure) {
  const Font font;
  return draw(figure, font, "draw_test");
}

template <class Shape>
std::vector<Shape> all(const Scene& scene) {
  std::vector<Shape> shapes;
  for (const Scene::Item& item : scene.items) {
    if (const auto* shape = std::get_if<Shape>(&item)) {
      shapes.push_back(*shape);
    }
  }
  return shapes;
}

std::vector<std::string> words(const Scene& scene) {
  std::vector<std::string> result;
  for (const Text& text : all<Text>(scene)) {
    result.push_back(text.text);
  }
  return result;
}

TEST(DrawHeatmap, PutsTheFirstRowOnTopAndWritesValues) {
  const Scene scene = scene_of(Heatmap{.values = Tensor<double>({2, 2}, {0.1, 0.2, 0.3, -0.4}),
                                       .row_labels = {"A1", "A2"},
                                       .column_labels = {"B1", "B2"},
                                       .title = "Title"});
  const std::vector<Rectangle> cells = all<Rectangle>(scene);
  ASSERT_EQ(cells.size(), 4U);
  EXPECT_LT(cells[0].box.x, cells[1].box.x);
  EXPECT_EQ(cells[0].box.y, cells[1].box.y);
  EXPECT_LT(cells[0].box.y, cells[2].box.y);
  EXPECT_EQ(cells[2].color, sample(Colormap::blues, 1));
  EXPECT_EQ(cells[3].color, sample(Colormap::blues, 0));
  // White shows between the cells.
  EXPECT_EQ(cells[1].box.x - cells[0].box.right(), 1);
  const std::vector<std::string> shown = words(scene);
  for (const char* text : {"Title", "0.10", "0.20", "0.30", "−0.40", "A1", "A2", "B1", "B2",
                           "Query position", "Key position", "Attention weight"}) {
    EXPECT_EQ(std::count(shown.begin(), shown.end(), text), 1) << text;
  }
}

TEST(DrawHeatmap, WritesValuesInTheColorThatCanBeRead) {
  Heatmap figure{.values = Tensor<double>(Shape{5, 5})};
  for (std::int64_t i = 0; i < 25; ++i) {
    figure.values.data()[i] = static_cast<double>(i) / 24;
  }
  for (const Colormap map : {Colormap::blues, Colormap::viridis, Colormap::diverging}) {
    figure.color.colormap = map;
    const Scene scene = scene_of(figure);
    const std::vector<Rectangle> cells = all<Rectangle>(scene);
    int found = 0;
    for (const Text& text : all<Text>(scene)) {
      for (const Rectangle& cell : cells) {
        const Point centre = text.box.centre();
        if (centre.x > cell.box.x && centre.x < cell.box.right() && centre.y > cell.box.y &&
            centre.y < cell.box.bottom()) {
          EXPECT_GE(contrast(text.style.color, cell.color), 4.5);
          EXPECT_LE(text.box.width, cell.box.width);
          ++found;
        }
      }
    }
    EXPECT_EQ(found, 25);
  }
}

TEST(DrawHeatmap, AnnotatesByRule) {
  const auto has_values = [](Heatmap figure) {
    figure.decimals = 4;  // more than the colour bar's ticks have
    const std::vector<std::string> shown = words(scene_of(figure));
    return std::count(shown.begin(), shown.end(), "0.5230") > 0;
  };
  EXPECT_TRUE(has_values({.values = Tensor<double>::filled({6, 6}, 0.523)}));
  EXPECT_FALSE(has_values(
      {.values = Tensor<double>::filled({6, 6}, 0.523), .annotation = Annotation::never}));
  EXPECT_FALSE(has_values({.values = Tensor<double>::filled({60, 60}, 0.523)}));
  EXPECT_TRUE(has_values(
      {.values = Tensor<double>::filled({60, 60}, 0.523), .annotation = Annotation::always}));
  const std::vector<std::string> three =
      words(scene_of(Heatmap{.values = Tensor<double>::filled({2, 2}, 0.5), .decimals = 3}));
  EXPECT_THAT(three, Contains("0.500"));
}

TEST(DrawHeatmap, HatchesWhatIsNotANumberAndExplainsIt) {
  Heatmap figure{.values = Tensor<double>({1, 3}, {0.0, kNaN, 1.0})};
  const Scene scene = scene_of(figure);
  const std::vector<Rectangle> cells = all<Rectangle>(scene);
  ASSERT_EQ(cells.size(), 4U);
  EXPECT_EQ(cells[1].color, kNoValue);
  EXPECT_EQ(cells[3].color, kNoValue);
  EXPECT_THAT(words(scene), Contains("NaN"));
  EXPECT_THAT(words(scene), Not(Contains("nan")));
  int hatches = 0;
  for (const Path& path : all<Path>(scene)) {
    if (path.color == kHatchGrey) {
      ++hatches;
      for (const Point& point : path.points) {
        const auto inside = [&](const Box& box) {
          return point.x >= box.x - 1e-9 && point.x <= box.right() + 1e-9 &&
                 point.y >= box.y - 1e-9 && point.y <= box.bottom() + 1e-9;
        };
        EXPECT_TRUE(inside(cells[1].box) || inside(cells[3].box));
      }
    }
  }
  EXPECT_GT(hatches, 10);
  figure.values(0, 1) = 0.5;
  EXPECT_THAT(words(scene_of(figure)), Not(Contains("NaN")));
}

TEST(DrawHeatmap, ShowsBarTicksForSmallRangesAndLogScales) {
  Heatmap figure{.values = Tensor<double>({2, 2}, {0.163, 0.17, 0.17, 0.171})};
  EXPECT_THAT(words(scene_of(figure)), testing::IsSupersetOf({"0.164", "0.166", "0.168", "0.170"}));
  figure.values = Tensor<double>({2, 2}, {0.0, 1e-5, 1.0, 1.0});
  figure.color.scale = Scale::log;
  EXPECT_THAT(words(scene_of(figure)),
              testing::IsSupersetOf({"0", "1e-5", "1.00", "10⁻⁴", "10⁻²", "10⁰"}));
  figure.color = {.minimum = 0.25, .maximum = 0.5};
  // Pointed ends: more is below and above.
  const std::vector<Path> paths = all<Path>(scene_of(figure));
  EXPECT_EQ(std::count_if(paths.begin(), paths.end(),
                          [](const Path& path) { return path.paint == Path::Paint::fill; }),
            2);
}

TEST(DrawHeatmap, DrawsLargeMatricesAsOneImage) {
  Heatmap figure{.values = Tensor<double>(Shape{100, 100})};
  figure.values(0, 1) = 1;
  const Scene scene = scene_of(figure);
  ASSERT_EQ(all<Raster>(scene).size(), 1U);
  EXPECT_TRUE(all<Rectangle>(scene).empty());
  const Raster raster = all<Raster>(scene)[0];
  EXPECT_EQ(raster.pixels.size(),
            static_cast<std::size_t>(raster.columns) * static_cast<std::size_t>(raster.rows));
  EXPECT_EQ(raster.columns % 100, 0);
  const auto dark =
      std::count(raster.pixels.begin(), raster.pixels.end(), sample(Colormap::blues, 1));
  EXPECT_EQ(dark, raster.columns / 100 * (raster.rows / 100));
  EXPECT_EQ(raster.pixels[static_cast<std::size_t>(raster.columns / 100)],
            sample(Colormap::blues, 1));
}

TEST(DrawHeatmap, AveragesCellsBelowAPixel) {
  Heatmap figure{.values = Tensor<double>(Shape{3000, 3000})};
  for (std::int64_t i = 0; i < 3000; ++i) {
    for (std::int64_t j = 0; j < 3000; ++j) {
      figure.values(i, j) = static_cast<double>((i + j) % 2);
    }
  }
  const Raster raster = all<Raster>(scene_of(figure))[0];
  EXPECT_LT(raster.columns, 1000);
  // Every block holds zeros and ones: no pixel is as light or as dark as a cell.
  for (const Color& pixel : raster.pixels) {
    ASSERT_GT(pixel.red, sample(Colormap::blues, 0.7).red);
    ASSERT_LT(pixel.red, sample(Colormap::blues, 0.3).red);
  }
}

TEST(DrawGrid, SharesOrSeparatesScales) {
  HeatmapGrid grid{.panels = {{.values = Tensor<double>({1, 2}, {0.0, 0.1}), .title = "Head 0"},
                              {.values = Tensor<double>({1, 2}, {0.5, 1.0}), .title = "Head 1"}}};
  const std::vector<Rectangle> shared = all<Rectangle>(scene_of(grid));
  EXPECT_EQ(shared[1].color, sample(Colormap::blues, 0.1));
  EXPECT_EQ(all<Gradient>(scene_of(grid)).size(), 1U);
  EXPECT_THAT(words(scene_of(grid)), testing::IsSupersetOf({"Head 0", "Head 1"}));
  grid.sharing = ScaleSharing::separate;
  grid.panels[1].color.colormap = Colormap::viridis;
  const std::vector<Rectangle> separate = all<Rectangle>(scene_of(grid));
  EXPECT_EQ(separate[1].color, sample(Colormap::blues, 1));
  EXPECT_EQ(separate[3].color, sample(Colormap::viridis, 1));
  EXPECT_EQ(all<Gradient>(scene_of(grid)).size(), 2U);
}

TEST(DrawGrid, ChoosesColumns) {
  const auto columns = [](int panels) {
    HeatmapGrid grid{.panels = {}};
    for (int i = 0; i < panels; ++i) {
      grid.panels.push_back(
          {.values = Tensor<double>(Shape{1, 1}), .annotation = Annotation::never});
    }
    const std::vector<Rectangle> cells = all<Rectangle>(scene_of(grid));
    return std::count_if(cells.begin(), cells.end(),
                         [&](const Rectangle& cell) { return cell.box.y == cells[0].box.y; });
  };
  std::vector<std::ptrdiff_t> found;
  for (const int panels : {1, 2, 3, 4, 6, 8, 9, 12, 16}) {
    found.push_back(columns(panels));
  }
  EXPECT_THAT(found, ElementsAre(1, 2, 3, 2, 3, 4, 3, 4, 4));
}

TEST(DrawHistogram, DrawsBarsAndMarkers) {
  const Histogram figure{
      .edges = {0, 1, 2, 4},
      .counts = {1, 0, 3},
      .markers = {{.at = 1, .label = "mean"}, {.at = 6, .label = "one draw (seed 42)"}}};
  const Scene scene = scene_of(figure);
  const std::vector<Rectangle> bars = all<Rectangle>(scene);
  ASSERT_EQ(bars.size(), 2U);
  EXPECT_NEAR(bars[1].box.height / bars[0].box.height, 3, 1e-9);
  EXPECT_NEAR((bars[1].box.width + 1) / (bars[0].box.width + 1), 2, 1e-9);
  EXPECT_EQ(bars[0].box.bottom(), bars[1].box.bottom());
  EXPECT_THAT(words(scene),
              testing::IsSupersetOf({"mean", "one draw (seed 42)", "Value", "Count"}));
  // Direct labels need no legend; crowded ones do.
  Histogram crowded = figure;
  crowded.markers.push_back({.at = 1.001, .label = "another one"});
  const auto dashed = [](const Scene& drawn) {
    const std::vector<Path> paths = all<Path>(drawn);
    return std::count_if(paths.begin(), paths.end(), [](const Path& path) {
      return path.points.front().y == path.points.back().y && path.line_width == 1.75;
    });
  };
  EXPECT_EQ(dashed(scene), 0);
  EXPECT_EQ(dashed(scene_of(crowded)), 3);
}

TEST(DrawBarChart, StandsBarsOnZero) {
  const BarChart figure{
      .bars = {{.label = "a", .value = 2, .interval = Interval{.low = 1, .high = 3}},
               {.label = "b", .value = -1, .reference = -0.5}}};
  const Scene scene = scene_of(figure);
  const std::vector<Rectangle> bars = all<Rectangle>(scene);
  ASSERT_EQ(bars.size(), 2U);
  EXPECT_NEAR(bars[0].box.bottom(), bars[1].box.y, 1e-9);
  EXPECT_NEAR(bars[0].box.height / bars[1].box.height, 2, 1e-9);
  EXPECT_THAT(words(scene), testing::IsSupersetOf({"a", "b", "95% interval", "exact"}));
  const Scene bare = scene_of(BarChart{.bars = {{.label = "a", .value = 2}}});
  EXPECT_THAT(words(bare), Not(Contains("exact")));
  EXPECT_THAT(words(bare), Not(Contains("95% interval")));
  EXPECT_EQ(
      all<Rectangle>(scene_of(BarChart{.bars = {{.label = "none", .value = 0}}}))[0].box.height, 0);
}

TEST(DrawLineChart, BreaksLinesAtNaNAndShowsLonePoints) {
  const LineChart figure{.series = {{.name = "loss",
                                     .x = {1, 2, 3, 4, 5, 6},
                                     .y = {1, 2, kNaN, 3, kNaN, 4},
                                     .lower = {0, 1, 1, 2, 2, 3},
                                     .upper = {2, 3, kNaN, 4, 4, 5}}}};
  const Scene scene = scene_of(figure);
  std::vector<std::size_t> lines;
  std::vector<std::size_t> bands;
  for (const Path& path : all<Path>(scene)) {
    if (path.clip && path.paint == Path::Paint::stroke) {
      lines.push_back(path.points.size());
    } else if (path.clip) {
      bands.push_back(path.points.size());
    }
  }
  EXPECT_THAT(lines, ElementsAre(2, 1, 1));
  EXPECT_THAT(bands, ElementsAre(4, 6));
  EXPECT_EQ(all<Disc>(scene).size(), 2U);
  EXPECT_THAT(words(scene), Contains("loss"));
}

TEST(DrawLineChart, IsLinearInTheLogarithmOnLogAxes) {
  const LineChart figure{.series = {{.x = {1, 10, 100},
                                     .y = {1e-3, 1e-2, 1e-1},
                                     .lower = {-1, 1e-3, 1e-2},
                                     .upper = {1, 1, 1}}},
                         .x = {.scale = Scale::log},
                         .y = {.scale = Scale::log, .minimum = 1e-3}};
  for (const Path& path : all<Path>(scene_of(figure))) {
    for (const Point& point : path.points) {
      EXPECT_TRUE(std::isfinite(point.x) && std::isfinite(point.y));
    }
    if (path.clip && path.paint == Path::Paint::stroke) {
      EXPECT_NEAR(path.points[1].x - path.points[0].x, path.points[2].x - path.points[1].x, 1e-9);
      EXPECT_NEAR(path.points[1].y - path.points[0].y, path.points[2].y - path.points[1].y, 1e-9);
      // The given minimum is the lower edge.
      EXPECT_NEAR(path.points[0].y, path.clip->bottom(), 1e-9);
    }
  }
}

TEST(DrawLineChart, UsesEveryColorBeforeDashes) {
  LineChart figure{.series = {}};
  for (int i = 0; i < 8; ++i) {
    figure.series.push_back({.x = {0, 1}, .y = {0, static_cast<double>(i)}});
  }
  std::vector<Path> lines;
  for (const Path& path : all<Path>(scene_of(figure))) {
    if (path.clip) {
      lines.push_back(path);
    }
  }
  ASSERT_EQ(lines.size(), 8U);
  EXPECT_EQ(lines[0].color, lines[7].color);
  EXPECT_TRUE(lines[6].dashes.empty());
  EXPECT_FALSE(lines[7].dashes.empty());
}

TEST(Typographic, WritesNumbersAsPrinted) {
  EXPECT_EQ(typographic("-0.5"), "−0.5");
  EXPECT_EQ(typographic("1e-4"), "10⁻⁴");
  EXPECT_EQ(typographic("2.5e12"), "2.5×10¹²");
  EXPECT_EQ(typographic("-3e0"), "−3×10⁰");
  EXPECT_EQ(typographic("inf"), "inf");
}

}  // namespace
}  // namespace attention::render::detail
