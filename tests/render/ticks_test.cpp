#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/render/detail/ticks.hpp>

namespace attention::render::detail {
namespace {

using testing::ElementsAre;

std::vector<std::string> texts(const Range& range, Scale scale, int most) {
  std::vector<std::string> result;
  for (const Tick& tick : ticks(range, scale, most)) {
    result.push_back(tick.text);
  }
  return result;
}

TEST(Ticks, AreRoundAndTellNeighboursApart) {
  EXPECT_THAT(texts({.low = 0, .high = 1}, Scale::linear, 6),
              ElementsAre("0.0", "0.2", "0.4", "0.6", "0.8", "1.0"));
  EXPECT_THAT(texts({.low = 0.163, .high = 0.171}, Scale::linear, 5),
              ElementsAre("0.164", "0.166", "0.168", "0.170"));
  EXPECT_THAT(texts({.low = 0.1663, .high = 0.1671}, Scale::linear, 5),
              ElementsAre("0.1664", "0.1666", "0.1668", "0.1670"));
  EXPECT_THAT(texts({.low = -1.5, .high = 1.5}, Scale::linear, 4), ElementsAre("-1", "0", "1"));
  EXPECT_THAT(texts({.low = 0, .high = 250}, Scale::linear, 6),
              ElementsAre("0", "50", "100", "150", "200", "250"));
  EXPECT_THAT(texts({.low = -0.3, .high = 0.3}, Scale::linear, 7),
              ElementsAre("-0.3", "-0.2", "-0.1", "0.0", "0.1", "0.2", "0.3"));
}

TEST(Ticks, OfVeryLargeAndVerySmallNumbersAreScientific) {
  EXPECT_THAT(texts({.low = 0, .high = 3e9}, Scale::linear, 4),
              ElementsAre("0", "1e9", "2e9", "3e9"));
  EXPECT_THAT(texts({.low = 0, .high = 2.5e-9}, Scale::linear, 6),
              ElementsAre("0", "5e-10", "1.0e-9", "1.5e-9", "2.0e-9", "2.5e-9"));
}

TEST(Ticks, OnALogScaleArePowersOfTen) {
  EXPECT_THAT(texts({.low = 3e-5, .high = 0.8}, Scale::log, 6),
              ElementsAre("1e-4", "1e-3", "1e-2", "1e-1"));
  EXPECT_THAT(texts({.low = 0.5, .high = 2000}, Scale::log, 6),
              ElementsAre("1", "10", "100", "1000"));
  EXPECT_THAT(texts({.low = 1e-9, .high = 1}, Scale::log, 5),
              ElementsAre("1e-8", "1e-6", "1e-4", "1e-2", "1e0"));
  EXPECT_THAT(texts({.low = 1, .high = 1e7}, Scale::log, 4),
              ElementsAre("1e0", "1e2", "1e4", "1e6"));
}

TEST(Ticks, OfLessThanTwoDecadesAreOneTwoFive) {
  EXPECT_THAT(texts({.low = 0.9, .high = 12}, Scale::log, 6), ElementsAre("1", "2", "5", "10"));
  EXPECT_THAT(texts({.low = 0.012, .high = 0.06}, Scale::log, 6), ElementsAre("0.02", "0.05"));
  EXPECT_THAT(texts({.low = 1.2, .high = 1.9}, Scale::log, 4),
              ElementsAre("1.2", "1.4", "1.6", "1.8"));
}

TEST(Ticks, LieInTheRangeRiseAndDifferForManyRanges) {
  for (const double low : {-3e7, -1.0, -0.05, 0.0, 1e-12, 0.163, 1.0, 999.0, 1e7}) {
    for (const double width : {1e-11, 0.0007, 0.008, 0.3, 1.0, 7.0, 123.0, 4.4e6, 1e12}) {
      const Range range = usable_range(low, low + width, Scale::linear);
      for (int most = 3; most <= 12; ++most) {
        const std::vector<Tick> all = ticks(range, Scale::linear, most);
        ASSERT_GE(all.size(), 2U) << low << " " << width << " " << most;
        ASSERT_LE(all.size(), static_cast<std::size_t>(most) + 3) << low << " " << width;
        const double slack = 1e-6 * (range.high - range.low);
        std::set<std::string> seen;
        for (std::size_t i = 0; i < all.size(); ++i) {
          EXPECT_GE(all[i].value, range.low - slack);
          EXPECT_LE(all[i].value, range.high + slack);
          EXPECT_TRUE(i == 0 || all[i - 1].value < all[i].value);
          EXPECT_TRUE(seen.insert(all[i].text).second) << all[i].text;
          EXPECT_NEAR(std::stod(all[i].text), all[i].value,
                      1e-3 * (range.high - range.low) + 1e-12 * std::abs(low));
        }
      }
    }
  }
}

TEST(Ticks, OnLogScalesLieInTheRangeForManyRanges) {
  for (const double low : {1e-280, 1e-9, 0.003, 0.2, 1.0, 3e5}) {
    for (const double factor : {1.5, 3.0, 9.0, 80.0, 1e4, 1e12}) {
      for (int most = 3; most <= 9; ++most) {
        const Range range{.low = low, .high = low * factor};
        const std::vector<Tick> all = ticks(range, Scale::log, most);
        ASSERT_GE(all.size(), 2U) << low << " " << factor << " " << most;
        ASSERT_LE(all.size(), static_cast<std::size_t>(most) + 3) << low << " " << factor;
        for (std::size_t i = 0; i < all.size(); ++i) {
          EXPECT_GE(all[i].value, low * (1 - 1e-6));
          EXPECT_LE(all[i].value, range.high * (1 + 1e-6));
          EXPECT_TRUE(i == 0 || all[i - 1].text != all[i].text);
          EXPECT_NEAR(std::stod(all[i].text) / all[i].value, 1, 1e-6);
        }
      }
    }
  }
}

TEST(UsableRange, GivesEqualValuesARange) {
  const Range third = usable_range(1.0 / 3, 1.0 / 3, Scale::linear);
  EXPECT_NEAR(third.low, 0.3, 1e-12);
  EXPECT_NEAR(third.high, 1.1 / 3, 1e-12);
  // What float32 makes of equal weights is equal.
  const Range sixth = usable_range(0.16666666, 0.16666668, Scale::linear);
  EXPECT_GT(sixth.high - sixth.low, 0.03);
  EXPECT_EQ(usable_range(0, 0, Scale::linear).low, -0.5);
  EXPECT_EQ(usable_range(0, 0, Scale::linear).high, 0.5);
  const Range negative = usable_range(-2, -2, Scale::linear);
  EXPECT_NEAR(negative.low, -2.2, 1e-12);
  EXPECT_NEAR(negative.high, -1.8, 1e-12);
  const Range log = usable_range(10, 10, Scale::log);
  EXPECT_NEAR(log.high / log.low, 10, 1e-9);
}

TEST(UsableRange, KeepsOthersAndBoundsTheHuge) {
  EXPECT_EQ(usable_range(0.163, 0.171, Scale::linear).low, 0.163);
  EXPECT_EQ(usable_range(0.163, 0.171, Scale::linear).high, 0.171);
  const double huge = std::numeric_limits<double>::max();
  const Range range = usable_range(-huge, huge, Scale::linear);
  EXPECT_TRUE(std::isfinite(range.high - range.low));
  EXPECT_GE(ticks(range, Scale::linear, 5).size(), 2U);
  const double tiny = std::numeric_limits<double>::denorm_min();
  EXPECT_GE(ticks(usable_range(tiny, tiny, Scale::linear), Scale::linear, 5).size(), 2U);
  EXPECT_GE(ticks(usable_range(tiny, huge, Scale::log), Scale::log, 5).size(), 2U);
}

TEST(Position, IsLinearOrLogarithmic) {
  EXPECT_DOUBLE_EQ(position(0.5, {.low = 0, .high = 2}, Scale::linear), 0.25);
  EXPECT_DOUBLE_EQ(position(-2, {.low = 0, .high = 2}, Scale::linear), -1);
  EXPECT_NEAR(position(0.01, {.low = 1e-4, .high = 1}, Scale::log), 0.5, 1e-12);
  EXPECT_EQ(position(0, {.low = 1e-4, .high = 1}, Scale::log),
            -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(position(std::nan(""), {.low = 0, .high = 1}, Scale::linear)));
  EXPECT_TRUE(std::isnan(position(std::nan(""), {.low = 1, .high = 2}, Scale::log)));
}

TEST(Widened, AddsShares) {
  const Range linear = widened({.low = 0, .high = 10}, 0.05, Scale::linear);
  EXPECT_DOUBLE_EQ(linear.low, -0.5);
  EXPECT_DOUBLE_EQ(linear.high, 10.5);
  const Range log = widened({.low = 1, .high = 100}, 0.5, Scale::log);
  EXPECT_NEAR(log.low, 0.1, 1e-12);
  EXPECT_NEAR(log.high, 1000, 1e-9);
}

TEST(Numbers, AreWrittenPlainly) {
  EXPECT_EQ(fixed(0.166, 2), "0.17");
  EXPECT_EQ(fixed(-0.001, 2), "0.00");
  EXPECT_EQ(fixed(-0.0, 0), "0");
  EXPECT_EQ(fixed(-1.25, 1), "-1.2");
  EXPECT_EQ(fixed(std::nan(""), 2), "nan");
  EXPECT_EQ(fixed(-std::numeric_limits<double>::infinity(), 2), "-inf");
  EXPECT_EQ(fixed(1e300, 0).size(), 301U);
  EXPECT_EQ(scientific(1e-5, 0), "1e-5");
  EXPECT_EQ(scientific(-1.25e7, 2), "-1.25e7");
  EXPECT_EQ(scientific(3, 0), "3e0");
  EXPECT_EQ(scientific(1e-100, 1), "1.0e-100");
  EXPECT_EQ(scientific(std::numeric_limits<double>::infinity(), 1), "inf");
}

TEST(Numbers, InCellsSayZeroOnALogScale) {
  EXPECT_EQ(cell_text(0.1666, 2, Scale::linear), "0.17");
  EXPECT_EQ(cell_text(1e-5, 2, Scale::linear), "0.00");
  EXPECT_EQ(cell_text(1e-5, 2, Scale::log), "1e-5");
  EXPECT_EQ(cell_text(0.0051, 2, Scale::log), "0.01");
  EXPECT_EQ(cell_text(0, 2, Scale::log), "0");
  EXPECT_EQ(cell_text(-3, 2, Scale::log), "0");
  EXPECT_EQ(cell_text(std::nan(""), 2, Scale::log), "nan");
}

TEST(Numbers, HaveTheDecimalsThatStepsNeed) {
  EXPECT_EQ(decimals_for(0.05), 2);
  EXPECT_EQ(decimals_for(0.1), 1);
  EXPECT_EQ(decimals_for(20), 0);
  EXPECT_EQ(decimals_for(0.0143), 4);
  EXPECT_EQ(decimals_for(2.5), 2);
}

}  // namespace
}  // namespace attention::render::detail
