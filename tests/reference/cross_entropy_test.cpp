#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/reference/cross_entropy.hpp>

namespace attention {
namespace {

using ::testing::DoubleNear;
using ::testing::Each;
using ::testing::IsNan;
using ::testing::Pointwise;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLog2 = std::numbers::ln2;
const double kLog3 = std::log(3.0);
const double kLog6 = std::log(6.0);

CrossEntropyRow<double> row_of(const std::vector<double>& logits, std::int64_t target,
                               double label_smoothing = 0) {
  return {.logits = logits.data(),
          .stride = 1,
          .C = static_cast<std::int64_t>(logits.size()),
          .target = target,
          .label_smoothing = label_smoothing};
}

CrossEntropyRowLoss loss_of(const std::vector<double>& logits, std::int64_t target,
                            double label_smoothing = 0) {
  return reference::cross_entropy(row_of(logits, target, label_smoothing));
}

std::vector<double> gradient_of(const std::vector<double>& logits, std::int64_t target,
                                double label_smoothing = 0) {
  std::vector<double> d_logits(logits.size());
  const CrossEntropyRow<double> row = row_of(logits, target, label_smoothing);
  reference::cross_entropy_backward<double>({.row = row,
                                             .d_logits = d_logits.data(),
                                             .lse = reference::cross_entropy(row).lse,
                                             .d_loss = 1});
  return d_logits;
}

/// exp gives 1, 2 and 3.
TEST(ReferenceCrossEntropy, ThreeClassesByHand) {
  const std::vector<double> logits = {0, kLog2, kLog3};
  EXPECT_NEAR(loss_of(logits, 2).lse, kLog6, 1e-15);
  EXPECT_NEAR(loss_of(logits, 2).loss, kLog2, 1e-15);
  EXPECT_NEAR(loss_of(logits, 0).loss, kLog6, 1e-15);
  const double all = kLog6 - kLog6 / 3;  // lse less the mean
  EXPECT_NEAR(loss_of(logits, 2, 0.25).loss, 0.75 * kLog2 + 0.25 * all, 1e-15);
  EXPECT_NEAR(loss_of(logits, 2, 1).loss, all, 1e-15);
  EXPECT_THAT(gradient_of(logits, 2),
              Pointwise(DoubleNear(1e-15), std::vector<double>{1.0 / 6, 2.0 / 6, 3.0 / 6 - 1}));
  EXPECT_THAT(
      gradient_of(logits, 0, 0.25),
      Pointwise(DoubleNear(1e-15), std::vector<double>{1.0 / 6 - 0.75 - 0.25 / 3,
                                                       2.0 / 6 - 0.25 / 3, 3.0 / 6 - 0.25 / 3}));
}

TEST(ReferenceCrossEntropy, AConstantCostsNothing) {
  const std::vector<double> logits = {1e30, 1e30, 1e30, 1e30};
  EXPECT_NEAR(loss_of(logits, 1).loss, 2 * kLog2, 1e-15);
  EXPECT_NEAR(loss_of(logits, 1, 0.5).loss, 2 * kLog2, 1e-15);
  EXPECT_THAT(gradient_of(logits, 1), ::testing::ElementsAre(0.25, -0.75, 0.25, 0.25));
}

TEST(ReferenceCrossEntropy, Infinities) {
  const std::vector<double> logits = {0, -kInfinity, 0};
  EXPECT_NEAR(loss_of(logits, 0).loss, kLog2, 1e-15);
  EXPECT_EQ(loss_of(logits, 1).loss, kInfinity);
  EXPECT_EQ(loss_of(logits, 0, 0.1).loss, kInfinity);
  EXPECT_THAT(gradient_of(logits, 0), ::testing::ElementsAre(-0.5, 0, 0.5));
  const std::vector<double> nothing = {-kInfinity, -kInfinity};
  EXPECT_EQ(loss_of(nothing, 0).lse, -kInfinity);
  EXPECT_THAT(loss_of(nothing, 0).loss, IsNan());
  EXPECT_THAT(gradient_of(nothing, 0), Each(IsNan()));
  for (const double odd : {kInfinity, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THAT(loss_of({0, odd}, 0).lse, IsNan());
    EXPECT_THAT(loss_of({0, odd}, 0).loss, IsNan());
    EXPECT_THAT(gradient_of({0, odd}, 0), Each(IsNan()));
  }
}

}  // namespace
}  // namespace attention
