#include <cmath>
#include <cstdint>

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

/// Two rows, three inputs, two outputs, by hand.
struct Gradients {
  Tensor<double> x{{2, 3}};
  Tensor<double> weight{{2, 3}};
  Tensor<double> bias{{2}};
};

LinearBackwardProblem<double> small_problem(Gradients& gradients) {
  static const Tensor<double> kDOut({2, 2}, {1, 2, 3, -1});
  static const Tensor<double> kX({2, 3}, {1, 2, 3, -1, 0, 4});
  static const Tensor<double> kWeight({2, 3}, {1, 0, -1, 2, 5, 3});
  return {.d_out = kDOut,
          .x = kX,
          .weight = kWeight,
          .d_x = gradients.x,
          .d_weight = gradients.weight,
          .d_bias = gradients.bias};
}

TEST(ReferenceLinearBackward, TwoRowsByHand) {
  Gradients found;
  reference::linear_backward(small_problem(found));
  EXPECT_THAT(found.x.values(), ElementsAre(5, 10, 5, 1, -5, -6));
  EXPECT_THAT(found.weight.values(), ElementsAre(-2, 2, 15, 3, 4, 2));
  EXPECT_THAT(found.bias.values(), ElementsAre(4, 1));
}

TEST(ReferenceLinearBackward, AddsToWhatIsThereIfAsked) {
  Gradients found;
  reference::linear_backward(small_problem(found));
  LinearBackwardProblem<double> problem = small_problem(found);
  problem.accumulate = true;
  reference::linear_backward(problem);
  EXPECT_THAT(found.x.values(), ElementsAre(10, 20, 10, 2, -10, -12));
  EXPECT_THAT(found.weight.values(), ElementsAre(-4, 4, 30, 6, 8, 4));
  EXPECT_THAT(found.bias.values(), ElementsAre(8, 2));
}

TEST(ReferenceLinearBackward, WritesWhatIsWanted) {
  for (int wanted = 0; wanted < 8; ++wanted) {
    Gradients found;
    LinearBackwardProblem<double> problem = small_problem(found);
    problem.d_x = (wanted & 1) != 0 ? problem.d_x : TensorView<double>();
    problem.d_weight = (wanted & 2) != 0 ? problem.d_weight : TensorView<double>();
    problem.d_bias = (wanted & 4) != 0 ? problem.d_bias : TensorView<double>();
    reference::linear_backward(problem);
    EXPECT_EQ(found.x(0, 0), (wanted & 1) != 0 ? 5 : 0);
    EXPECT_EQ(found.weight(0, 0), (wanted & 2) != 0 ? -2 : 0);
    EXPECT_EQ(found.bias(0), (wanted & 4) != 0 ? 4 : 0);
  }
}

/// Rows of rank 3 that no single stride leads through, more inputs than are summed side by side:
/// against the formulas, element by element.
TEST(ReferenceLinearBackward, AnyStridesAndRanks) {
  constexpr std::int64_t kInputs = 19;
  constexpr std::int64_t kOutputs = 3;
  Tensor<double> storage({2, 3, 4, kInputs + kOutputs});
  double next = 0;
  for (double& value : storage.values()) {
    value = std::fmod(next += 7.0, 11.0) - 5;
  }
  const TensorView<const double> rows = storage.view().slice(2, 1, 2).transpose(0, 2);
  const TensorView<const double> x = rows.slice(3, 0, kInputs).reverse(1);
  const TensorView<const double> d_out = rows.slice(3, kInputs, kOutputs).reverse(3);
  const TensorView<const double> weight = storage.view()
                                              .select(0, 1)
                                              .select(0, 1)
                                              .slice(0, 0, kOutputs)
                                              .slice(1, 0, kInputs)
                                              .reverse(0);
  Tensor<double> d_x({2, 3, 2, kInputs});
  Tensor<double> d_weight({kInputs, kOutputs});
  Tensor<double> d_bias({kOutputs});
  reference::linear_backward<double>({.d_out = d_out,
                                      .x = x,
                                      .weight = weight,
                                      .d_x = d_x,
                                      .d_weight = d_weight.view().transpose(0, 1),
                                      .d_bias = d_bias});
  Tensor<double> weights({kInputs, kOutputs});
  Tensor<double> biases({kOutputs});
  for_each_offset(
      Shape{2, 3, 2},
      [&](std::int64_t at) {
        const std::int64_t a = at / 6;
        const std::int64_t b = at / 2 % 3;
        const std::int64_t c = at % 2;
        for (std::int64_t i = 0; i < kInputs; ++i) {
          double sum = 0;
          for (std::int64_t o = 0; o < kOutputs; ++o) {
            sum += d_out(a, b, c, o) * weight(o, i);
            weights(i, o) += d_out(a, b, c, o) * x(a, b, c, i);
          }
          EXPECT_EQ(d_x(a, b, c, i), sum);
        }
        for (std::int64_t o = 0; o < kOutputs; ++o) {
          biases(o) += d_out(a, b, c, o);
        }
      },
      Strides{6, 2, 1});
  EXPECT_THAT(d_weight.values(), ::testing::ElementsAreArray(weights.values()));
  EXPECT_THAT(d_bias.values(), ::testing::ElementsAreArray(biases.values()));
}

TEST(ReferenceLinearBackward, SumsOfNothingAre0) {
  Tensor<double> d_x = Tensor<double>::filled({2, 3}, 7);
  reference::linear_backward<double>({.d_out = Tensor<double>({2, 0}),
                                      .x = Tensor<double>({2, 3}),
                                      .weight = Tensor<double>({0, 3}),
                                      .d_x = d_x});
  EXPECT_THAT(d_x.values(), ::testing::Each(0));
  Tensor<double> d_weight = Tensor<double>::filled({2, 3}, 7);
  Tensor<double> d_bias = Tensor<double>::filled({2}, 7);
  reference::linear_backward<double>({.d_out = Tensor<double>({0, 2}),
                                      .x = Tensor<double>({0, 3}),
                                      .weight = Tensor<double>({2, 3}),
                                      .d_weight = d_weight,
                                      .d_bias = d_bias});
  EXPECT_THAT(d_weight.values(), ::testing::Each(0));
  EXPECT_THAT(d_bias.values(), ::testing::Each(0));
}

/// In float, 2^24 + 1 - 2^24 would be 0.
TEST(ReferenceLinearBackward, ComputesInDoubleAndRoundsOnce) {
  const Tensor<float> large({3, 1}, {0x1p24F, 1, -0x1p24F});
  const Tensor<float> ones({3, 1}, {1, 1, 1});
  Tensor<float> d_weight({1, 1});
  Tensor<float> d_bias({1});
  reference::linear_backward<float>({.d_out = large,
                                     .x = ones,
                                     .weight = Tensor<float>({1, 1}),
                                     .d_weight = d_weight,
                                     .d_bias = d_bias});
  EXPECT_THAT(d_weight.values(), ElementsAre(1));
  EXPECT_THAT(d_bias.values(), ElementsAre(1));
  Tensor<float> d_x({1, 1});
  reference::linear_backward<float>({.d_out = TensorView<const float>(large).transpose(0, 1),
                                     .x = Tensor<float>({1, 1}),
                                     .weight = ones,
                                     .d_x = d_x});
  EXPECT_THAT(d_x.values(), ElementsAre(1));
}

}  // namespace
}  // namespace attention
