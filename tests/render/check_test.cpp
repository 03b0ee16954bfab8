#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/error.hpp>
#include <attention/render/detail/check.hpp>

namespace attention::render {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

template <class Kind>
std::string message_of(const Kind& figure) {
  try {
    detail::check(figure, "render::save");
  } catch (const Error& error) {
    EXPECT_EQ(error.function(), "render::save");
    return error.what();
  }
  return "no error";
}

Heatmap two_by_three() {
  return {.values = Tensor<double>({2, 3}, {1, 2, 3, 4, 5, 6})};
}

TEST(CheckHeatmap, AcceptsWhatIsRight) {
  Heatmap figure = two_by_three();
  EXPECT_EQ(message_of(figure), "no error");
  figure.row_labels = {"a", "b"};
  figure.column_labels = {"x", "y", "z"};
  figure.color.minimum = 0;
  figure.color.maximum = 7;
  figure.width = 640;
  EXPECT_EQ(message_of(figure), "no error");
}

TEST(CheckHeatmap, NamesTheShape) {
  EXPECT_EQ(message_of(Heatmap{.values = {}}),
            "render::save: values must have two dimensions and at least one element; found shape "
            "()");
  EXPECT_THAT(message_of(Heatmap{.values = Tensor<double>(Shape{0, 3})}),
              HasSubstr("shape (0, 3)"));
  EXPECT_THAT(message_of(Heatmap{.values = Tensor<double>(Shape{2, 2, 2})}),
              HasSubstr("shape (2, 2, 2)"));
}

TEST(CheckHeatmap, CountsLabels) {
  Heatmap figure = two_by_three();
  figure.row_labels = {"a", "b", "c"};
  EXPECT_EQ(message_of(figure),
            "render::save: row_labels must be none or one per row; found 3 labels for 2");
  figure = two_by_three();
  figure.column_labels = {"a"};
  EXPECT_EQ(message_of(figure),
            "render::save: column_labels must be none or one per column; found 1 labels for 3");
}

TEST(CheckHeatmap, ChecksLimits) {
  const auto with = [](const ColorScale& color) {
    Heatmap figure = two_by_three();
    figure.color = color;
    return message_of(figure);
  };
  EXPECT_THAT(with({.minimum = 1.0, .maximum = 1.0}),
              HasSubstr("minimum must be below maximum; found minimum 1, maximum 1"));
  EXPECT_THAT(with({.minimum = kNaN}), HasSubstr("must be finite; found nan"));
  EXPECT_THAT(with({.maximum = kInfinity}), HasSubstr("must be finite; found inf"));
  EXPECT_THAT(with({.scale = Scale::log, .minimum = 0.0}),
              HasSubstr("must be positive on a log scale; found 0"));
  EXPECT_THAT(with({.colormap = Colormap::diverging, .scale = Scale::log}),
              HasSubstr("diverging colour map needs a linear scale"));
  EXPECT_THAT(with({.colormap = Colormap::diverging, .maximum = -1.0}),
              HasSubstr("must be positive if it stands alone; found -1"));
  EXPECT_THAT(with({.colormap = Colormap::diverging, .minimum = 0.5}),
              HasSubstr("must be negative if it stands alone; found 5.000000e-1"));
}

TEST(CheckHeatmap, ChecksSizesAndDecimals) {
  Heatmap figure = two_by_three();
  figure.width = 99;
  EXPECT_THAT(message_of(figure), HasSubstr("in [100, 10000]; found width 99, height 0"));
  figure.width = 0;
  figure.height = 10001;
  EXPECT_THAT(message_of(figure), HasSubstr("found width 0, height 10001"));
  figure.height = kNaN;
  EXPECT_THAT(message_of(figure), HasSubstr("height nan"));
  figure = two_by_three();
  figure.decimals = 11;
  EXPECT_THAT(message_of(figure), HasSubstr("decimals must lie in [0, 10]; found 11"));
  figure.decimals = -1;
  EXPECT_THAT(message_of(figure), HasSubstr("found -1"));
  figure = {.values = Tensor<double>(Shape{101, 100}), .annotation = Annotation::always};
  EXPECT_THAT(message_of(figure), HasSubstr("at most 10000 cells can be annotated; found 10100"));
}

TEST(CheckGrid, ChecksPanels) {
  EXPECT_THAT(message_of(HeatmapGrid{.panels = {}}), HasSubstr("at least one panel; found none"));
  HeatmapGrid grid{.panels = {two_by_three(), two_by_three()}};
  EXPECT_EQ(message_of(grid), "no error");
  grid.columns = -1;
  EXPECT_THAT(message_of(grid), HasSubstr("columns must not be negative; found -1"));
  grid.columns = 0;
  grid.panels[1].row_labels = {"x"};
  EXPECT_THAT(message_of(grid), HasSubstr("row_labels"));
  grid.panels[1].row_labels = {};
  grid.color.minimum = kNaN;
  EXPECT_THAT(message_of(grid), HasSubstr("finite"));
  grid.color.minimum = {};
  grid.width = 5;
  EXPECT_THAT(message_of(grid), HasSubstr("width 5"));
}

TEST(CheckHistogram, ChecksDataAndBins) {
  EXPECT_THAT(message_of(Histogram{}), HasSubstr("not both; found 0 values, 0 counts"));
  EXPECT_THAT(message_of(Histogram{.values = {1}, .edges = {0, 1}, .counts = {2}}),
              HasSubstr("found 1 values, 1 counts"));
  EXPECT_THAT(message_of(Histogram{.values = {1, kNaN}}),
              HasSubstr("finite; found nan at index 1"));
  EXPECT_THAT(message_of(Histogram{.values = {1}, .bins = 1001}),
              HasSubstr("[0, 1000]; found 1001"));
  EXPECT_THAT(message_of(Histogram{.edges = {0, 1, 2}, .counts = {1}}),
              HasSubstr("found 3 edges, 1 counts"));
  EXPECT_THAT(message_of(Histogram{.edges = {0, 2, 2}, .counts = {1, 1}}),
              HasSubstr("edges must rise; found 2 before 2"));
  EXPECT_THAT(message_of(Histogram{.edges = {0, 1}, .counts = {-1}}),
              HasSubstr("not be negative; found -1"));
  EXPECT_THAT(message_of(Histogram{.edges = {0, kInfinity}, .counts = {1}}),
              HasSubstr("edges must be finite"));
  EXPECT_THAT(message_of(Histogram{.edges = {0, 1}, .counts = {kNaN}}),
              HasSubstr("counts must be finite"));
  EXPECT_THAT(message_of(Histogram{.values = {1}, .markers = {{.at = kNaN}}}),
              HasSubstr("markers must stand at a finite value"));
  EXPECT_THAT(message_of(Histogram{.values = {1}, .width = 3}), HasSubstr("width 3"));
}

TEST(CheckBarChart, ChecksBars) {
  EXPECT_THAT(message_of(BarChart{.bars = {}}), HasSubstr("at least one bar"));
  EXPECT_THAT(message_of(BarChart{.bars = {{.value = kNaN}}}), HasSubstr("must be finite"));
  EXPECT_THAT(message_of(BarChart{.bars = {{.value = 1, .reference = kInfinity}}}),
              HasSubstr("must be finite"));
  EXPECT_THAT(
      message_of(BarChart{.bars = {{.value = 1, .interval = Interval{.low = 2, .high = kNaN}}}}),
      HasSubstr("must be finite"));
  EXPECT_THAT(
      message_of(BarChart{.bars = {{.value = 1, .interval = Interval{.low = 2, .high = 1}}}}),
      HasSubstr("low <= high; found low 2, high 1"));
  EXPECT_THAT(message_of(BarChart{.bars = {{.value = 1}}, .height = 3}), HasSubstr("height 3"));
}

TEST(CheckLineChart, ChecksSeriesAndAxes) {
  const auto with = [](const Series& series, const Axis& y = {}, const Axis& x = {}) {
    return message_of(LineChart{.series = {series}, .x = x, .y = y});
  };
  EXPECT_THAT(message_of(LineChart{.series = {}}), HasSubstr("at least one series"));
  EXPECT_EQ(with({.x = {1, 2}, .y = {1, kNaN}}), "no error");
  EXPECT_THAT(with({.name = "a\x1b", .x = {1, 2}, .y = {1}}),
              HasSubstr("found series \"a\uFFFD\": 2 x, 1 y"));
  EXPECT_THAT(with({.x = {}, .y = {}}), HasSubstr("at least one"));
  EXPECT_THAT(with({.x = {1}, .y = {1}, .lower = {0}}), HasSubstr("1 points, 1 lower, 0 upper"));
  EXPECT_THAT(with({.x = {1}, .y = {1}, .lower = {0, 0}, .upper = {1, 1}}),
              HasSubstr("2 lower, 2 upper"));
  EXPECT_THAT(with({.x = {kNaN}, .y = {1}}), HasSubstr("x must be finite"));
  EXPECT_THAT(with({.x = {1}, .y = {kInfinity}}), HasSubstr("y must not be infinite"));
  const Axis log{.scale = Scale::log};
  EXPECT_THAT(with({.x = {1}, .y = {0}}, log), HasSubstr("positive on a log axis; found 0"));
  EXPECT_THAT(with({.x = {-1}, .y = {1}}, {}, log), HasSubstr("x must be positive"));
  EXPECT_THAT(with({.x = {1}, .y = {1}, .lower = {0}, .upper = {0}}, log),
              HasSubstr("upper must not be infinite, and positive"));
  EXPECT_EQ(with({.x = {1}, .y = {1}, .lower = {-1}, .upper = {2}}, log), "no error");
  EXPECT_THAT(with({.x = {1}, .y = {1}, .lower = {-kInfinity}, .upper = {2}}),
              HasSubstr("a band must not be infinite"));
  EXPECT_THAT(with({.x = {1}, .y = {1}}, {.minimum = 2.0, .maximum = 1.0}),
              HasSubstr("minimum must be below maximum"));
  EXPECT_THAT(with({.x = {1}, .y = {1}}, {}, {.minimum = kNaN}), HasSubstr("must be finite"));
}

}  // namespace
}  // namespace attention::render
