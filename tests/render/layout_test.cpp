#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <attention/core/error.hpp>
#include <attention/render/detail/check.hpp>
#include <attention/render/detail/draw.hpp>

namespace attention::render::detail {
namespace {

/// Rounding in the sums of a layout.
constexpr double kSlack = 1e-6;

/// Nothing comes closer to the page's edge.
constexpr double kEdge = 7;

bool overlap(const Box& a, const Box& b) {
  return a.x < b.right() - kSlack && b.x < a.right() - kSlack && a.y < b.bottom() - kSlack &&
         b.y < a.bottom() - kSlack;
}

std::vector<Text> texts_of(const Scene& scene) {
  std::vector<Text> texts;
  for (const Scene::Item& item : scene.items) {
    if (const auto* text = std::get_if<Text>(&item)) {
      texts.push_back(*text);
    }
  }
  return texts;
}

std::vector<Box> boxes_of(const Scene& scene) {
  std::vector<Box> boxes;
  for (const Scene::Item& item : scene.items) {
    if (const auto* shape = std::get_if<Rectangle>(&item)) {
      boxes.push_back(shape->box);
    } else if (const auto* raster = std::get_if<Raster>(&item)) {
      boxes.push_back(raster->box);
    } else if (const auto* gradient = std::get_if<Gradient>(&item)) {
      boxes.push_back(gradient->box);
    }
  }
  return boxes;
}

/// Every text and shape lies on the page, and no text lies on another.
template <class Kind>
Scene expect_sound(const Kind& figure) {
  check(figure, "layout_test");
  const Font font;
  const Scene scene = draw(figure, font, "layout_test");
  const std::vector<Text> texts = texts_of(scene);
  EXPECT_TRUE(std::isfinite(scene.width) && std::isfinite(scene.height));
  const auto expect_on_page = [&](const Box& box, const std::string& what) {
    EXPECT_TRUE(box.x >= kEdge && box.y >= kEdge && box.right() <= scene.width - kEdge &&
                box.bottom() <= scene.height - kEdge && box.width >= 0 && box.height >= 0)
        << what << " at " << box.x << " " << box.y << " " << box.right() << " " << box.bottom()
        << " of " << scene.width << " x " << scene.height;
  };
  for (const Box& box : boxes_of(scene)) {
    expect_on_page(box, "a shape");
  }
  for (std::size_t i = 0; i < texts.size(); ++i) {
    expect_on_page(texts[i].box, texts[i].text);
    for (std::size_t j = 0; j < i; ++j) {
      EXPECT_FALSE(overlap(texts[i].box, texts[j].box))
          << "\"" << texts[i].text << "\" and \"" << texts[j].text << "\"";
    }
  }
  return scene;
}

Tensor<double> matrix(std::int64_t rows, std::int64_t columns) {
  Tensor<double> values({rows, columns});
  std::int64_t n = 0;
  for (double& value : values.values()) {
    value = 0.163 + 0.008 * static_cast<double>((++n * 37) % 101) / 101;
  }
  return values;
}

std::vector<std::string> labels(std::int64_t count, std::size_t length) {
  std::vector<std::string> result;
  for (std::int64_t i = 0; i < count; ++i) {
    std::string label = std::to_string(i) + " label of a token, ";
    while (label.size() < length) {
      label += label;
    }
    result.push_back(label.substr(0, length));
  }
  return result;
}

TEST(HeatmapLayout, IsSoundForManyShapesAndLabels) {
  for (const auto& [rows, columns] : std::vector<std::pair<int, int>>{{1, 1},
                                                                      {1, 9},
                                                                      {4, 4},
                                                                      {6, 6},
                                                                      {13, 7},
                                                                      {64, 64},
                                                                      {3, 200},
                                                                      {200, 3},
                                                                      {1, 1000},
                                                                      {130, 90}}) {
    for (const std::size_t length : {0, 1, 8, 40, 300}) {
      Heatmap figure{.values = matrix(rows, columns),
                     .title = std::string(length, 'T') + " " + std::string(length, 'u')};
      if (length > 0) {
        figure.row_labels = labels(rows, length);
        figure.column_labels = labels(columns, length);
      }
      SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(columns) + ", labels of " +
                   std::to_string(length));
      const Scene scene = expect_sound(figure);
      EXPECT_LE(scene.width, 1400);
      EXPECT_LE(scene.height, 1400);
    }
  }
}

TEST(HeatmapLayout, IsSoundForManySizes) {
  int drawn = 0;
  for (const double width : {0, 100, 180, 250, 320, 640, 1000, 3000}) {
    for (const double height : {0, 100, 160, 240, 480, 2000}) {
      for (const std::size_t length : {0, 8, 60}) {
        Heatmap figure{.values = matrix(6, 6),
                       .title = "Attention weights of the first layer",
                       .width = width,
                       .height = height};
        if (length > 0) {
          figure.row_labels = labels(6, length);
          figure.column_labels = labels(6, length);
        }
        figure.values(0, 0) = std::numeric_limits<double>::quiet_NaN();
        figure.color.minimum = 0.165;
        SCOPED_TRACE(std::to_string(width) + " x " + std::to_string(height) + ", labels of " +
                     std::to_string(length));
        try {
          const Scene scene = expect_sound(figure);
          EXPECT_TRUE(width == 0 || scene.width == width);
          EXPECT_TRUE(height == 0 || scene.height == height);
          ++drawn;
        } catch (const Error& error) {
          EXPECT_STREQ(error.rule().c_str(),
                       "width and height must leave 20 by 60 units for the cells of each panel");
          EXPECT_TRUE((width > 0 && width < 250) || (height > 0 && height < 240)) << error.what();
        }
      }
    }
  }
  EXPECT_GE(drawn, 60);
}

TEST(HeatmapLayout, GivesCellsWholeSizesAndSquares) {
  const Scene scene = expect_sound(Heatmap{.values = matrix(6, 6), .width = 611});
  const std::vector<Box> boxes = boxes_of(scene);
  const double pitch = boxes[1].x - boxes[0].x;
  EXPECT_EQ(pitch, std::round(pitch));
  EXPECT_EQ(boxes[6].y - boxes[0].y, pitch);
  EXPECT_EQ(boxes[0].width, boxes[0].height);
}

HeatmapGrid heads(int count, std::size_t label_length) {
  HeatmapGrid grid{.panels = {}, .title = "All heads of the layer"};
  for (int i = 0; i < count; ++i) {
    Heatmap panel{.values = matrix(6, 6), .title = "Head " + std::to_string(i)};
    if (label_length > 0) {
      panel.row_labels = labels(6, label_length);
      panel.column_labels = labels(6, label_length);
    }
    grid.panels.push_back(std::move(panel));
  }
  return grid;
}

TEST(GridLayout, IsSoundForManyHeads) {
  for (const int count : {1, 2, 3, 5, 8, 12, 16}) {
    for (const std::size_t length : {0, 8, 60}) {
      HeatmapGrid grid = heads(count, length);
      for (const int columns : {0, 1, 5}) {
        grid.columns = columns;
        for (const ScaleSharing sharing : {ScaleSharing::shared, ScaleSharing::separate}) {
          grid.sharing = sharing;
          SCOPED_TRACE(std::to_string(count) + " heads, labels of " + std::to_string(length) +
                       ", columns " + std::to_string(columns));
          expect_sound(grid);
        }
      }
    }
  }
}

TEST(GridLayout, IsSoundForPanelsOfDifferentKinds) {
  for (const ScaleSharing sharing : {ScaleSharing::shared, ScaleSharing::separate}) {
    for (const double width : {0, 900}) {
      HeatmapGrid grid{.panels = {}, .title = "Mixed", .sharing = sharing, .width = width};
      grid.panels.push_back({.values = matrix(6, 6), .row_labels = labels(6, 12)});
      grid.panels.push_back({.values = matrix(3, 8),
                             .column_labels = labels(8, 30),
                             .title = "a title of a panel that is far too long for it",
                             .row_title = "Decoder position",
                             .column_title = "Encoder position"});
      grid.panels.push_back({.values = matrix(40, 2), .title = "tall", .row_title = ""});
      grid.panels.back().color.title = "Score";
      grid.panels.push_back({.values = matrix(1, 1), .title = "one"});
      expect_sound(grid);
    }
  }
}

TEST(GridLayout, ShowsSharedLabelsOnlyAtTheEdge) {
  HeatmapGrid grid{.panels = {}, .columns = 2};
  for (int i = 0; i < 4; ++i) {
    grid.panels.push_back({.values = matrix(2, 2), .row_labels = {"A1", "A2"}});
  }
  const auto count = [&](std::string_view wanted) {
    int found = 0;
    for (const Text& text : texts_of(expect_sound(grid))) {
      found += text.text == wanted ? 1 : 0;
    }
    return found;
  };
  EXPECT_EQ(count("A1"), 2);
  EXPECT_EQ(count("Query position"), 1);
  EXPECT_EQ(count("Attention weight"), 1);
  grid.sharing = ScaleSharing::separate;
  EXPECT_EQ(count("Attention weight"), 2);
  grid.panels[1].row_labels = {"B1", "B2"};
  EXPECT_EQ(count("A1"), 3);
  grid.panels[1].row_title = "Decoder";
  EXPECT_EQ(count("Query position"), 3);
}

TEST(ChartLayout, IsSoundForManyHistograms) {
  for (const std::size_t length : {0, 6, 24, 200}) {
    for (const std::size_t markers : {0, 1, 3, 12}) {
      for (const double width : {0, 300, 1000}) {
        Histogram figure{.title = std::string(length, 'T'),
                         .value_title = std::string(length, 'v'),
                         .width = width};
        for (int i = 0; i < 400; ++i) {
          figure.values.push_back(1e5 * std::sin(i));
        }
        for (std::size_t i = 0; i < markers; ++i) {
          figure.markers.push_back(
              {.at = 3e4 * static_cast<double>(i), .label = std::string(length, 'm')});
        }
        SCOPED_TRACE(std::to_string(length) + " " + std::to_string(markers) + " " +
                     std::to_string(width));
        expect_sound(figure);
      }
    }
  }
}

TEST(ChartLayout, ThinsOutWideTicks) {
  for (const double width : {200, 240, 640}) {
    expect_sound(Histogram{.values = {123456.01, 123456.4, 123456.89}, .width = width});
    expect_sound(Histogram{.values = {-1.23e-8, -1.21e-8, -1.2e-8}, .width = width});
  }
}

TEST(ChartLayout, IsSoundForManyBarCharts) {
  for (const int count : {1, 4, 25, 200}) {
    for (const std::size_t length : {0, 5, 30, 300}) {
      for (const double height : {0, 260}) {
        BarChart figure{.bars = {}, .title = "Bars", .category_title = "Kind", .height = height};
        for (const std::string& label : labels(count, length)) {
          figure.bars.push_back({.label = length > 0 ? label : "",
                                 .value = 3 - static_cast<double>(figure.bars.size()),
                                 .interval = Interval{.low = -5, .high = 4},
                                 .reference = 2.5});
        }
        SCOPED_TRACE(std::to_string(count) + " bars, labels of " + std::to_string(length));
        expect_sound(figure);
      }
    }
  }
}

TEST(ChartLayout, IsSoundForManyLineCharts) {
  for (const double size : {1e-12, 0.01, 1.0, 3e4, 1e15}) {
    for (const Scale scale : {Scale::linear, Scale::log}) {
      for (const int names : {0, 1, 9}) {
        LineChart figure{.series = {},
                         .title = "Lines",
                         .x = {.title = "Length", .scale = scale},
                         .y = {.title = "Seconds", .scale = scale}};
        for (int i = 0; i < std::max(names, 1); ++i) {
          figure.series.push_back(
              {.name = names > 0 ? "a series with a name " + std::to_string(i) : "",
               .x = {size, 2 * size, 50 * size},
               .y = {size, 7 * size, 3000 * size}});
        }
        SCOPED_TRACE(std::to_string(size) + " " + std::to_string(names));
        expect_sound(figure);
      }
    }
  }
}

TEST(ChartLayout, SaysWhenThereIsNoRoom) {
  const Font font;
  EXPECT_THROW(draw(Histogram{.values = {1, 2}, .title = "A title", .width = 100, .height = 100},
                    font, "render::save"),
               Error);
  try {
    draw(Heatmap{.values = matrix(6, 6), .width = 110}, font, "render::save");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.function(), "render::save");
    EXPECT_TRUE(error.found().starts_with("a width that leaves "));
  }
}

TEST(Font, ShortensAndWraps) {
  const Font font;
  const TextStyle style{.size = 10};
  const double room = font.width("some words", style);
  EXPECT_EQ(font.fitted("some words", style, room), "some words");
  const std::string cut = font.fitted("some words and more", style, room);
  EXPECT_TRUE(cut.ends_with("…"));
  EXPECT_LE(font.width(cut, style), room);
  EXPECT_EQ(font.wrapped("some words and more", style, room, 5),
            (std::vector<std::string>{"some words", "and more"}));
  EXPECT_EQ(font.wrapped("  ", style, room, 5), std::vector<std::string>{});
  EXPECT_EQ(font.wrapped("a b c d e f g h i j k l m n o p q", style, room, 1).size(), 1U);
  for (const std::string& line : font.wrapped(std::string(100, 'W') + " end", style, room, 100)) {
    EXPECT_LE(font.width(line, style), room);
  }
  // A room that holds nothing still takes one code point to a line.
  EXPECT_EQ(font.wrapped("ab", style, 0, 5), (std::vector<std::string>{"a", "b"}));
  EXPECT_GT(font.width("wide", {.size = 20}), 1.9 * font.width("wide", style));
}

}  // namespace
}  // namespace attention::render::detail
