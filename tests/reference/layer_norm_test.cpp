#include <cmath>
#include <cstdint>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/tensor.hpp>
#include <attention/reference/layer_norm.hpp>

namespace attention {
namespace {

using ::testing::DoubleNear;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsNan;
using ::testing::Pointwise;

/// x with all rows of a problem and places for what it gives.
template <class T>
struct Forward {
  Tensor<T> out;
  Tensor<T> mean;
  Tensor<T> rstd;

  explicit Forward(TensorView<const T> x, TensorView<const T> weight = {},
                   TensorView<const T> bias = {}, double epsilon = 0)
      : out(x.shape()), mean({x.size(0)}), rstd({x.size(0)}) {
    NormProblem<T> problem;
    problem.epsilon = epsilon;
    problem.x = RowsOf<const T>(x);
    problem.weight = weight;
    problem.bias = bias;
    problem.out = RowsOf<T>(out);
    problem.mean = RowsOf<T>::elements(mean);
    problem.rstd = RowsOf<T>::elements(rstd);
    reference::layer_norm(problem, {.begin = 0, .end = x.size(0)});
  }
};

TEST(ReferenceLayerNorm, TwoRowsByHand) {
  // Means 3 and -2, variances 4 and 9.
  const Tensor<double> x({2, 2}, {1, 5, -5, 1});
  const Tensor<double> weight({2}, {2, -4});
  const Tensor<double> bias({2}, {10, 20});
  const Forward<double> found(x, weight, bias);
  EXPECT_THAT(found.mean.values(), ElementsAre(3, -2));
  EXPECT_THAT(found.rstd.values(), Pointwise(DoubleNear(1e-16), {0.5, 1.0 / 3}));
  EXPECT_THAT(found.out.values(), Pointwise(DoubleNear(1e-14), {8.0, 16.0, 8.0, 16.0}));
  EXPECT_THAT(Forward<double>(x).out.values(),
              Pointwise(DoubleNear(1e-15), {-1.0, 1.0, -1.0, 1.0}));
}

TEST(ReferenceLayerNorm, EpsilonIsAddedToTheVariance) {
  const Tensor<double> x({1, 2}, {1, 5});
  EXPECT_THAT(Forward<double>(x, {}, {}, 12).out.values(), ElementsAre(-0.5, 0.5));
  const Tensor<double> equal({1, 3}, {7, 7, 7});
  EXPECT_THAT(Forward<double>(equal, {}, {}, 0.25).rstd.values(), ElementsAre(2));
  EXPECT_THAT(Forward<double>(equal, {}, {}, 0.25).out.values(), Each(0));
  EXPECT_THAT(Forward<double>(equal).out.values(), Each(IsNan()));  // 0 / 0
}

TEST(ReferenceLayerNorm, NothingCancelsFarFromZero) {
  const Tensor<double> x({1, 4}, {1e9, 1e9 + 1, 1e9 + 2, 1e9 + 3});
  const double unit = 1 / std::sqrt(1.25);
  EXPECT_THAT(Forward<double>(x).out.values(),
              Pointwise(DoubleNear(1e-12), {-1.5 * unit, -0.5 * unit, 0.5 * unit, 1.5 * unit}));
}

TEST(ReferenceLayerNorm, ComputesInDoubleAndRoundsOnce) {
  const Tensor<float> x({1, 3}, {1, 2, 4});
  const double mean = 7.0 / 3;
  const double rstd = 1 / std::sqrt(21.0 / 3 - mean * mean);
  const Forward<float> found(x);
  EXPECT_EQ(found.mean(0), static_cast<float>(mean));
  EXPECT_EQ(found.rstd(0), static_cast<float>(rstd));
  EXPECT_EQ(found.out(0, 2), static_cast<float>((4 - mean) * rstd));
  // In float the mean of 1e8 and 1e8 + 8 is one of them.
  const Tensor<float> far({1, 2}, {1e8F, 1e8F + 8});
  EXPECT_THAT(Forward<float>(far).out.values(), ElementsAre(-1, 1));
}

TEST(ReferenceLayerNorm, EqualElementsAreTheirMean) {
  const Tensor<double> x = Tensor<double>::filled({1, 300}, 0.1);
  EXPECT_EQ(Forward<double>(x, {}, {}, 1e-5).mean(0), 0.1);
  EXPECT_THAT(Forward<double>(x, {}, {}, 1e-5).out.values(), Each(0));
}

TEST(ReferenceLayerNorm, StridesEmptyRowsAndSomeRowsOnly) {
  const Tensor<double> x({2, 3}, {1, 100, -5, 5, 300, 1});
  const Tensor<double> dense({3, 2}, {1, 5, 100, 300, -5, 1});
  const Forward<double> turned(x.view().transpose(0, 1));
  EXPECT_THAT(turned.out.values(), Pointwise(DoubleNear(0), Forward<double>(dense).out.values()));
  const Forward<double> empty(Tensor<double>({2, 0}));
  EXPECT_THAT(empty.mean.values(), Each(IsNan()));
  EXPECT_THAT(empty.rstd.values(), Each(IsNan()));
  Tensor<double> out({3, 2});
  NormProblem<double> problem;
  problem.x = RowsOf<const double>(dense);
  problem.out = RowsOf<double>(out);
  reference::layer_norm(problem, {.begin = 1, .end = 2});
  EXPECT_THAT(out.values(), ElementsAre(0, 0, -1, 1, 0, 0));
}

template <class T>
struct Backward {
  Tensor<T> d_x;
  std::vector<double> d_weight;
  std::vector<double> d_bias;

  Backward(TensorView<const T> d_out, TensorView<const T> x, TensorView<const T> weight = {},
           double epsilon = 0)
      : d_x(x.shape()),
        d_weight(static_cast<std::size_t>(x.size(1))),
        d_bias(static_cast<std::size_t>(x.size(1))) {
    NormBackwardProblem<T> problem;
    problem.epsilon = epsilon;
    problem.d_out = RowsOf<const T>(d_out);
    problem.x = RowsOf<const T>(x);
    problem.weight = weight;
    problem.d_x = RowsOf<T>(d_x);
    reference::layer_norm_backward(problem, {.begin = 0, .end = x.size(0)},
                                   {.weight = d_weight, .bias = d_bias});
  }
};

/// xhat (-1, 1) and (-1, 1), rstd 1/2 and 1/3; the second with d_out for which nothing cancels.
TEST(ReferenceLayerNormBackward, TwoRowsByHand) {
  const Tensor<double> x({2, 3}, {1, 3, 5, 0, 0, 6});
  const Tensor<double> d_out({2, 3}, {6, 0, 0, 0, 3, 0});
  const Tensor<double> weight({3}, {1, 2, 3});
  const Backward<double> found(d_out, x, weight);
  // Row 0: variance 8/3, xhat = (-a, 0, a) with a^2 = 3/2, g = (6, 0, 0): mean 2, mean g xhat -2a.
  // d_x = rstd (6 - 2 - 2 a^2, -2, -2 + 2 a^2) = rstd (1, -2, 1).
  // Row 1: variance 8, xhat = (-b, -b, 2b) with b^2 = 1/2, g = (0, 6, 0): mean 2, mean g xhat -2b.
  // d_x = rstd (-2 - 2 b^2, 4 - 2 b^2, -2 + 4 b^2) = rstd (-3, 3, 0).
  const double a = std::sqrt(1.5);
  const double b = std::sqrt(0.5);
  const double first = std::sqrt(3.0 / 8);
  const double second = std::sqrt(1.0 / 8);
  EXPECT_THAT(found.d_x.values(), Pointwise(DoubleNear(1e-14), {first, -2 * first, first,
                                                                -3 * second, 3 * second, 0.0}));
  EXPECT_THAT(found.d_weight, Pointwise(DoubleNear(1e-14), {-6 * a, -3 * b, 0.0}));
  EXPECT_THAT(found.d_bias, ElementsAre(6, 3, 0));
}

/// A row moved as a whole, or scaled as a whole without epsilon, has the same output: its gradient
/// is orthogonal to (1, ..., 1) and to x.
TEST(ReferenceLayerNormBackward, IsOrthogonalToWhatChangesNothing) {
  const Tensor<double> x({1, 4}, {0.3, -1, 2.5, 7});
  const Tensor<double> d_out({1, 4}, {1, 2, -0.5, 0.25});
  const Backward<double> found(d_out, x);
  double sum = 0;
  double product = 0;
  for (std::int64_t e = 0; e < 4; ++e) {
    sum += found.d_x(0, e);
    product += found.d_x(0, e) * x(0, e);
  }
  EXPECT_NEAR(sum, 0, 1e-15);
  EXPECT_NEAR(product, 0, 1e-14);
}

TEST(ReferenceLayerNormBackward, AddsToItsSums) {
  const Tensor<double> x({1, 2}, {1, 5});
  const Tensor<double> d_out({1, 2}, {3, 4});
  Tensor<double> d_x({1, 2});
  std::vector<double> weight = {100, 200};
  std::vector<double> bias = {300, 400};
  NormBackwardProblem<double> problem;
  problem.d_out = RowsOf<const double>(d_out);
  problem.x = RowsOf<const double>(x);
  problem.d_x = RowsOf<double>(d_x);
  reference::layer_norm_backward(problem, {.begin = 0, .end = 1}, {.weight = weight, .bias = bias});
  EXPECT_THAT(weight, ElementsAre(97, 204));
  EXPECT_THAT(bias, ElementsAre(303, 404));
}

}  // namespace
}  // namespace attention
