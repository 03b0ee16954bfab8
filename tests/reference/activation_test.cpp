#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include <attention/reference/activation.hpp>

namespace attention {
namespace {

using reference::activated;

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
  for (const Activation activation : {Activation::none, Activation::relu, Activation::gelu,
                                      Activation::gelu_tanh, Activation::silu}) {
    SCOPED_TRACE(name_of(activation));
    EXPECT_TRUE(std::isnan(activated(activation, std::numeric_limits<double>::quiet_NaN())));
    EXPECT_EQ(activated(activation, std::numeric_limits<double>::infinity()),
              std::numeric_limits<double>::infinity());
    EXPECT_EQ(activated(activation, 0.0), 0.0);
  }
}

}  // namespace
}  // namespace attention
