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

TEST(ReferenceSoftmaxBackward, ByHand) {
  // The mean is 1/6 * 6 = 1, and that of the second row 1/2 * 2 - 1/2 * 4 = -1.
  const Tensor<double> out({2, 3}, {1.0 / 6, 2.0 / 6, 3.0 / 6, 0.5, 0.5, 0});
  const Tensor<double> d_out({2, 3}, {6, 0, 0, 2, -4, 7});
  Tensor<double> d_x({2, 3});
  reference::softmax_backward<double>(d_x, d_out, out);
  const std::vector<double> expected = {5.0 / 6, -2.0 / 6, -3.0 / 6, 1.5, -1.5, 0};
  EXPECT_THAT(d_x.values(), Pointwise(DoubleNear(1e-15), expected));
  Tensor<double> in_place = d_out;
  reference::softmax_backward<double>(in_place, in_place, out);
  EXPECT_THAT(in_place.values(), Pointwise(DoubleNear(0), d_x.values()));
}

TEST(ReferenceSoftmaxBackward, RoundsOnce) {
  const Tensor<float> out({1, 2}, {0x1p-24F, 1});
  const Tensor<float> d_out({1, 2}, {1, 1});
  Tensor<float> d_x({1, 2});
  reference::softmax_backward<float>(d_x, d_out, out);
  // The mean is 1 + 2^-24, which float32 does not hold.
  EXPECT_THAT(d_x.values(), ::testing::ElementsAre(-0x1p-48F, -0x1p-24F));
}

TEST(ReferenceSoftmax, StridesAndRanks) {
  const Tensor<double> x({3, 2}, {0, 100, kLog2, 200, kLog3, 300});
  Tensor<double> out({3, 2});
  reference::softmax<double>(out.view().select(1, 0), x.view().select(1, 0));
  const std::vector<double> expected = {1.0 / 6, 0, 2.0 / 6, 0, 3.0 / 6, 0};
  EXPECT_THAT(out.values(), Pointwise(DoubleNear(1e-15), expected));
  Tensor<double> d_x({3, 2});
  reference::softmax_backward<double>(d_x.view().select(1, 0), x.view().select(1, 0),
                                      out.view().select(1, 0));
  const double mean = kLog2 * 2 / 6 + kLog3 * 3 / 6;
  const std::vector<double> gradients = {
      -mean / 6, 0, (kLog2 - mean) * 2 / 6, 0, (kLog3 - mean) * 3 / 6, 0};
  EXPECT_THAT(d_x.values(), Pointwise(DoubleNear(1e-15), gradients));
  const Tensor<double> empty({2, 0});
  EXPECT_EQ(softmax_of(empty).element_count(), 0);
}

}  // namespace
}  // namespace attention
