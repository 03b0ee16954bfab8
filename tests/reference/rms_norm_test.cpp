#include <cmath>
#include <cstdint>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/tensor.hpp>
#include <attention/reference/rms_norm.hpp>

namespace attention {
namespace {

using ::testing::DoubleNear;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsNan;
using ::testing::Pointwise;

template <class T>
struct Forward {
  Tensor<T> out;
  Tensor<T> rstd;

  explicit Forward(TensorView<const T> x, TensorView<const T> weight = {}, double epsilon = 0)
      : out(x.shape()), rstd({x.size(0)}) {
    NormProblem<T> problem;
    problem.kind = NormKind::rms;
    problem.epsilon = epsilon;
    problem.x = RowsOf<const T>(x);
    problem.weight = weight;
    problem.out = RowsOf<T>(out);
    problem.rstd = RowsOf<T>::elements(rstd);
    reference::rms_norm(problem, {.begin = 0, .end = x.size(0)});
  }
};

TEST(ReferenceRmsNorm, ByHand) {
  // Mean squares 4 and 25.
  const Tensor<double> x({2, 2}, {2, -2, 1, 7});
  const Tensor<double> weight({2}, {2, -10});
  EXPECT_THAT(Forward<double>(x).rstd.values(), ElementsAre(0.5, 0.2));
  EXPECT_THAT(Forward<double>(x).out.values(), Pointwise(DoubleNear(1e-15), {1.0, -1.0, 0.2, 1.4}));
  EXPECT_THAT(Forward<double>(x, weight).out.values(),
              Pointwise(DoubleNear(1e-14), {2.0, 10.0, 0.4, -14.0}));
}

TEST(ReferenceRmsNorm, EpsilonIsAddedToTheMeanSquare) {
  const Tensor<double> x({2, 2}, {2, -2, 0, 0});
  const Forward<double> found(x, {}, 12);
  EXPECT_THAT(found.out.values(), Pointwise(DoubleNear(1e-15), {0.5, -0.5, 0.0, 0.0}));
  const Tensor<double> zeros({1, 2});
  EXPECT_THAT(Forward<double>(zeros).out.values(), Each(IsNan()));  // 0 times infinity
}

TEST(ReferenceRmsNorm, RoundsOnce) {
  const Tensor<float> x({1, 3}, {1, 2, 4});
  const double rstd = 1 / std::sqrt(7.0);
  const Forward<float> found(x);
  EXPECT_EQ(found.rstd(0), static_cast<float>(rstd));
  EXPECT_EQ(found.out(0, 1), static_cast<float>(2 * rstd));
}

TEST(ReferenceRmsNorm, StridesEmptyRowsAndNoPlaceForStatistics) {
  const Tensor<double> x({2, 2}, {2, 1, -2, 7});
  EXPECT_THAT(Forward<double>(x.view().transpose(0, 1)).out.values(),
              Pointwise(DoubleNear(1e-15), {1.0, -1.0, 0.2, 1.4}));
  EXPECT_THAT(Forward<double>(Tensor<double>({2, 0})).rstd.values(), Each(IsNan()));
  Tensor<double> out({2, 2});
  NormProblem<double> problem;
  problem.x = RowsOf<const double>(x);
  problem.out = RowsOf<double>(out);
  reference::rms_norm(problem, {.begin = 0, .end = 1});
  EXPECT_NEAR(out(0, 0), 2 / std::sqrt(2.5), 1e-15);
  EXPECT_EQ(out(1, 0), 0);
}

/// x = (2, -2), rstd 1/2, xhat = (1, -1); g = (6, 0), mean g xhat 3.
TEST(ReferenceRmsNormBackward, ByHand) {
  const Tensor<double> x({1, 2}, {2, -2});
  const Tensor<double> d_out({1, 2}, {3, 5});
  const Tensor<double> weight({2}, {2, 0});
  Tensor<double> d_x({1, 2});
  std::vector<double> d_weight = {100, 200};
  NormBackwardProblem<double> problem;
  problem.kind = NormKind::rms;
  problem.d_out = RowsOf<const double>(d_out);
  problem.x = RowsOf<const double>(x);
  problem.weight = weight;
  problem.d_x = RowsOf<double>(d_x);
  reference::rms_norm_backward(problem, {.begin = 0, .end = 1}, {.weight = d_weight, .bias = {}});
  EXPECT_THAT(d_x.values(), ElementsAre(1.5, 1.5));
  EXPECT_THAT(d_weight, ElementsAre(103, 195));
}

}  // namespace
}  // namespace attention
