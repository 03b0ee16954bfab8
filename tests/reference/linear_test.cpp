#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/tensor.hpp>
#include <attention/reference/linear.hpp>

namespace attention {
namespace {

using ::testing::ElementsAre;

TEST(ReferenceLinear, TwoRowsThreeFeatures) {
  const Tensor<double> x({2, 3}, {1, 2, 3, -1, 0, 4});
  const Tensor<double> weight({2, 3}, {1, 0, -1, 2, 5, 3});
  const Tensor<double> bias({2}, {10, -20});
  Tensor<double> out({2, 2});
  reference::linear<double>(out, x, weight, bias);
  EXPECT_THAT(out.values(), ElementsAre(8, 1, 5, -10));
  reference::linear<double>(out, x, weight, {});
  EXPECT_THAT(out.values(), ElementsAre(-2, 21, -5, 10));
}

TEST(ReferenceLinear, NoFeaturesGiveTheBias) {
  const Tensor<float> bias({2}, {10, -20});
  Tensor<float> out = Tensor<float>::filled({1, 2}, 7.0F);
  reference::linear<float>(out, Tensor<float>({1, 0}), Tensor<float>({2, 0}), bias);
  EXPECT_THAT(out.values(), ElementsAre(10, -20));
}

/// In float, 2^24 + 1 - 2^24 would be 0.
TEST(ReferenceLinear, ComputesInDoubleAndRoundsOnce) {
  const Tensor<float> x({1, 3}, {0x1p24F, 1, 0x1p24F});
  const Tensor<float> weight({1, 3}, {1, 1, -1});
  Tensor<float> out({1, 1});
  reference::linear<float>(out, x, weight, {});
  EXPECT_THAT(out.values(), ElementsAre(1));
  const auto ones = Tensor<bfloat16>::filled({1, 300}, bfloat16(1.0F));
  Tensor<bfloat16> sum({1, 1});
  reference::linear<bfloat16>(sum, ones, ones, {});
  EXPECT_EQ(static_cast<float>(sum(0, 0)), 300);
  const auto half_ones = Tensor<float16>::filled({1, 4095}, float16(1.0F));
  Tensor<float16> half_sum({1, 1});
  reference::linear<float16>(half_sum, half_ones, half_ones, {});
  EXPECT_EQ(static_cast<float>(half_sum(0, 0)), 4096);  // 4095 lies between two numbers
}

TEST(ReferenceLinear, AnyStrides) {
  const Tensor<double> x({2, 2}, {1, 2, 3, 4});
  const Tensor<double> weight({2, 2}, {1, 10, 100, 1000});
  Tensor<double> out({2, 2});
  reference::linear<double>(out.view().transpose(0, 1), x.view().reverse(1),
                            weight.view().transpose(0, 1), {});
  // Rows of x: (2, 1), (4, 3); of the weight: (1, 100), (10, 1000).
  EXPECT_THAT(out.values(), ElementsAre(102, 304, 1020, 3040));
}

}  // namespace
}  // namespace attention
