#include "experiments/statistics.hpp"

#include <array>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace attention::experiments {
namespace {

TEST(NormalQuantile, GivesTheTablesValues) {
  EXPECT_NEAR(two_sided_normal_quantile(0.05), 1.959964, 1e-6);
  EXPECT_NEAR(two_sided_normal_quantile(0.001), 3.290527, 1e-6);
}

TEST(WilsonInterval, GivesPublishedValues) {
  // Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3:
  // 81/263, 15/148, 0/20.
  const Interval a = wilson_interval(81, 263, 0.05);
  EXPECT_NEAR(a.low, 0.2553, 5e-5);
  EXPECT_NEAR(a.high, 0.3662, 5e-5);
  const Interval b = wilson_interval(15, 148, 0.05);
  EXPECT_NEAR(b.low, 0.0624, 5e-5);
  EXPECT_NEAR(b.high, 0.1605, 5e-5);
  const Interval c = wilson_interval(0, 20, 0.05);
  EXPECT_EQ(c.low, 0.0);
  EXPECT_NEAR(c.high, 0.1611, 5e-5);
  EXPECT_EQ(wilson_interval(20, 20, 0.05).high, 1.0);
}

TEST(Moments, OfAFewNumbers) {
  const std::array<double, 4> values = {1, 2, 3, 6};
  const Moments m = moments(values);
  EXPECT_DOUBLE_EQ(m.mean, 3);
  EXPECT_DOUBLE_EQ(m.standard_deviation, std::sqrt(14.0 / 3.0));
  EXPECT_DOUBLE_EQ(m.standard_error, std::sqrt(14.0 / 3.0) / 2);
  EXPECT_EQ(m.minimum, 1);
  EXPECT_EQ(m.maximum, 6);
  EXPECT_EQ(moments({}).mean, 0);
  EXPECT_EQ(moments(std::array<double, 1>{5}).standard_error, 0);
}

TEST(Quantile, IsLinearBetweenNeighbours) {
  const std::vector<double> values = {30, 10, 20};
  EXPECT_EQ(quantile(values, 0), 10);
  EXPECT_EQ(quantile(values, 0.5), 20);
  EXPECT_EQ(quantile(values, 0.75), 25);
  EXPECT_EQ(quantile(values, 1), 30);
  EXPECT_TRUE(std::isnan(quantile({}, 0.5)));
}

TEST(RankOf, CountsEqualOnesHalf) {
  const std::vector<double> values = {1, 2, 2, 3};
  EXPECT_EQ(rank_of(2, values), 0.5);
  EXPECT_EQ(rank_of(0, values), 0);
  EXPECT_EQ(rank_of(9, values), 1);
}

}  // namespace
}  // namespace attention::experiments
