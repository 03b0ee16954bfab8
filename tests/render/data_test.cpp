#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/render/detail/bins.hpp>
#include <attention/render/detail/blocks.hpp>
#include <attention/render/detail/color_axis.hpp>

namespace attention::render::detail {
namespace {

using testing::ElementsAre;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

ColorAxis axis_of(const ColorScale& scale, std::initializer_list<double> values) {
  const Heatmap figure{.values = Tensor<double>({1, std::ssize(values)}, values)};
  const Heatmap* const panels[] = {&figure};
  return color_axis(scale, panels);
}

TEST(ColorAxis, TakesTheFiniteDataByDefault) {
  const ColorAxis axis = axis_of({}, {0.25, kNaN, 0.75, kInfinity, 0.5});
  EXPECT_EQ(axis.range.low, 0.25);
  EXPECT_EQ(axis.range.high, 0.75);
  EXPECT_TRUE(axis.has_nan);
  EXPECT_TRUE(axis.above);
  EXPECT_FALSE(axis.below);
  EXPECT_TRUE(axis_of({}, {-kInfinity, 1, 2}).below);
  EXPECT_EQ(axis.color(0.25), sample(Colormap::blues, 0));
  EXPECT_EQ(axis.color(0.5), sample(Colormap::blues, 0.5));
  EXPECT_EQ(axis.color(kInfinity), sample(Colormap::blues, 1));
  EXPECT_EQ(axis.color(-kInfinity), sample(Colormap::blues, 0));
  EXPECT_EQ(axis.color(kNaN), kNoValue);
}

TEST(ColorAxis, PutsEqualValuesInTheMiddle) {
  const ColorAxis axis = axis_of({}, {0.2, 0.2});
  EXPECT_NEAR(position(0.2, axis.range, axis.scale), 0.5, 1e-9);
  EXPECT_EQ(axis_of({}, {kNaN}).range.low, 0);
  EXPECT_EQ(axis_of({}, {kNaN}).range.high, 1);
}

TEST(ColorAxis, HoldsGivenLimitsAndTellsWhatIsBeyond) {
  const ColorAxis axis = axis_of({.minimum = 0.1, .maximum = 0.5}, {0.0, 0.3, 0.6});
  EXPECT_EQ(axis.range.low, 0.1);
  EXPECT_EQ(axis.range.high, 0.5);
  EXPECT_TRUE(axis.below);
  EXPECT_TRUE(axis.above);
  const ColorAxis inside = axis_of({.minimum = 0.0, .maximum = 1.0}, {0.0, 1.0});
  EXPECT_FALSE(inside.below);
  EXPECT_FALSE(inside.above);
  // All data beyond the only limit: a range about it.
  EXPECT_NEAR(axis_of({.minimum = 5.0}, {1, 2}).range.low, 4.5, 1e-12);
  EXPECT_NEAR(axis_of({.maximum = -5.0}, {1, 2}).range.high, -4.5, 1e-12);
}

TEST(ColorAxis, IsSymmetricForDiverging) {
  const ColorScale diverging{.colormap = Colormap::diverging};
  EXPECT_EQ(axis_of(diverging, {-1, 3}).range.low, -3);
  EXPECT_EQ(axis_of(diverging, {-1, 3}).range.high, 3);
  EXPECT_EQ(axis_of(diverging, {0, 0}).range.high, 1);
  EXPECT_EQ(axis_of(diverging, {2, 2}).range.low, -2);
  const ColorScale one{.colormap = Colormap::diverging, .maximum = 2.0};
  EXPECT_EQ(axis_of(one, {-1, 3}).range.low, -2);
  const ColorScale other{.colormap = Colormap::diverging, .minimum = -4.0};
  EXPECT_EQ(axis_of(other, {-1, 3}).range.high, 4);
  const ColorScale both{.colormap = Colormap::diverging, .minimum = -1.0, .maximum = 5.0};
  EXPECT_EQ(axis_of(both, {-1, 3}).range.high, 5);
}

TEST(ColorAxis, TakesPositiveDataOnALogScale) {
  const ColorScale log{.scale = Scale::log};
  const ColorAxis axis = axis_of(log, {0, 1e-4, 1, -2});
  EXPECT_EQ(axis.range.low, 1e-4);
  EXPECT_EQ(axis.range.high, 1);
  EXPECT_FALSE(axis.below);
  EXPECT_EQ(axis.color(0), sample(Colormap::blues, 0));
  EXPECT_EQ(axis.color(-2), sample(Colormap::blues, 0));
  EXPECT_EQ(axis.color(1e-2), sample(Colormap::blues, 0.5));
  EXPECT_LT(axis_of(log, {0, -1}).range.low, axis_of(log, {0, -1}).range.high);
}

TEST(Blocks, PartAMatrix) {
  EXPECT_THAT(even_blocks(10, 4), ElementsAre(0, 2, 5, 7, 10));
  EXPECT_THAT(blocks_of(10, 4), ElementsAre(0, 4, 8, 10));
  EXPECT_THAT(blocks_of(3, 5), ElementsAre(0, 3));
}

TEST(Blocks, AreMeansOfFiniteValues) {
  const Tensor<double> values({2, 5}, {1, 3, kNaN, kInfinity, kNaN,  //
                                       5, 7, kNaN, 4, kNaN});
  const Tensor<double> means = block_means(values, blocks_of(2, 2), blocks_of(5, 2));
  EXPECT_EQ(means.shape(), (Shape{1, 3}));
  EXPECT_EQ(means(0, 0), 4);
  EXPECT_EQ(means(0, 1), 4);
  EXPECT_TRUE(std::isnan(means(0, 2)));
}

TEST(Bins, CountEveryValueOnce) {
  const Histogram fixed{.values = {0, 0.1, 0.5, 0.9, 1.0, 1.0}, .bins = 2};
  const Bins bins = bins_of(fixed);
  EXPECT_THAT(bins.edges, ElementsAre(0, 0.5, 1));
  EXPECT_THAT(bins.counts, ElementsAre(2, 4));
  for (const int count : {0, 1, 7, 1000}) {
    Histogram figure{.bins = count};
    for (int i = 0; i < 500; ++i) {
      figure.values.push_back(std::sin(i * 0.7) * 3.7e-3);
    }
    const Bins found = bins_of(figure);
    EXPECT_EQ(std::accumulate(found.counts.begin(), found.counts.end(), 0.0), 500);
    EXPECT_EQ(found.edges.size(), found.counts.size() + 1);
    if (count > 0) {
      EXPECT_EQ(found.counts.size(), static_cast<std::size_t>(count));
    }
  }
}

TEST(Bins, AreRoundWhenChosen) {
  Histogram figure;
  for (int i = 0; i < 1000; ++i) {
    figure.values.push_back(0.163 + 0.008 * i / 999);
  }
  const Bins bins = bins_of(figure);
  EXPECT_NEAR(bins.edges[1] - bins.edges[0], 1e-3, 1e-12);
  EXPECT_NEAR(bins.edges.front(), 0.163, 1e-9);
  // Few values far apart do not make thousands of bins; equal ones make some.
  EXPECT_LE(bins_of({.values = {0, 0.001, 0.002, 0.003, 1e6}}).counts.size(), 101U);
  EXPECT_GE(bins_of({.values = {2, 2, 2}}).counts.size(), 1U);
  const Bins given = bins_of({.edges = {0, 1, 3}, .counts = {4, 5}});
  EXPECT_THAT(given.edges, ElementsAre(0, 1, 3));
  EXPECT_THAT(given.counts, ElementsAre(4, 5));
}

}  // namespace
}  // namespace attention::render::detail
