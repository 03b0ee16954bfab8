#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/linear_backward.hpp>
#include <attention/reference/linear.hpp>

#include "harness/every_path.hpp"
#include "harness/half_unit.hpp"
#include "harness/strided_buffer.hpp"

namespace attention::tests {
namespace {

using EveryBackwardPath = ::testing::Types<On<float, Path::fused>, On<float, Path::reference>,
                                           On<double, Path::reference>>;

/// The operands of one problem.
template <class T>
struct Operands {
  Tensor<T> d_out;
  Tensor<T> x;
  Tensor<T> weight;
};

template <class T>
Operands<T> drawn(std::int64_t rows, std::int64_t inputs, std::int64_t outputs) {
  return {.d_out = random_tensor<T>({rows, outputs}, 1),
          .x = random_tensor<T>({rows, inputs}, 2),
          .weight = random_tensor<T>({outputs, inputs}, 3)};
}

template <class T>
bool same_gradients(const LinearGradients<T>& a, const LinearGradients<T>& b) {
  return same_bits(a.x, b.x) && same_bits(a.weight, b.weight) && same_bits(a.bias, b.bias);
}

template <class Setting>
class LinearBackward : public ::testing::Test {
 protected:
  using Element = typename Setting::Element;

  static Execution execution(int threads = 1) {
    return {.path = Setting::kPath, .threads = threads};
  }
  static LinearGradients<Element> gradients(TensorView<const Element> d_out,
                                            TensorView<const Element> x,
                                            TensorView<const Element> weight, int threads = 1) {
    return linear_backward(d_out, x, weight, {.execution = execution(threads)});
  }
  static LinearGradients<Element> gradients(const Operands<Element>& operands, int threads = 1) {
    return gradients(operands.d_out, operands.x, operands.weight, threads);
  }
};
TYPED_TEST_SUITE(LinearBackward, EveryBackwardPath, PathNames);

/// The gradients in double, or, with magnitudes, the sums of the magnitudes of their terms.
template <class T>
LinearGradients<double> exact(TensorView<const T> d_out, TensorView<const T> x,
                              TensorView<const T> weight, double (*of)(double)) {
  const auto wide = [&](TensorView<const T> from) {
    Tensor<double> to = converted<double>(from);
    std::ranges::transform(to.values(), to.values().begin(), of);
    return to;
  };
  return linear_backward(wide(d_out), wide(x), wide(weight),
                         {.execution = {.path = Path::reference, .threads = 1}});
}

/// Each element against the sum in double. The bar of the fused path: a piece of at most 256 terms
/// is a sum of rounded products at worst (two roundings a term), and then one more for each piece;
/// each product may also lose half of the smallest denormal number. That of the reference: any
/// order in double, rounded once.
template <class T>
void expect_near(const Tensor<T>& found, const Tensor<double>& truth,
                 const Tensor<double>& magnitudes, std::int64_t terms, Path path) {
  ASSERT_EQ(found.shape(), truth.shape());
  const auto count = static_cast<double>(terms);
  const double roundings = path == Path::fused
                               ? 0x1p-24 * (2 * std::min(count, 256.0) + count / 256 + 2)
                               : 0x1p-53 * (2 * count + 2);
  for (std::size_t n = 0; n < truth.values().size(); ++n) {
    const double expected = truth.values()[n];
    const double bar = roundings * 1.0001 * magnitudes.values()[n] +
                       half_unit_of(kDTypeOf<T>) * 1.0001 * std::abs(expected) +
                       count * (path == Path::fused ? 0x1p-149 : 0.0) + 0x1p-149;
    ASSERT_NEAR(static_cast<double>(found.values()[n]), expected, bar) << "element " << n;
  }
}

template <class T>
void expect_gradients(const LinearGradients<T>& found, TensorView<const T> d_out,
                      TensorView<const T> x, TensorView<const T> weight, Path path) {
  const auto truth = exact(d_out, x, weight, [](double a) { return a; });
  const auto magnitudes = exact(d_out, x, weight, [](double a) { return std::abs(a); });
  const std::int64_t outputs = weight.size(0);
  const std::int64_t rows = outputs == 0 ? 0 : d_out.element_count() / outputs;
  expect_near(found.x, truth.x, magnitudes.x, outputs, path);
  expect_near(found.weight, truth.weight, magnitudes.weight, rows, path);
  expect_near(found.bias, truth.bias, magnitudes.bias, rows, path);
}

TYPED_TEST(LinearBackward, EverySize) {
  using T = typename TypeParam::Element;
  const auto check = [&](std::int64_t rows, std::int64_t inputs, std::int64_t outputs) {
    SCOPED_TRACE(to_string(Shape{rows, inputs, outputs}));
    const auto operands = drawn<T>(rows, inputs, outputs);
    expect_gradients<T>(this->gradients(operands), operands.d_out, operands.x, operands.weight,
                        TypeParam::kPath);
  };
  for (const std::int64_t rows : {0, 1, 3, 16, 17, 33}) {
    for (const std::int64_t inputs : {0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 129}) {
      for (const std::int64_t outputs : {0, 1, 2, 5, 6, 7, 8, 15, 16, 17, 33, 65}) {
        check(rows, inputs, outputs);
      }
    }
  }
  // Beyond one block, one piece of terms, one call and one task.
  check(257, 5, 3);
  check(700, 33, 97);
  check(1100, 20, 9);
  check(40, 600, 300);
  check(97, 70, 530);
}

TYPED_TEST(LinearBackward, ByHand) {
  using T = typename TypeParam::Element;
  const auto found =
      this->gradients(Tensor<T>({2, 2}, {1, 2, 3, -1}), Tensor<T>({2, 3}, {1, 2, 3, -1, 0, 4}),
                      Tensor<T>({2, 3}, {1, 0, -1, 2, 5, 3}));
  EXPECT_TRUE(same_bits(found.x, Tensor<T>({2, 3}, {5, 10, 5, 1, -5, -6})));
  EXPECT_TRUE(same_bits(found.weight, Tensor<T>({2, 3}, {-2, 2, 15, 3, 4, 2})));
  EXPECT_TRUE(same_bits(found.bias, Tensor<T>({2}, {4, 1})));
}

TYPED_TEST(LinearBackward, EveryRank) {
  using T = typename TypeParam::Element;
  const auto weight = random_tensor<T>({5, 6}, 2);
  for (const Shape& outer : {Shape{}, Shape{2}, Shape{2, 3}, Shape{2, 0}, Shape{1, 2, 3, 1, 2}}) {
    SCOPED_TRACE(to_string(outer));
    Shape in = outer;
    in.push_back(6);
    Shape out = outer;
    out.push_back(5);
    const auto x = random_tensor<T>(in, 1);
    const auto d_out = random_tensor<T>(out, 3);
    expect_gradients<T>(this->gradients(d_out, x, weight), d_out, x, weight, TypeParam::kPath);
  }
}

/// A buffer of any arrangement with normal draws.
template <class T>
StridedBuffer<T> input(const Shape& shape, Arrangement arrangement, Draws& draws) {
  StridedBuffer<T> buffer(shape, arrangement, draws, static_cast<T>(NAN));
  const TensorView<T> view = buffer.view();
  for_each_offset(
      shape, [&](std::int64_t n) { view.data()[n] = static_cast<T>(draws.normal()); },
      view.strides());
  return buffer;
}

Arrangement any_arrangement(Draws& draws) {
  return draws.one_of({Arrangement::dense, Arrangement::heads_inside, Arrangement::packed,
                       Arrangement::permuted, Arrangement::reversed, Arrangement::misaligned});
}

TYPED_TEST(LinearBackward, AnyStrides) {
  using T = typename TypeParam::Element;
  Draws draws(7);
  for (int run = 0; run < 100; ++run) {
    SCOPED_TRACE("run " + std::to_string(run));
    const std::int64_t inputs = draws.one_of({3, 8, 17, 33, 70});
    const std::int64_t outputs = draws.one_of({1, 5, 16, 19});
    const auto any_input = [&](const Shape& shape) {
      return input<T>(shape, draws.chance(0.2) ? Arrangement::repeated : any_arrangement(draws),
                      draws);
    };
    StridedBuffer<T> d_out = any_input({2, 9, outputs});
    StridedBuffer<T> x = any_input({2, 9, inputs});
    StridedBuffer<T> weight = any_input({outputs, inputs});
    const auto filler = static_cast<T>(NAN);
    StridedBuffer<T> d_x({2, 9, inputs}, any_arrangement(draws), draws, filler);
    StridedBuffer<T> d_weight({outputs, inputs}, any_arrangement(draws), draws, filler);
    StridedBuffer<T> d_bias({outputs}, any_arrangement(draws), draws, filler);
    const Execution execution = this->execution(draws.one_of({1, 2, 3}));
    std::vector<std::byte> workspace(
        linear_backward_workspace_size(inputs, kDTypeOf<T>, execution) + 1);
    const Taken taken = linear_backward_into(
        {.x = d_x.view(), .weight = d_weight.view(), .bias = d_bias.view()}, d_out.view(), x.view(),
        weight.view(), {.execution = execution}, std::span(workspace).subspan(1));
    EXPECT_EQ(taken.path, TypeParam::kPath);
    const LinearGradients<T> found = {.x = Tensor<T>::copy_of(d_x.view()),
                                      .weight = Tensor<T>::copy_of(d_weight.view()),
                                      .bias = Tensor<T>::copy_of(d_bias.view())};
    expect_gradients<T>(found, d_out.view(), x.view(), weight.view(), TypeParam::kPath);
    EXPECT_TRUE(d_x.is_untouched_outside() && d_weight.is_untouched_outside() &&
                d_bias.is_untouched_outside());
    // Dense copies give the same bits.
    EXPECT_TRUE(same_gradients(
        found, this->gradients(Tensor<T>::copy_of(d_out.view()), Tensor<T>::copy_of(x.view()),
                               Tensor<T>::copy_of(weight.view()))));
  }
}

/// Transposed in memory, where the kernels transpose in registers.
TYPED_TEST(LinearBackward, TransposedViews) {
  using T = typename TypeParam::Element;
  for (const std::int64_t rows : {1, 2, 15, 16, 40, 300}) {
    for (const std::int64_t inputs : {1, 2, 16, 37, 70}) {
      SCOPED_TRACE(to_string(Shape{rows, inputs}));
      const auto d_out = random_tensor<T>({35, rows}, 1);
      const auto x = random_tensor<T>({inputs, rows}, 2);
      const auto weight = random_tensor<T>({inputs, 35}, 3);
      const auto turned = [](const Tensor<T>& tensor) { return tensor.view().transpose(0, 1); };
      EXPECT_TRUE(same_gradients(
          this->gradients(turned(d_out), turned(x), turned(weight)),
          this->gradients(Tensor<T>::copy_of(turned(d_out)), Tensor<T>::copy_of(turned(x)),
                          Tensor<T>::copy_of(turned(weight)))));
    }
  }
}

TYPED_TEST(LinearBackward, TheSameBitsForAnyNumberOfThreads) {
  using T = typename TypeParam::Element;
  for (const Shape& shape :
       {Shape{37, 70, 41}, Shape{600, 40, 20}, Shape{70, 530, 7}, Shape{20, 300, 300}}) {
    SCOPED_TRACE(to_string(shape));
    const auto operands = drawn<T>(shape[0], shape[1], shape[2]);
    const auto expected = this->gradients(operands);
    for (const int threads : {0, 2, 3, 8, 64}) {
      EXPECT_TRUE(same_gradients(this->gradients(operands, threads), expected)) << threads;
    }
  }
}

TYPED_TEST(LinearBackward, RowsOfDxDoNotDependOnOthersNorOutputsAndInputsOfDweight) {
  using T = typename TypeParam::Element;
  const auto operands = drawn<T>(37, 70, 41);
  const TensorView<const T> d_out = operands.d_out;
  const TensorView<const T> x = operands.x;
  const TensorView<const T> weight = operands.weight;
  const auto expected = this->gradients(operands);
  for (std::int64_t n = 0; n < 37; ++n) {
    EXPECT_TRUE(same_bits<T>(this->gradients(d_out.select(0, n), x.select(0, n), weight).x,
                             expected.x.view().select(0, n)))
        << n;
  }
  for (std::int64_t o = 0; o < 41; ++o) {
    const auto one = this->gradients(d_out.slice(1, o, 1), x, weight.slice(0, o, 1));
    EXPECT_TRUE(same_bits<T>(one.weight, expected.weight.view().slice(0, o, 1))) << o;
    EXPECT_TRUE(same_bits<T>(one.bias, expected.bias.view().slice(0, o, 1))) << o;
  }
  for (std::int64_t i = 0; i < 70; ++i) {
    const auto one = this->gradients(d_out, x.slice(1, i, 1), weight.slice(1, i, 1));
    EXPECT_TRUE(same_bits<T>(one.weight, expected.weight.view().slice(1, i, 1))) << i;
    EXPECT_TRUE(same_bits<T>(one.x, expected.x.view().slice(1, i, 1))) << i;
  }
}

TYPED_TEST(LinearBackward, WhatIsNotWantedIsNullAndChangesNoBit) {
  using T = typename TypeParam::Element;
  const auto operands = drawn<T>(300, 70, 41);
  const auto all = this->gradients(operands, 2);
  for (int wanted = 0; wanted < 8; ++wanted) {
    SCOPED_TRACE(wanted);
    const LinearBackwardOptions options = {.wants_x = (wanted & 1) != 0,
                                           .wants_weight = (wanted & 2) != 0,
                                           .wants_bias = (wanted & 4) != 0,
                                           .execution = this->execution(2)};
    const auto found = linear_backward(operands.d_out, operands.x, operands.weight, options);
    EXPECT_TRUE(options.wants_x ? same_bits(found.x, all.x) : found.x.is_null());
    EXPECT_TRUE(options.wants_weight ? same_bits(found.weight, all.weight)
                                     : found.weight.is_null());
    EXPECT_TRUE(options.wants_bias ? same_bits(found.bias, all.bias) : found.bias.is_null());
  }
}

TYPED_TEST(LinearBackward, AccumulatesOntoWhatTheOutputsHold) {
  using T = typename TypeParam::Element;
  for (const Shape& shape : {Shape{37, 70, 41}, Shape{0, 3, 4}, Shape{3, 0, 4}, Shape{3, 4, 0}}) {
    SCOPED_TRACE(to_string(shape));
    const auto operands = drawn<T>(shape[0], shape[1], shape[2]);
    LinearGradients<T> found = {.x = random_tensor<T>(operands.x.shape(), 5),
                                .weight = random_tensor<T>(operands.weight.shape(), 6),
                                .bias = random_tensor<T>({shape[2]}, 7)};
    const LinearGradients<T> before = found;
    std::vector<std::byte> workspace(
        linear_backward_workspace_size(shape[1], kDTypeOf<T>, this->execution()));
    linear_backward_into({.x = found.x, .weight = found.weight, .bias = found.bias}, operands.d_out,
                         operands.x, operands.weight,
                         {.accumulate = true, .execution = this->execution()}, workspace);
    const auto alone = this->gradients(operands);
    const auto check = [](const Tensor<T>& sum, const Tensor<T>& a, const Tensor<T>& b) {
      for (std::size_t n = 0; n < sum.values().size(); ++n) {
        // The reference adds in double what `alone` has rounded.
        const auto first = static_cast<double>(a.values()[n]);
        const auto second = static_cast<double>(b.values()[n]);
        EXPECT_NEAR(sum.values()[n], first + second,
                    2 * half_unit_of(kDTypeOf<T>) * (std::abs(first) + 2 * std::abs(second)));
      }
    };
    check(found.x, before.x, alone.x);
    check(found.weight, before.weight, alone.weight);
    check(found.bias, before.bias, alone.bias);
  }
}

TYPED_TEST(LinearBackward, ManyRowsAccumulate) {
  using T = typename TypeParam::Element;
  const auto operands = Operands<T>{.d_out = Tensor<T>::filled({1000, 3}, 1),
                                    .x = Tensor<T>::filled({1000, 20}, 2),
                                    .weight = Tensor<T>::filled({3, 20}, 3)};
  LinearGradients<T> found = {.x = Tensor<T>::filled({1000, 20}, 5),
                              .weight = Tensor<T>::filled({3, 20}, 5),
                              .bias = Tensor<T>::filled({3}, 5)};
  std::vector<std::byte> workspace(
      linear_backward_workspace_size(20, kDTypeOf<T>, this->execution()));
  linear_backward_into({.x = found.x, .weight = found.weight, .bias = found.bias}, operands.d_out,
                       operands.x, operands.weight,
                       {.accumulate = true, .execution = this->execution()}, workspace);
  EXPECT_TRUE(same_bits(found.x, Tensor<T>::filled({1000, 20}, 5 + 9)));
  EXPECT_TRUE(same_bits(found.weight, Tensor<T>::filled({3, 20}, 5 + 2000)));
  EXPECT_TRUE(same_bits(found.bias, Tensor<T>::filled({3}, 5 + 1000)));
}

TYPED_TEST(LinearBackward, NanStaysWhereItReaches) {
  using T = typename TypeParam::Element;
  const auto nan = std::numeric_limits<T>::quiet_NaN();
  auto operands = drawn<T>(9, 20, 18);
  operands.d_out(4, 17) = nan;
  operands.x(2, 19) = nan;
  operands.weight(7, 0) = nan;
  const auto found = this->gradients(operands);
  for (std::int64_t n = 0; n < 9; ++n) {
    for (std::int64_t i = 0; i < 20; ++i) {
      EXPECT_EQ(std::isnan(found.x(n, i)), n == 4 || i == 0) << n << ", " << i;
    }
  }
  for (std::int64_t o = 0; o < 18; ++o) {
    for (std::int64_t i = 0; i < 20; ++i) {
      EXPECT_EQ(std::isnan(found.weight(o, i)), o == 17 || i == 19) << o << ", " << i;
    }
    EXPECT_EQ(std::isnan(found.bias(o)), o == 17) << o;
  }
}

TYPED_TEST(LinearBackward, InfinityIsInfinityAndTimesZeroNan) {
  using T = typename TypeParam::Element;
  const T infinity = std::numeric_limits<T>::infinity();
  const auto found = this->gradients(Tensor<T>({1, 2}, {infinity, 1}), Tensor<T>({1, 2}, {2, 0}),
                                     Tensor<T>({2, 2}, {1, 0, 1, 1}));
  EXPECT_EQ(found.x(0, 0), infinity);
  EXPECT_TRUE(std::isnan(found.x(0, 1)));
  EXPECT_EQ(found.weight(0, 0), infinity);
  EXPECT_TRUE(std::isnan(found.weight(0, 1)));
  EXPECT_EQ(found.weight(1, 0), 2);
  EXPECT_EQ(found.bias(0), infinity);
  EXPECT_EQ(found.bias(1), 1);
}

TYPED_TEST(LinearBackward, LargeAndDenormalNumbers) {
  using T = typename TypeParam::Element;
  const auto scaled = [](Tensor<T> tensor, double factor) {
    for (T& value : tensor.values()) {
      value = static_cast<T>(static_cast<double>(value) * factor);
    }
    return tensor;
  };
  for (const auto& [of_d_out, of_others] : {std::pair(1e30, 1e-30), std::pair(1e-30, 1e30),
                                            std::pair(1e-30, 1e-12), std::pair(1e-42, 1.0)}) {
    SCOPED_TRACE(of_d_out);
    auto operands = drawn<T>(20, 33, 17);
    operands.d_out = scaled(operands.d_out, of_d_out);
    operands.x = scaled(operands.x, of_others);
    operands.weight = scaled(operands.weight, of_others);
    expect_gradients<T>(this->gradients(operands), operands.d_out, operands.x, operands.weight,
                        TypeParam::kPath);
  }
}

TYPED_TEST(LinearBackward, TheForcedPathIsTheOneTakenAndAutomaticIsNamed) {
  using T = typename TypeParam::Element;
  const auto operands = drawn<T>(2, 3, 5);
  const auto forced = this->gradients(operands);
  EXPECT_EQ(forced.taken.path, TypeParam::kPath);
  EXPECT_EQ(forced.taken.isa.has_value(), TypeParam::kPath == Path::fused);
  const auto chosen = linear_backward(operands.d_out, operands.x, operands.weight);
  ASSERT_NE(chosen.taken.path, Path::automatic);
  EXPECT_TRUE(same_gradients(chosen, linear_backward(operands.d_out, operands.x, operands.weight,
                                                     {.execution = {.path = chosen.taken.path}})));
}

}  // namespace
}  // namespace attention::tests
