#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <attention/core/counter_random.hpp>
#include <attention/ops/dropout.hpp>

#include "harness/every_isa.hpp"
#include "harness/every_path.hpp"
#include "harness/strided_buffer.hpp"
#include "tests/support/message_of.hpp"

namespace attention::tests {
namespace {

using test::message_of;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// A test of one path and element type.
template <class Setting>
class Dropout : public ::testing::Test {
 protected:
  /// The options, on the path of this test.
  static DropoutOptions on_path(DropoutOptions options) {
    options.execution.path = Setting::kPath;
    return options;
  }
};
using Settings = ::testing::Types<On<float, Path::fused>, On<float, Path::reference>,
                                  On<double, Path::reference>>;
TYPED_TEST_SUITE(Dropout, Settings, PathNames);

/// From the text of the header: x / (1 - p), or 0. Fused, the factor is a float and so is the
/// product; else it is rounded once.
template <class T>
std::vector<T> dropout_of(TensorView<const T> x, const DropoutOptions& options) {
  const random::DropoutMask mask(options.probability, options.seed, options.call);
  std::vector<T> result;
  for (const T value : elements_of(x)) {
    const std::size_t n = result.size();
    const auto words = mask.words_of_elements(static_cast<std::int64_t>(n / 4));
    const double factor = 1 / (1 - options.probability);
    const T scaled = options.execution.path == Path::fused
                         ? value * static_cast<T>(factor)
                         : static_cast<T>(static_cast<double>(value) * factor);
    result.push_back(words[n % 4] >= mask.threshold() ? scaled : T{0});
  }
  return result;
}

template <class T>
bool same_elements(TensorView<const T> view, const std::vector<T>& expected) {
  const std::vector<T> found = elements_of(view);
  return std::ranges::equal(std::as_bytes(std::span(found)), std::as_bytes(std::span(expected)));
}

template <class T>
void fill(TensorView<T> view, Draws& draws) {
  for_each_offset(
      view.shape(), [&](std::int64_t n) { view.data()[n] = static_cast<T>(draws.normal()); },
      view.strides());
}

TYPED_TEST(Dropout, EveryShapeByTheRule) {
  using T = typename TypeParam::Element;
  std::vector<Shape> shapes = {{},     {0},     {3, 0},     {0, 3},       {2, 0, 5},
                               {3, 1}, {5, 17}, {2, 3, 33}, {2, 1, 3, 4}, {1, 2, 1, 2, 3, 5}};
  for (const std::int64_t length : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 129, 9000}) {
    shapes.push_back({length});
  }
  for (const Shape& shape : shapes) {
    for (const double p : {0.0, 0.1, 0.5, 0.9}) {
      SCOPED_TRACE(to_string(shape) + ", p " + std::to_string(p));
      const DropoutOptions options = this->on_path({.probability = p, .seed = 5, .call = 6});
      const auto x = random_tensor<T>(shape, 3);
      const Tensor<T> out = dropout(x, options);
      EXPECT_EQ(out.shape(), shape);
      EXPECT_TRUE(same_elements<T>(out, dropout_of<T>(x, options)));
      EXPECT_TRUE(same_bits(dropout_backward(x, options), out));
    }
  }
}

TYPED_TEST(Dropout, ProbabilityZeroIsTheIdentityAndOneIsZero) {
  using T = typename TypeParam::Element;
  const auto tiny = std::numeric_limits<T>::denorm_min();
  const Tensor<T> x({6}, {T(1.5), T(-0.0), tiny, T(kInfinity), T(-3e38), T(kNaN)});
  const Tensor<T> same = dropout(x, this->on_path({.seed = 9}));
  EXPECT_TRUE(same_bits(same, x));
  const Tensor<T> none = dropout(x, this->on_path({.probability = 1, .seed = 9}));
  EXPECT_TRUE(same_bits(none, Tensor<T>({6})));
}

TYPED_TEST(Dropout, ADroppedNaNOrInfinityIsZeroAndAKeptOneStays) {
  using T = typename TypeParam::Element;
  const DropoutOptions options = this->on_path({.probability = 0.5, .seed = 1});
  const auto ones = Tensor<T>::filled({200}, T{1});
  const Tensor<T> kept = dropout(ones, options);
  const Tensor<T> of_nan = dropout(Tensor<T>::filled({200}, T(kNaN)), options);
  const Tensor<T> of_infinity = dropout(Tensor<T>::filled({200}, T(-kInfinity)), options);
  const Tensor<T> of_largest =
      dropout(Tensor<T>::filled({200}, std::numeric_limits<T>::max()), options);
  for (std::int64_t n = 0; n < 200; ++n) {
    if (kept(n) == 0) {
      EXPECT_EQ(of_nan(n), 0);
      EXPECT_EQ(of_infinity(n), 0);
      EXPECT_EQ(of_largest(n), 0);
    } else {
      EXPECT_TRUE(std::isnan(of_nan(n)));
      EXPECT_EQ(of_infinity(n), T(-kInfinity));
      EXPECT_EQ(of_largest(n), T(kInfinity));
    }
  }
}

TEST(DropoutOfBothTypes, FloatAndDoubleHaveTheSameMask) {
  for (const double p : {0.1, 0.5, 0.9}) {
    const DropoutOptions options{.probability = p, .seed = 77, .call = 8};
    const auto in_float = dropout(Tensor<float>::filled({3, 1000}, 1.0F), options);
    const auto in_double = dropout(Tensor<double>::filled({3, 1000}, 1.0), options);
    for (std::size_t n = 0; n < 3000; ++n) {
      EXPECT_EQ(in_float.values()[n], static_cast<float>(in_double.values()[n]));
    }
  }
}

TYPED_TEST(Dropout, SeedAndCallNameTheMask) {
  using T = typename TypeParam::Element;
  const auto x = Tensor<T>::filled({1000}, T{1});
  const auto with = [&](std::uint64_t seed, std::uint64_t call) {
    return dropout(x, this->on_path({.probability = 0.5, .seed = seed, .call = call}));
  };
  const std::uint64_t high = std::uint64_t{1} << 32;
  EXPECT_TRUE(same_bits(with(3, 4), with(3, 4)));
  EXPECT_FALSE(same_bits(with(3, 4), with(4, 3)));
  EXPECT_FALSE(same_bits(with(3, 4), with(3, 5)));
  EXPECT_FALSE(same_bits(with(3, 4), with(3, 4 + high)));
  EXPECT_FALSE(same_bits(with(3, 4), with(3 + high, 4)));
}

TYPED_TEST(Dropout, AnyStrides) {
  using T = typename TypeParam::Element;
  Draws draws(7);
  const DropoutOptions options = this->on_path({.probability = 0.3, .seed = 2});
  for (const Arrangement from :
       {Arrangement::heads_inside, Arrangement::packed, Arrangement::permuted,
        Arrangement::reversed, Arrangement::repeated, Arrangement::misaligned}) {
    for (const Arrangement to : {Arrangement::dense, Arrangement::permuted, Arrangement::reversed,
                                 Arrangement::packed, Arrangement::misaligned}) {
      SCOPED_TRACE(std::string(name_of(from)) + " to " + std::string(name_of(to)));
      StridedBuffer<T> x({3, 4, 9}, from, draws, T(kNaN));
      StridedBuffer<T> out({3, 4, 9}, to, draws, T(kNaN));
      fill(x.view(), draws);
      EXPECT_EQ(dropout_into(out.view(), x.view(), options).path, TypeParam::kPath);
      EXPECT_TRUE(same_elements<T>(out.view(), dropout_of<T>(x.view(), options)));
      EXPECT_TRUE(out.is_untouched_outside());
    }
  }
}

TYPED_TEST(Dropout, InPlace) {
  using T = typename TypeParam::Element;
  Draws draws(8);
  const DropoutOptions options =
      this->on_path({.probability = 0.3, .seed = 2, .execution = {.threads = 3}});
  for (const Arrangement arrangement : {Arrangement::dense, Arrangement::permuted,
                                        Arrangement::reversed, Arrangement::misaligned}) {
    SCOPED_TRACE(name_of(arrangement));
    StridedBuffer<T> x({4, 5, 400}, arrangement, draws, T(kNaN));
    fill(x.view(), draws);
    const Tensor<T> expected = dropout(x.view(), options);
    EXPECT_EQ(dropout_backward_into(x.view(), x.view(), options).path, TypeParam::kPath);
    EXPECT_TRUE(same_bits<T>(x.view(), expected));
    EXPECT_TRUE(x.is_untouched_outside());
  }
}

TYPED_TEST(Dropout, TheSameBitsForAnyNumberOfThreads) {
  const auto x = random_tensor<typename TypeParam::Element>({37, 2701}, 4);
  DropoutOptions options = this->on_path({.probability = 0.2, .seed = 3});
  options.execution.threads = 1;
  const auto expected = dropout(x, options);
  for (const int threads : {0, 2, 3, 8}) {
    options.execution.threads = threads;
    EXPECT_TRUE(same_bits(dropout(x, options), expected)) << threads;
  }
}

class DropoutOnEveryIsa : public OnEveryIsa {};

/// One multiplication for each element: the same bits on all of them.
TEST_P(DropoutOnEveryIsa, EveryLengthAndFirstElementByTheRule) {
  const DropoutOptions options{.probability = 0.4,
                               .seed = 5,
                               .call = 6,
                               .execution = {.path = Path::fused, .isa = GetParam(), .threads = 1}};
  const auto x = random_tensor<float>({9, 300}, 3);
  for (std::int64_t length = 0; length <= 140; ++length) {
    // Rows of this length: they begin at any place among the groups of four.
    const TensorView<const float> view = x.view().slice(1, 3, length);
    const Tensor<float> out = dropout(view, options);
    EXPECT_TRUE(same_elements<float>(out, dropout_of<float>(view, options))) << length;
    Tensor<float> spread({9, 2 * length});
    const auto every_other =
        TensorView<float>(spread.data(), Layout{.shape = {9, length}, .strides = {2 * length, 2}});
    EXPECT_EQ(dropout_into(every_other, view, options).isa, GetParam());
    EXPECT_TRUE(same_bits<float>(every_other, out)) << length;
  }
}

INSTANTIATE_TEST_SUITE_P(All, DropoutOnEveryIsa, ::testing::ValuesIn(kIsasWithKernels),
                         name_of_isa);

/// In float64, of sum of out * d_out.
TEST(DropoutGradient, EqualsCentralDifferences) {
  for (const double p : {0.0, 0.1, 0.5, 1.0}) {
    const DropoutOptions options{.probability = p, .seed = 4, .call = 2};
    auto x = random_tensor<double>({3, 7}, 1);
    const auto d_out = random_tensor<double>({3, 7}, 2);
    const auto d_x = dropout_backward(d_out, options);
    const auto result = [&] {
      const auto out = dropout(x, options);
      double sum = 0;
      for (std::size_t n = 0; n < out.values().size(); ++n) {
        sum += out.values()[n] * d_out.values()[n];
      }
      return sum;
    };
    for (std::size_t n = 0; n < x.values().size(); ++n) {
      const double before = x.values()[n];
      x.values()[n] = before + 1e-6;
      const double above = result();
      x.values()[n] = before - 1e-6;
      const double below = result();
      x.values()[n] = before;
      const double expected = (above - below) / 2e-6;
      EXPECT_NEAR(d_x.values()[n], expected, 1e-5 + 1e-3 * std::abs(expected)) << n;
    }
  }
}

TYPED_TEST(Dropout, Errors) {
  using T = typename TypeParam::Element;
  const auto x = random_tensor<T>({3, 4}, 1);
  const auto untouched = random_tensor<T>({64}, 2);
  Tensor<T> pool = untouched;
  const auto out = [&](const Shape& shape) { return TensorView<T>(pool.data(), shape); };
  for (const double p : {-0.1, -1e-300, 1.0000001, kInfinity, -kInfinity, kNaN}) {
    const std::string rule = ": probability must lie in [0, 1]; found " + std::to_string(p);
    EXPECT_EQ(message_of([&] { dropout(x, {.probability = p}); }), "dropout" + rule);
    EXPECT_EQ(message_of([&] { dropout_backward(x, {.probability = p}); }),
              "dropout_backward" + rule);
    EXPECT_EQ(message_of([&] { dropout_into(out({3, 4}), x, {.probability = p}); }),
              "dropout_into" + rule);
    EXPECT_EQ(message_of([&] { dropout_backward_into(out({3, 4}), x, {.probability = p}); }),
              "dropout_backward_into" + rule);
  }
  EXPECT_EQ(message_of([&] { dropout_into(out({4, 3}), x, {}); }),
            "dropout_into: out must have the shape of x; found out (4, 3), x (3, 4)");
  EXPECT_EQ(
      message_of([&] { dropout_backward_into(out({12}), x, {}); }),
      "dropout_backward_into: d_x must have the shape of d_out; found d_x (12,), d_out (3, 4)");
  const TensorView<T> twice(pool.data(), Layout{.shape = {3, 4}, .strides = {4, 0}});
  EXPECT_EQ(message_of([&] { dropout_into(twice, x, {}); }),
            "dropout_into: out must not overlap itself; found shape (3, 4), strides (4, 0)");
  EXPECT_EQ(
      message_of([&] { dropout_into(out({3, 4}), TensorView<T>(pool.data() + 1, {3, 4}), {}); }),
      "dropout_into: out must be x or lie apart from it; found views that share memory");
  EXPECT_EQ(message_of([&] { dropout(TensorView<const T>(), {}); }),
            "dropout: x must be given; found a null view of shape ()");
  EXPECT_EQ(message_of([&] { dropout_backward(TensorView<const T>(nullptr, {2}), {}); }),
            "dropout_backward: d_out must be given; found a null view of shape (2,)");
  if (kDTypeOf<T> == DType::float64) {
    EXPECT_NE(message_of([&] { dropout(x, {.execution = {.path = Path::fused}}); }).find("fused"),
              std::string::npos);
  }
  EXPECT_THROW(dropout(x, {.execution = {.threads = -1}}), Error);
  EXPECT_TRUE(same_bits(pool, untouched));
}

}  // namespace
}  // namespace attention::tests
