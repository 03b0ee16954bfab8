#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/activation.hpp>
#include <attention/ops/linear.hpp>
#include <attention/reference/activation.hpp>

#include "harness/every_path.hpp"
#include "harness/half_unit.hpp"
#include "harness/sdpa_operands.hpp"
#include "harness/strided_buffer.hpp"
#include "tests/support/message_of.hpp"

namespace attention::tests {
namespace {

constexpr Activation kActivations[] = {Activation::none, Activation::relu, Activation::gelu,
                                       Activation::gelu_tanh, Activation::silu};

template <class Setting>
class ActivationOp : public ::testing::Test {
 protected:
  using Element = typename Setting::Element;
  static constexpr bool kFused = Setting::kPath == Path::fused;

  static ActivationOptions options(Activation activation, int threads = 1) {
    return {.activation = activation, .execution = {.path = Setting::kPath, .threads = threads}};
  }
  /// One rounding, and what float arithmetic costs: see ops/activation.hpp.
  static double bar(double expected, double arithmetic) {
    return half_unit_of(kDTypeOf<Element>) * std::abs(expected) * 1.0001 +
           (kFused ? arithmetic : 0.0) + (sizeof(Element) == 4 ? 0x1p-126 : 0.0);
  }
};
TYPED_TEST_SUITE(ActivationOp, EveryPathOfFloatAndDouble, PathNames);

/// Numbers close together from -20 to 20, tiny ones, and those far out.
template <class T>
std::vector<T> numbers() {
  std::vector<T> all;
  for (int n = -20000; n <= 20000; ++n) {
    all.push_back(static_cast<T>(n / 1000.0));
  }
  for (int n = -500; n <= 500; ++n) {
    all.push_back(static_cast<T>(n / 2.0));
  }
  for (const double x : {0x1p-140, 1e-40, 1e-30, 1e-8, 1e4, 1e13, 1e20, 1e30, 3e38}) {
    all.push_back(static_cast<T>(x));
    all.push_back(static_cast<T>(-x));
  }
  all.push_back(static_cast<T>(-0.0));
  return all;
}

TYPED_TEST(ActivationOp, FollowsTheDefinitionEverywhere) {
  using T = typename TypeParam::Element;
  const std::vector<T> x = numbers<T>();
  const Tensor<T> inputs({static_cast<std::int64_t>(x.size())}, x);
  for (const Activation each : kActivations) {
    const Tensor<T> found = activation(inputs, this->options(each));
    for (std::size_t n = 0; n < x.size(); ++n) {
      const auto at = static_cast<double>(x[n]);
      const double expected = reference::activated(each, at);
      ASSERT_NEAR(static_cast<double>(found.values()[n]), expected,
                  this->bar(expected, 4e-7 * std::abs(at)))
          << name_of(each) << " of " << at;
      if (at < -200) {
        ASSERT_EQ(found.values()[n], static_cast<T>(expected)) << name_of(each) << " of " << at;
      }
    }
  }
}

TYPED_TEST(ActivationOp, SlopesFollowTheDefinitionEverywhere) {
  using T = typename TypeParam::Element;
  const std::vector<T> x = numbers<T>();
  const auto count = static_cast<std::int64_t>(x.size());
  const Tensor<T> inputs({count}, x);
  for (const double d_out : {1.0, -3.7}) {
    const auto d = static_cast<T>(d_out);
    for (const Activation each : kActivations) {
      const Tensor<T> found =
          activation_backward(Tensor<T>::filled({count}, d), inputs, this->options(each));
      for (std::size_t n = 0; n < x.size(); ++n) {
        const auto at = static_cast<double>(x[n]);
        const double expected = static_cast<double>(d) * reference::activation_slope(each, at);
        ASSERT_NEAR(static_cast<double>(found.values()[n]), expected,
                    this->bar(expected, 4e-7 * std::abs(d_out)))
            << name_of(each) << " at " << at;
        if (std::abs(at) > 200) {
          ASSERT_EQ(found.values()[n], static_cast<T>(expected)) << name_of(each) << " at " << at;
        }
      }
    }
  }
}

TYPED_TEST(ActivationOp, NaNAndInfinity) {
  using T = typename TypeParam::Element;
  const auto nan = std::numeric_limits<T>::quiet_NaN();
  const auto infinity = std::numeric_limits<T>::infinity();
  const Tensor<T> x({4}, {nan, infinity, -infinity, T{1}});
  for (const Activation each : kActivations) {
    SCOPED_TRACE(name_of(each));
    const Tensor<T> out = activation(x, this->options(each));
    EXPECT_TRUE(std::isnan(out(0)));
    EXPECT_EQ(out(1), infinity);
    if (each == Activation::none) {
      EXPECT_EQ(out(2), -infinity);
    } else if (each == Activation::relu) {
      EXPECT_EQ(out(2), 0);
    } else {
      EXPECT_TRUE(std::isnan(out(2)));
    }
    const Tensor<T> d_out({4}, {T{2}, T{2}, T{2}, nan});
    const Tensor<T> d_x = activation_backward(d_out, x, this->options(each));
    const bool constant = each == Activation::none;
    EXPECT_EQ(std::isnan(d_x(0)), !constant);
    EXPECT_EQ(d_x(1), 2);
    EXPECT_EQ(d_x(2), constant ? 2 : 0);
    EXPECT_TRUE(std::isnan(d_x(3)));
    // Where the slope is 0, an infinite d_out is not passed over.
    const Tensor<T> infinite = Tensor<T>::filled({1}, infinity);
    const Tensor<T> low = Tensor<T>::filled({1}, T{-1000});
    EXPECT_EQ(std::isnan(activation_backward(infinite, low, this->options(each))(0)), !constant);
  }
}

TYPED_TEST(ActivationOp, ReluHasTheSlopeZeroAtZero) {
  using T = typename TypeParam::Element;
  const auto tiny = std::numeric_limits<T>::denorm_min();
  const Tensor<T> x({4}, {T{0}, -T{0}, tiny, -tiny});
  const Tensor<T> d_x =
      activation_backward(Tensor<T>::filled({4}, T{3}), x, this->options(Activation::relu));
  EXPECT_EQ(elements_of<T>(d_x), (std::vector<T>{0, 0, 3, 0}));
}

TYPED_TEST(ActivationOp, EmptyAndScalar) {
  using T = typename TypeParam::Element;
  for (const Activation each : kActivations) {
    for (const Shape& shape : {Shape{0}, Shape{3, 0}, Shape{0, 3}, Shape{2, 0, 5}}) {
      const Tensor<T> x(shape);
      EXPECT_EQ(activation(x, this->options(each)).shape(), shape);
      EXPECT_EQ(activation_backward(x, x, this->options(each)).shape(), shape);
    }
    const Tensor<T> x(Shape{}, {T{-2}});
    const Tensor<T> in_row({1}, {T{-2}});
    EXPECT_EQ(activation(x, this->options(each))(), activation(in_row, this->options(each))(0));
    EXPECT_EQ(activation_backward(x, x, this->options(each))(),
              activation_backward(in_row, in_row, this->options(each))(0));
  }
}

/// Lengths at the edges of lanes and of the pieces of a task, and what lies outside untouched.
TYPED_TEST(ActivationOp, EveryLengthGivesTheBitsOfItsElements) {
  using T = typename TypeParam::Element;
  const std::int64_t longest = 3 * 16384 + 5;
  const auto x = random_tensor<T>({longest}, 1);
  const auto d_out = random_tensor<T>({longest}, 2);
  for (const Activation each : kActivations) {
    const Tensor<T> out = activation(x, this->options(each));
    const Tensor<T> d_x = activation_backward(d_out, x, this->options(each));
    for (const int threads : {0, 2, 3, 8}) {
      EXPECT_TRUE(same_bits(activation(x, this->options(each, threads)), out));
      EXPECT_TRUE(same_bits(activation_backward(d_out, x, this->options(each, threads)), d_x));
    }
    for (const std::int64_t length :
         {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 129, 16383, 16384, 16385}) {
      const std::int64_t start = length % 7;  // of any alignment
      const auto part = [&](const Tensor<T>& tensor) {
        return tensor.view().slice(0, start, length);
      };
      EXPECT_TRUE(same_bits<T>(activation(part(x), this->options(each)), part(out))) << length;
      EXPECT_TRUE(
          same_bits<T>(activation_backward(part(d_out), part(x), this->options(each)), part(d_x)))
          << length;
    }
  }
}

TYPED_TEST(ActivationOp, AnyStridesAndInPlace) {
  using T = typename TypeParam::Element;
  Draws draws(7);
  const std::array<Shape, 5> shapes = {
      {{2, 5, 33}, {3, 1, 8, 7}, {40}, {5, 3, 2, 2, 4, 3}, {70, 300}}};
  for (int run = 0; run < 200; ++run) {
    const auto any = [&] {
      return draws.one_of({Arrangement::dense, Arrangement::heads_inside, Arrangement::packed,
                           Arrangement::permuted, Arrangement::reversed, Arrangement::misaligned});
    };
    const Shape& shape = shapes[static_cast<std::size_t>(draws.below(5))];
    const auto input = [&] {
      StridedBuffer<T> buffer(shape, draws.chance(0.2) ? Arrangement::repeated : any(), draws,
                              static_cast<T>(NAN));
      const TensorView<T> view = buffer.view();
      for_each_offset(
          shape, [&](std::int64_t n) { view.data()[n] = static_cast<T>(draws.normal()); },
          view.strides());
      return buffer;
    };
    StridedBuffer<T> x = input();
    StridedBuffer<T> d_out = input();
    StridedBuffer<T> out(shape, any(), draws, static_cast<T>(NAN));
    const ActivationOptions options =
        this->options(kActivations[draws.below(5)], draws.one_of({1, 2, 3}));
    const Tensor<T> dense_x = Tensor<T>::copy_of(x.view());
    const Tensor<T> expected = activation(dense_x, options);
    const Tensor<T> gradients =
        activation_backward(Tensor<T>::copy_of(d_out.view()), dense_x, options);
    EXPECT_EQ(activation_into(out.view(), x.view(), options).path, TypeParam::kPath);
    EXPECT_TRUE(same_bits<T>(out.view(), expected));
    activation_backward_into(out.view(), d_out.view(), x.view(), options);
    EXPECT_TRUE(same_bits<T>(out.view(), gradients));
    EXPECT_TRUE(out.is_untouched_outside());
    if (!d_out.view().layout().overlaps_itself()) {
      activation_backward_into(d_out.view(), d_out.view(), x.view(), options);
      EXPECT_TRUE(same_bits<T>(d_out.view(), gradients));
      EXPECT_TRUE(d_out.is_untouched_outside());
    }
    if (!x.view().layout().overlaps_itself()) {
      activation_into(x.view(), x.view(), options);
      EXPECT_TRUE(same_bits<T>(x.view(), expected));
      EXPECT_TRUE(x.is_untouched_outside());
    }
  }
}

TYPED_TEST(ActivationOp, IsWhatLinearApplies) {
  using T = typename TypeParam::Element;
  const auto x = random_tensor<T>({50, 1}, 4);
  const Tensor<T> one({1, 1}, {T{1}});
  for (const Activation each : kActivations) {
    const Tensor<T> fused =
        linear(x, one, {}, {.activation = each, .execution = this->options(each).execution});
    EXPECT_TRUE(same_bits(activation(x, this->options(each)), fused)) << name_of(each);
  }
}

TYPED_TEST(ActivationOp, TheForcedPathIsTheOneTakenAndAutomaticIsNamed) {
  using T = typename TypeParam::Element;
  const auto x = random_tensor<T>({20}, 4);
  Tensor<T> out({20});
  const ActivationOptions forced = this->options(Activation::gelu);
  for (const Taken& taken :
       {activation_into(out, x, forced), activation_backward_into(out, x, x, forced)}) {
    EXPECT_EQ(taken.path, TypeParam::kPath);
    EXPECT_EQ(taken.isa.has_value(), this->kFused);
  }
  const Taken automatic = activation_into(out, x, {.activation = Activation::gelu});
  ASSERT_NE(automatic.path, Path::automatic);
  EXPECT_TRUE(same_bits(
      out, activation(x, {.activation = Activation::gelu, .execution = {.path = automatic.path}})));
}

TYPED_TEST(ActivationOp, Errors) {
  using T = typename TypeParam::Element;
  using attention::test::message_of;
  const auto x = random_tensor<T>({3, 4}, 1);
  const auto untouched = random_tensor<T>({64}, 2);
  Tensor<T> pool = untouched;
  const auto at = [&](std::int64_t start, const Shape& shape) {
    return TensorView<T>(pool.data() + start, shape);
  };
  const TensorView<const T> nowhere(nullptr, {3, 4});
  const ActivationOptions gelu = this->options(Activation::gelu);
  const auto forward = [&](TensorView<T> out, TensorView<const T> from) {
    return message_of([&] { activation_into(out, from, gelu); });
  };
  const auto backward = [&](TensorView<T> d_x, TensorView<const T> d_out,
                            TensorView<const T> from) {
    return message_of([&] { activation_backward_into(d_x, d_out, from, gelu); });
  };
  const std::string into = "activation_into: ";
  const std::string back = "activation_backward_into: ";
  EXPECT_EQ(message_of([&] { activation(nowhere, gelu); }),
            "activation: x must be given; found a null view of shape (3, 4)");
  EXPECT_EQ(message_of([&] { activation_backward(x, Tensor<T>({4, 3}), gelu); }),
            "activation_backward: d_out must have the shape of x; found d_out (3, 4), x (4, 3)");
  EXPECT_EQ(forward(at(0, {12}), x),
            into + "out must have the shape of x; found out (12,), x (3, 4)");
  EXPECT_EQ(forward(TensorView<T>(nullptr, {3, 4}), x),
            into + "out must be given; found a null view of shape (3, 4)");
  EXPECT_EQ(forward({pool.data(), Layout{.shape = {3, 4}, .strides = {1, 1}}}, x),
            into + "out must not overlap itself; found shape (3, 4), strides (1, 1)");
  const std::string shared = "; found views that share memory";
  EXPECT_EQ(forward(at(1, {3, 4}), at(0, {3, 4})),
            into + "out must be x or lie apart from it" + shared);
  EXPECT_EQ(forward(at(0, {4, 4}), at(0, {4, 4}).transpose(0, 1)),
            into + "out must be x or lie apart from it" + shared);
  EXPECT_EQ(backward(at(0, {3, 4}), nowhere, x),
            back + "d_out must be given; found a null view of shape (3, 4)");
  EXPECT_EQ(backward(at(0, {12}), x, x),
            back + "d_x must have the shape of x; found d_x (12,), x (3, 4)");
  EXPECT_EQ(backward(at(1, {3, 4}), at(0, {3, 4}), x),
            back + "d_x must be d_out or lie apart from it" + shared);
  EXPECT_EQ(backward(at(0, {3, 4}), x, at(0, {3, 4})), back + "d_x must lie apart from x" + shared);
  if (sizeof(T) == sizeof(double)) {
    EXPECT_EQ(message_of([&] { activation(x, {.execution = {.path = Path::fused}}); }),
              "activation: the path must serve the element type; for float64 there are: "
              "reference; found fused");
  }
  EXPECT_THROW(activation(x, {.execution = {.threads = -1}}), Error);
  EXPECT_TRUE(same_bits(pool, untouched));
}

/// Every element of x, moved a little to either side.
TEST(ActivationGradient, EqualsCentralDifferences) {
  constexpr double kStep = 1e-6;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Draws draws(seed);
    const ActivationOptions options{.activation = kActivations[draws.below(5)],
                                    .execution = {.threads = 1}};
    const Shape shape = {1 + draws.below(4), 1 + draws.below(9)};
    auto x = random_tensor<double>(shape, seed + 1000);
    const auto d_out = random_tensor<double>(shape, seed + 2000);
    const auto result = [&] {
      const Tensor<double> out = activation(x, options);
      double sum = 0;
      for (std::size_t n = 0; n < out.values().size(); ++n) {
        sum += out.values()[n] * d_out.values()[n];
      }
      return sum;
    };
    const Tensor<double> found = activation_backward(d_out, x, options);
    for (std::size_t n = 0; n < x.values().size(); ++n) {
      double& at = x.values()[n];
      const double before = at;
      at = before + kStep;
      const double above = result();
      at = before - kStep;
      const double below = result();
      at = before;
      const double expected = (above - below) / (2 * kStep);
      ASSERT_NEAR(found.values()[n], expected, 1e-5 + 1e-3 * std::abs(expected))
          << name_of(options.activation) << ", seed " << seed << ", element " << n;
    }
  }
}

}  // namespace
}  // namespace attention::tests
