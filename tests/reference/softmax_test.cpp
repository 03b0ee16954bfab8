#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/tensor.hpp>
#include <attention/reference/softmax.hpp>

namespace attention {
namespace {

using ::testing::DoubleNear;
using ::testing::Each;
using ::testing::Pointwise;

constexpr double kLog2 = std::numbers::ln2;
const double kLog3 = std::log(3.0);
constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class T>
Tensor<T> softmax_of(const Tensor<T>& x) {
  Tensor<T> out(x.shape());
  reference::softmax<T>(out, x);
  return out;
}

TEST(ReferenceSoftmax, Fractions) {
  const Tensor<double> x({2, 3}, {0, kLog2, kLog3, 5, 5, 5 + kLog2});
  const std::vector<double> expected = {1.0 / 6, 2.0 / 6, 3.0 / 6, 0.25, 0.25, 0.5};
  EXPECT_THAT(softmax_of(x).values(), Pointwise(DoubleNear(1e-15), expected));
}

TEST(ReferenceSoftmax, TheLargestIsTakenOutFirst) {
  const Tensor<double> x({2, 2}, {1e300, 1e300, -1e300, -kInfinity});
  EXPECT_THAT(softmax_of(x).values(), ::testing::ElementsAre(0.5, 0.5, 1, 0));
}

TEST(ReferenceSoftmax, ARowOfMinusInfinityIsNaN) {
  const Tensor<double> x({2}, {-kInfinity, -kInfinity});
  EXPECT_THAT(softmax_of(x).values(), Each(::testing::IsNan()));
}

TEST(ReferenceSoftmax, RoundsOnce) {
  const Tensor<float> x({3}, {7, 7, 7});
  EXPECT_THAT(softmax_of(x).values(), Each(static_cast<float>(1.0 / 3)));
  const auto half = Tensor<float16>::filled({3}, float16(7.0F));
  EXPECT_EQ(softmax_of(half)(0).bits, float16(static_cast<float>(1.0 / 3)).bits);
  const auto brain = Tensor<bfloat16>::filled({3}, bfloat16(7.0F));
  EXPECT_EQ(softmax_of(brain)(0).bits, bfloat16(static_cast<float>(1.0 / 3)).bits);
}

TEST(ReferenceSoftmax, StridesAndRanks) {
  const Tensor<double> x({3, 2}, {0, 100, kLog2, 200, kLog3, 300});
  Tensor<double> out({3, 2});
  reference::softmax<double>(out.view().select(1, 0), x.view().select(1, 0));
  const std::vector<double> expected = {1.0 / 6, 0, 2.0 / 6, 0, 3.0 / 6, 0};
  EXPECT_THAT(out.values(), Pointwise(DoubleNear(1e-15), expected));
  const Tensor<double> empty({2, 0});
  EXPECT_EQ(softmax_of(empty).element_count(), 0);
}

}  // namespace
}  // namespace attention
