#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/softmax.hpp>

#include "harness/every_path.hpp"
#include "harness/half_unit.hpp"
#include "harness/sdpa_operands.hpp"
#include "harness/strided_buffer.hpp"
#include "tests/support/message_of.hpp"

namespace attention::tests {
namespace {

template <class Setting>
class SoftmaxBackward : public ::testing::Test {
 protected:
  using Element = typename Setting::Element;

  static Execution execution(int threads = 0) {
    return {.path = Setting::kPath, .threads = threads};
  }
  static Tensor<Element> gradient(TensorView<const Element> d_out, TensorView<const Element> out,
                                  int threads = 0) {
    return softmax_backward(d_out, out, execution(threads));
  }
};
TYPED_TEST_SUITE(SoftmaxBackward, EveryPathFusedInFloat, PathNames);

/// Each element against the formula in double. The bar is one rounding, and what the arithmetic
/// before it costs: double's, or, on the fused path, what ops/softmax.hpp says.
template <class T>
void expect_gradient(TensorView<const T> found, TensorView<const T> d_out, TensorView<const T> out,
                     Path path) {
  ASSERT_EQ(found.shape(), out.shape());
  const auto values = widened(found);
  const auto d = widened(d_out);
  const auto p = widened(out);
  const auto width = static_cast<std::size_t>(out.size(out.rank() - 1));
  for (std::size_t start = 0; start < values.size(); start += width) {
    double mean = 0;
    double magnitude = 0;
    for (std::size_t n = start; n < start + width; ++n) {
      mean += p[n] * d[n];
      magnitude += std::abs(p[n] * d[n]);
    }
    for (std::size_t n = start; n < start + width; ++n) {
      const double expected = p[n] * (d[n] - mean);
      const double arithmetic =
          (path == Path::fused ? 5e-7 : 0x1p-49) * p[n] * (std::abs(d[n]) + magnitude);
      ASSERT_NEAR(values[n], expected,
                  half_unit_of(kDTypeOf<T>) * std::abs(expected) * 1.0001 + arithmetic +
                      (sizeof(T) == 2 ? 0x1p-25 : 0x1p-149))
          << "element " << n;
    }
  }
}

TYPED_TEST(SoftmaxBackward, EveryLength) {
  using T = typename TypeParam::Element;
  for (std::int64_t length = 1; length <= 140; ++length) {
    SCOPED_TRACE(length);
    const auto seed = static_cast<std::uint64_t>(length);
    const auto out = softmax(random_tensor<T>({2, length}, seed));
    const auto d_out = random_tensor<T>({2, length}, seed + 1000);
    expect_gradient<T>(this->gradient(d_out, out), d_out, out, TypeParam::kPath);
  }
  const auto out = softmax(random_tensor<T>({1, 100'003}, 1));
  const auto d_out = random_tensor<T>({1, 100'003}, 2);
  expect_gradient<T>(this->gradient(d_out, out), d_out, out, TypeParam::kPath);
}

/// What each addition to a large float rounds away would add up.
TYPED_TEST(SoftmaxBackward, TheSumOfALongRowLosesNothing) {
  using T = typename TypeParam::Element;
  const auto out = Tensor<T>::filled({1'000'003}, element_cast<T>(1e-6));
  const auto d_out = Tensor<T>::filled({1'000'003}, element_cast<T>(0.7));
  expect_gradient<T>(this->gradient(d_out, out), d_out, out, TypeParam::kPath);
}

TYPED_TEST(SoftmaxBackward, EmptyDimensions) {
  using T = typename TypeParam::Element;
  for (const Shape& shape : {Shape{0}, Shape{3, 0}, Shape{0, 3}, Shape{2, 0, 5}}) {
    const Tensor<T> out(shape);
    EXPECT_EQ(this->gradient(out, out).shape(), shape);
    Tensor<T> d_x(shape);
    EXPECT_EQ(softmax_backward_into(d_x, out, out, this->execution()), TypeParam::kPath);
  }
}

TYPED_TEST(SoftmaxBackward, AnyStridesAndInPlace) {
  using T = typename TypeParam::Element;
  Draws draws(9);
  for (int run = 0; run < 100; ++run) {
    const auto any = [&] {
      return draws.one_of({Arrangement::dense, Arrangement::heads_inside, Arrangement::packed,
                           Arrangement::permuted, Arrangement::reversed, Arrangement::misaligned});
    };
    const Shape shape = {3, 4, draws.one_of({1, 9, 33, 70})};
    const auto filler = element_cast<T>(NAN);
    StridedBuffer<T> d_out(shape, any(), draws, filler);
    StridedBuffer<T> out(shape, draws.chance(0.2) ? Arrangement::repeated : any(), draws, filler);
    StridedBuffer<T> d_x(shape, any(), draws, filler);
    for (StridedBuffer<T>* const each : {&d_out, &out}) {
      const TensorView<T> view = each->view();
      for_each_offset(
          shape, [&](std::int64_t n) { view.data()[n] = element_cast<T>(draws.unit()); },
          view.strides());
    }
    const int threads = draws.one_of({1, 2, 3});
    EXPECT_EQ(softmax_backward_into(d_x.view(), d_out.view(), out.view(), this->execution(threads)),
              TypeParam::kPath);
    expect_gradient<T>(d_x.view(), d_out.view(), out.view(), TypeParam::kPath);
    EXPECT_TRUE(d_x.is_untouched_outside());
    // Dense copies give the same bits, and so does the gradient in the place of d_out.
    const Tensor<T> dense =
        this->gradient(Tensor<T>::copy_of(d_out.view()), Tensor<T>::copy_of(out.view()));
    EXPECT_TRUE(same_bits<T>(d_x.view(), dense));
    softmax_backward_into(d_out.view(), d_out.view(), out.view(), this->execution(threads));
    EXPECT_TRUE(same_bits<T>(d_out.view(), dense));
    EXPECT_TRUE(d_out.is_untouched_outside());
  }
}

TYPED_TEST(SoftmaxBackward, TheSameBitsForAnyNumberOfThreadsAndAnyBatch) {
  using T = typename TypeParam::Element;
  const auto out = softmax(random_tensor<T>({600, 70}, 4));
  const auto d_out = random_tensor<T>({600, 70}, 5);
  const Tensor<T> expected = this->gradient(d_out, out, 1);
  for (const int threads : {0, 2, 3, 8}) {
    EXPECT_TRUE(same_bits(this->gradient(d_out, out, threads), expected)) << threads;
  }
  for (std::int64_t row = 0; row < 600; ++row) {
    EXPECT_TRUE(same_bits<T>(this->gradient(d_out.view().select(0, row), out.view().select(0, row)),
                             expected.view().select(0, row)));
  }
}

TYPED_TEST(SoftmaxBackward, NaNStaysInItsRow) {
  using T = typename TypeParam::Element;
  auto out = softmax(random_tensor<T>({5, 37}, 3));
  auto d_out = random_tensor<T>({5, 37}, 4);
  const Tensor<T> expected = this->gradient(d_out, out);
  out(1, 36) = element_cast<T>(NAN);
  d_out(3, 0) = element_cast<T>(NAN);
  const Tensor<T> found = this->gradient(d_out, out);
  for (const std::int64_t row : {1, 3}) {
    for (std::int64_t j = 0; j < 37; ++j) {
      EXPECT_TRUE(std::isnan(element_cast<double>(found(row, j)))) << row << ", " << j;
    }
  }
  for (const std::int64_t row : {0, 2, 4}) {
    EXPECT_TRUE(same_bits<T>(found.view().select(0, row), expected.view().select(0, row)));
  }
}

TYPED_TEST(SoftmaxBackward, ARowThatHasDecidedGivesNoGradient) {
  using T = typename TypeParam::Element;
  Tensor<T> out({1, 33});
  out(0, 20) = element_cast<T>(1.0);
  const auto d_out = Tensor<T>::filled({1, 33}, element_cast<T>(3e4));
  const Tensor<T> found = this->gradient(d_out, out);
  for (const T value : found.values()) {
    EXPECT_EQ(element_cast<double>(value), 0);
  }
}

TYPED_TEST(SoftmaxBackward, Errors) {
  using T = typename TypeParam::Element;
  using attention::test::message_of;
  const auto out = random_tensor<T>({3, 4}, 1);
  const auto untouched = random_tensor<T>({64}, 2);
  Tensor<T> pool = untouched;
  const auto at = [&](std::int64_t start, const Shape& shape) {
    return TensorView<T>(pool.data() + start, shape);
  };
  const Tensor<T> scalar(Shape{});
  const std::string name = "softmax_backward: ";
  const std::string into = "softmax_backward_into: ";
  EXPECT_EQ(message_of([&] { softmax_backward(scalar, scalar); }),
            name + "out must have rank 1 or more; found ()");
  EXPECT_EQ(message_of([&] { softmax_backward(Tensor<T>({4, 3}), out); }),
            name + "d_out must have the shape of out; found d_out (4, 3), out (3, 4)");
  EXPECT_EQ(message_of([&] { softmax_backward(TensorView<const T>(nullptr, {3, 4}), out); }),
            name + "d_out must be given; found a null view of shape (3, 4)");
  EXPECT_EQ(message_of([&] { softmax_backward(out, TensorView<const T>(nullptr, {3, 4})); }),
            name + "out must be given; found a null view of shape (3, 4)");
  EXPECT_EQ(message_of([&] { softmax_backward_into(at(0, {12}), out, out); }),
            into + "d_x must have the shape of out; found d_x (12,), out (3, 4)");
  EXPECT_EQ(message_of([&] {
              softmax_backward_into(
                  TensorView<T>(pool.data(), {.shape = {3, 4}, .strides = {0, 1}}), out, out);
            }),
            into + "d_x must not overlap itself; found shape (3, 4), strides (0, 1)");
  EXPECT_EQ(message_of([&] { softmax_backward_into(at(1, {3, 4}), at(0, {3, 4}), out); }),
            into + "d_x must be d_out or lie apart from it; found views that share memory");
  EXPECT_EQ(message_of([&] { softmax_backward_into(at(0, {3, 4}), out, at(0, {3, 4})); }),
            into + "d_x must lie apart from out; found views that share memory");
  if (kDTypeOf<T> != DType::float32) {
    EXPECT_EQ(message_of([&] { softmax_backward(out, out, {.path = Path::fused}); }),
              name + "the path must serve the element type; for " +
                  std::string(name_of(kDTypeOf<T>)) + " there are: reference; found fused");
  }
  EXPECT_THROW(softmax_backward(out, out, {.threads = -1}), Error);
  EXPECT_TRUE(same_bits(pool, untouched));
}

/// Every element of x, moved a little to either side.
TEST(SoftmaxGradient, EqualsCentralDifferences) {
  constexpr double kStep = 1e-6;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Draws draws(seed);
    const Shape shape = {1 + draws.below(3), 1 + draws.below(12)};
    auto x = random_tensor<double>(shape, seed + 1000);
    const auto d_out = random_tensor<double>(shape, seed + 2000);
    const auto result = [&] {
      const Tensor<double> out = softmax(x);
      double sum = 0;
      for (std::size_t n = 0; n < out.values().size(); ++n) {
        sum += out.values()[n] * d_out.values()[n];
      }
      return sum;
    };
    const Tensor<double> found = softmax_backward(d_out, softmax(x));
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
          << "seed " << seed << ", element " << n;
    }
  }
}

}  // namespace
}  // namespace attention::tests
