#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include <attention/core/tensor.hpp>
#include <attention/reference/activation.hpp>

namespace attention {
namespace {

using reference::activated;
using reference::activation_slope;

constexpr Activation kActivations[] = {Activation::none, Activation::relu, Activation::gelu,
                                       Activation::gelu_tanh, Activation::silu};
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The values are those of the formulas in 30 digits.
TEST(ReferenceActivation, KnownValues) {
  EXPECT_EQ(activated(Activation::none, -3.5), -3.5);
  EXPECT_EQ(activated(Activation::relu, -3.5), 0.0);
  EXPECT_EQ(activated(Activation::relu, 3.5), 3.5);
  EXPECT_NEAR(activated(Activation::gelu, 1.0), 0.841344746068542949, 1e-16);
  EXPECT_NEAR(activated(Activation::gelu, -1.0), -0.158655253931457051, 1e-16);
  EXPECT_NEAR(activated(Activation::gelu_tanh, 1.0), 0.841191990608276782, 1e-15);
  EXPECT_NEAR(activated(Activation::silu, 1.0), 0.731058578630004879, 1e-16);
  EXPECT_NEAR(activated(Activation::silu, -1.0), -0.268941421369995121, 1e-16);
}

TEST(ReferenceActivation, TheTailIsNotOneLessThanOne) {
  EXPECT_NEAR(activated(Activation::gelu, -10.0) / -7.61985302416052606e-23, 1.0, 1e-12);
}

TEST(ReferenceActivation, NanStaysAndInfinityIsItsOwn) {
  for (const Activation activation : kActivations) {
    SCOPED_TRACE(name_of(activation));
    EXPECT_TRUE(std::isnan(activated(activation, std::numeric_limits<double>::quiet_NaN())));
    EXPECT_EQ(activated(activation, kInfinity), kInfinity);
    EXPECT_EQ(activated(activation, 0.0), 0.0);
  }
}

/// The values are those of the formulas in 30 digits.
TEST(ReferenceActivationSlope, KnownValues) {
  EXPECT_EQ(activation_slope(Activation::none, -3.5), 1.0);
  EXPECT_EQ(activation_slope(Activation::relu, -3.5), 0.0);
  EXPECT_EQ(activation_slope(Activation::relu, 0.0), 0.0);
  EXPECT_EQ(activation_slope(Activation::relu, -0.0), 0.0);
  EXPECT_EQ(activation_slope(Activation::relu, 0x1p-1074), 1.0);
  EXPECT_NEAR(activation_slope(Activation::gelu, 1.0), 1.08331547058768629838, 4e-16);
  EXPECT_NEAR(activation_slope(Activation::gelu, -1.0), -0.0833154705876862983831, 1e-16);
  EXPECT_NEAR(activation_slope(Activation::gelu, 2.5), 1.0376110859081452082384, 4e-16);
  EXPECT_NEAR(activation_slope(Activation::gelu_tanh, 1.0), 1.0829640838457825551396, 4e-16);
  EXPECT_NEAR(activation_slope(Activation::gelu_tanh, -2.5), -0.0379515762126661826342, 1e-16);
  EXPECT_NEAR(activation_slope(Activation::silu, 1.0), 0.9276705118714867317886, 4e-16);
  EXPECT_NEAR(activation_slope(Activation::silu, -1.0), 0.0723294881285132682114, 1e-16);
  for (const Activation each : {Activation::gelu, Activation::gelu_tanh, Activation::silu}) {
    EXPECT_EQ(activation_slope(each, 0.0), 0.5) << name_of(each);
  }
}

TEST(ReferenceActivationSlope, TheTailIsNotOneLessThanOne) {
  const auto ratio = [](Activation activation, double expected) {
    return activation_slope(activation, -10.0) / expected;
  };
  EXPECT_NEAR(ratio(Activation::gelu, -7.61840009646481408568e-22), 1.0, 1e-13);
  EXPECT_NEAR(ratio(Activation::gelu_tanh, -2.75763806385403160733e-36), 1.0, 1e-13);
  EXPECT_NEAR(ratio(Activation::silu, -4.08560208657082315820e-4), 1.0, 1e-13);
}

TEST(ReferenceActivationSlope, IsTheDerivative) {
  constexpr double kStep = 1e-6;
  for (const Activation activation : kActivations) {
    for (int n = -2000; n <= 2000; ++n) {
      const double x = (n + 0.5) / 200.0;  // not the corner of relu
      const double above = activated(activation, x + kStep);
      const double below = activated(activation, x - kStep);
      ASSERT_NEAR(activation_slope(activation, x), (above - below) / (2 * kStep), 1e-8)
          << name_of(activation) << " at " << x;
    }
  }
}

TEST(ReferenceActivationSlope, HasItsLimitsFarOut) {
  for (const Activation activation : kActivations) {
    SCOPED_TRACE(name_of(activation));
    const double low = activation == Activation::none ? 1.0 : 0.0;
    for (const double x : {800.0, 1e30, 1e110, 1e300, kInfinity}) {
      EXPECT_EQ(activation_slope(activation, x), 1.0) << x;
      EXPECT_EQ(activation_slope(activation, -x), low) << -x;
    }
    const double nan = activation_slope(activation, std::numeric_limits<double>::quiet_NaN());
    EXPECT_EQ(std::isnan(nan), activation != Activation::none);
  }
}

TEST(ReferenceActivation, ElementsOfAnyShapeAndStrideRoundedOnce) {
  const Tensor<float> x({2, 3}, {-2, -1, 0, 1, 2, 3});
  const Tensor<float> d_out({2, 3}, {1, 2, 3, 4, 5, 6});
  Tensor<float> out({3, 2});
  Tensor<float> d_x({3, 2});
  reference::activation<float>(out.view().transpose(0, 1), x, Activation::gelu);
  reference::activation_backward<float>(d_x.view().transpose(0, 1), d_out, x, Activation::gelu);
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 3; ++j) {
      const auto at = static_cast<double>(x(i, j));
      EXPECT_EQ(out(j, i), static_cast<float>(activated(Activation::gelu, at)));
      EXPECT_EQ(d_x(j, i), static_cast<float>(static_cast<double>(d_out(i, j)) *
                                              activation_slope(Activation::gelu, at)));
    }
  }
  const Tensor<double> scalar(Shape{}, {-3.0});
  Tensor<double> result(Shape{});
  reference::activation<double>(result, scalar, Activation::silu);
  EXPECT_EQ(result(), activated(Activation::silu, -3.0));
  reference::activation_backward<double>(result, scalar, scalar, Activation::silu);
  EXPECT_EQ(result(), -3.0 * activation_slope(Activation::silu, -3.0));
}

}  // namespace
}  // namespace attention
