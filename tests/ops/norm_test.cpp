#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "harness/norms.hpp"
#include "harness/strided_buffer.hpp"

/// layer_norm and rms_norm, forward.
namespace attention::tests {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t kLengths[] = {0,  1,  2,  3,  7,   8,   9,   15,  16,   17,   31,  32,
                                     33, 63, 64, 65, 127, 128, 129, 255, 1023, 1025, 2100};

template <class Setting>
class Norm : public ::testing::Test {
 protected:
  using Element = typename Setting::Element;

  static std::vector<Execution> executions(int threads = 1) {
    return executions_on(Setting::kPath, threads);
  }
  static LayerNormResult<Element> run(TensorView<const Element> x, TensorView<const Element> weight,
                                      TensorView<const Element> bias, const Execution& execution,
                                      double epsilon = 1e-5) {
    return norm<Setting::kKind, Element>(x, weight, bias,
                                         {.epsilon = epsilon, .execution = execution});
  }
};
TYPED_TEST_SUITE(Norm, EveryNorm, NormNames);

/// Row number `row` of a matrix, its mean and its rstd.
template <class T>
LayerNormResult<T> row_of(const LayerNormResult<T>& found, std::int64_t row) {
  const auto copy = [&](const Tensor<T>& from) {
    return from.is_null() ? Tensor<T>() : Tensor<T>::copy_of(from.view().select(0, row));
  };
  return {.out = copy(found.out), .mean = copy(found.mean), .rstd = copy(found.rstd)};
}

TYPED_TEST(Norm, EverySize) {
  using T = typename TypeParam::Element;
  for (const Execution& execution : this->executions()) {
    SCOPED_TRACE(describe(execution));
    for (const std::int64_t E : kLengths) {
      for (const std::int64_t rows : {0, 1, 2, 3, 4, 5, 9}) {
        SCOPED_TRACE(to_string(Shape{rows, E}));
        const auto x = random_tensor<T>({rows, E}, 1);
        const auto weight = random_tensor<T>({E}, 2);
        const auto bias = random_tensor<T>({E}, 3);
        expect_norm<TypeParam>(this->run(x, weight, bias, execution), x, weight, bias);
        expect_norm<TypeParam>(this->run(x, weight, {}, execution), x, weight, {});
        expect_norm<TypeParam>(this->run(x, {}, bias, execution), x, {}, bias);
        expect_norm<TypeParam>(this->run(x, {}, {}, execution), x, {}, {});
      }
    }
  }
}

TYPED_TEST(Norm, EveryRank) {
  using T = typename TypeParam::Element;
  const auto weight = random_tensor<T>({6}, 2);
  const auto bias = random_tensor<T>({6}, 3);
  for (const Shape& shape : {Shape{6}, Shape{70, 6}, Shape{2, 3, 6}, Shape{2, 0, 6}, Shape{0, 6},
                             Shape{2, 3, 4, 6}, Shape{1, 2, 3, 1, 2, 6}}) {
    SCOPED_TRACE(to_string(shape));
    const auto x = random_tensor<T>(shape, 1);
    const auto found = this->run(x, weight, bias, {.path = TypeParam::kPath});
    expect_norm<TypeParam>(found, x, weight, bias);
    Shape rows = shape;
    rows.erase(shape.rank() - 1);
    EXPECT_EQ(found.rstd.shape(), rows);
    if (TypeParam::kKind == NormKind::layer) {
      EXPECT_EQ(found.mean.shape(), rows);
    }
  }
}

TYPED_TEST(Norm, ByHand) {
  using T = typename TypeParam::Element;
  // Mean 3 and variance 4; mean square 13, and 16 with epsilon 3.
  const Tensor<T> x({2}, {T{1}, T{5}});
  const Tensor<T> weight({2}, {T{2}, T{-4}});
  const Tensor<T> bias({2}, {T{10}, T{20}});
  for (const Execution& execution : this->executions()) {
    if (TypeParam::kKind == NormKind::layer) {
      const auto found = this->run(x, weight, bias, execution, 0.0);
      EXPECT_EQ(found.mean(), T{3});
      EXPECT_EQ(found.rstd(), T{0.5});
      EXPECT_TRUE(same_bits(found.out, Tensor<T>({2}, {T{8}, T{16}})));
    } else {
      const auto found = this->run(x, weight, {}, execution, 3.0);
      EXPECT_EQ(found.rstd(), T{0.25});
      EXPECT_TRUE(same_bits(found.out, Tensor<T>({2}, {T{0.5}, T{-5}})));
    }
  }
}

TYPED_TEST(Norm, NoFeaturesGiveNaNStatistics) {
  using T = typename TypeParam::Element;
  for (const Execution& execution : this->executions()) {
    const auto found = this->run(Tensor<T>({3, 0}), Tensor<T>({0}), {}, execution);
    EXPECT_EQ(found.out.shape(), (Shape{3, 0}));
    for (std::int64_t row = 0; row < 3; ++row) {
      EXPECT_TRUE(std::isnan(found.rstd(row)));
      if (TypeParam::kKind == NormKind::layer) {
        EXPECT_TRUE(std::isnan(found.mean(row)));
      }
    }
  }
}

TYPED_TEST(Norm, AnyStrides) {
  using T = typename TypeParam::Element;
  Draws draws(7);
  for (int run = 0; run < 120; ++run) {
    const auto any = [&] {
      return draws.one_of({Arrangement::dense, Arrangement::heads_inside, Arrangement::packed,
                           Arrangement::permuted, Arrangement::reversed, Arrangement::misaligned});
    };
    const auto input = [&](const Shape& shape) {
      const Arrangement arrangement = draws.chance(0.2) ? Arrangement::repeated : any();
      StridedBuffer<T> buffer(shape, arrangement, draws, static_cast<T>(NAN));
      const TensorView<T> view = buffer.view();
      for_each_offset(
          shape, [&](std::int64_t n) { view.data()[n] = static_cast<T>(draws.normal()); },
          view.strides());
      return buffer;
    };
    const std::int64_t E = draws.one_of({1, 3, 8, 17, 33, 70, 1100});
    StridedBuffer<T> x = input({2, 3, E});
    StridedBuffer<T> weight = input({E});
    StridedBuffer<T> bias = input({E});
    StridedBuffer<T> out({2, 3, E}, any(), draws, static_cast<T>(NAN));
    StridedBuffer<T> mean({2, 3}, any(), draws, static_cast<T>(NAN));
    StridedBuffer<T> rstd({2, 3}, any(), draws, static_cast<T>(NAN));
    for (const Execution& execution : this->executions(draws.one_of({1, 2, 3}))) {
      SCOPED_TRACE(describe(execution));
      const Taken taken = norm_into<TypeParam::kKind, T>(
          {.out = out.view(), .mean = mean.view(), .rstd = rstd.view()}, x.view(), weight.view(),
          bias.view(), {.execution = execution});
      EXPECT_EQ(taken.path, TypeParam::kPath);
      EXPECT_EQ(taken.isa, execution.isa);
      // Dense copies give the same bits, and those are right.
      const auto dense_x = Tensor<T>::copy_of(x.view());
      const auto dense_weight = Tensor<T>::copy_of(weight.view());
      const auto dense_bias = Tensor<T>::copy_of(bias.view());
      const auto expected = this->run(dense_x, dense_weight, dense_bias, execution);
      expect_norm<TypeParam>(expected, dense_x, dense_weight, dense_bias);
      EXPECT_TRUE(same_bits<T>(out.view(), expected.out));
      EXPECT_TRUE(same_bits<T>(rstd.view(), expected.rstd));
      if (TypeParam::kKind == NormKind::layer) {
        EXPECT_TRUE(same_bits<T>(mean.view(), expected.mean));
      }
      EXPECT_TRUE(out.is_untouched_outside() && mean.is_untouched_outside() &&
                  rstd.is_untouched_outside());
    }
  }
}

TYPED_TEST(Norm, InPlaceAndWithoutStatistics) {
  using T = typename TypeParam::Element;
  Draws draws(8);
  const auto weight = random_tensor<T>({33}, 2);
  const auto bias = random_tensor<T>({33}, 3);
  for (const Execution& execution : this->executions(3)) {
    for (const Arrangement arrangement : {Arrangement::dense, Arrangement::permuted,
                                          Arrangement::reversed, Arrangement::misaligned}) {
      SCOPED_TRACE(describe(execution) + " " + std::string(name_of(arrangement)));
      StridedBuffer<T> x({4, 5, 33}, arrangement, draws, static_cast<T>(NAN));
      const TensorView<T> view = x.view();
      for_each_offset(
          view.shape(), [&](std::int64_t n) { view.data()[n] = static_cast<T>(draws.normal()); },
          view.strides());
      for (std::int64_t e = 0; e < 33; ++e) {
        view(1, 1, e) = T{7};  // a row that does not take the common way
      }
      const auto expected = this->run(x.view(), weight, bias, execution);
      norm_into<TypeParam::kKind, T>({.out = x.view()}, x.view(), weight, bias,
                                     {.execution = execution});
      EXPECT_TRUE(same_bits<T>(x.view(), expected.out));
      EXPECT_TRUE(x.is_untouched_outside());
    }
  }
}

TYPED_TEST(Norm, TheSameBitsForAnyNumberOfThreadsAndAnyOtherRows) {
  using T = typename TypeParam::Element;
  for (const std::int64_t E : {1, 70, 1500}) {
    auto x = random_tensor<T>({135, E}, 4);
    for (std::int64_t e = 0; e < E; ++e) {
      x(2, e) = T{3};  // equal features, and a huge one: not the common way
      x(9, e) *= static_cast<T>(1e30);
      x(12, e) += T{1000};  // nor is a row far from 0
    }
    const auto weight = random_tensor<T>({E}, 2);
    const auto bias = random_tensor<T>({E}, 3);
    for (const Execution& one : this->executions(1)) {
      SCOPED_TRACE(describe(one));
      const auto expected = this->run(x, weight, bias, one);
      for (const int threads : {0, 2, 3, 8}) {
        Execution more = one;
        more.threads = threads;
        EXPECT_TRUE(same_bits(this->run(x, weight, bias, more), expected)) << threads;
      }
      for (std::int64_t row = 0; row < 135; ++row) {
        EXPECT_TRUE(
            same_bits(this->run(x.view().select(0, row), weight, bias, one), row_of(expected, row)))
            << row;
      }
    }
  }
}

/// The mean beside what the elements differ by, to either side of where it decides how a row is
/// computed.
TYPED_TEST(Norm, MeansOfAnySize) {
  using T = typename TypeParam::Element;
  for (const std::int64_t E : {3, 40, 700}) {
    Tensor<T> x = random_tensor<T>({16, E}, 12);
    for (std::int64_t row = 0; row < 16; ++row) {
      for (std::int64_t e = 0; e < E; ++e) {
        x(row, e) += static_cast<T>(0.1 * static_cast<double>(row) * (row % 2 == 0 ? 1 : -1));
      }
    }
    const auto weight = random_tensor<T>({E}, 2);
    const auto bias = random_tensor<T>({E}, 3);
    for (const Execution& execution : this->executions()) {
      SCOPED_TRACE(describe(execution) + ", E " + std::to_string(E));
      expect_norm<TypeParam>(this->run(x, weight, bias, execution), x, weight, bias);
    }
  }
}

/// A row of 1e6 and a little: what the elements differ by counts in full.
TYPED_TEST(Norm, RowsFarFromZero) {
  using T = typename TypeParam::Element;
  Draws draws(11);
  for (const std::int64_t E : {2, 7, 33, 512, 3000}) {
    Tensor<T> x({12, E});
    for (std::int64_t row = 0; row < 12; ++row) {
      const double base = draws.one_of({1e6, -1e6, 1e3, 3e7, 1e12});
      const double spread = draws.one_of({1.0, 0.1, 100.0});
      for (std::int64_t e = 0; e < E; ++e) {
        x(row, e) = static_cast<T>(base + spread * draws.normal());
      }
    }
    const auto weight = random_tensor<T>({E}, 2);
    for (const Execution& execution : this->executions()) {
      SCOPED_TRACE(describe(execution) + ", E " + std::to_string(E));
      expect_norm<TypeParam>(this->run(x, weight, {}, execution), x, weight, {});
    }
  }
}

/// One feature among many that are equal, and rows whose first feature is far from all others.
TYPED_TEST(Norm, FeaturesThatStandOut) {
  using T = typename TypeParam::Element;
  for (const std::int64_t E : {2, 64, 2000, 20000}) {
    Tensor<T> x = Tensor<T>::filled({4, E}, T{1000});
    x(0, E - 1) = std::nextafter(T{1000}, T{2000});
    x(1, 0) = T{-3e7};
    x(2, E / 2) = T{0};
    for (std::int64_t e = 1; e < E; ++e) {
      x(3, e) = static_cast<T>(1e-3 * static_cast<double>(e % 7));
    }
    for (const Execution& execution : this->executions()) {
      SCOPED_TRACE(describe(execution) + ", E " + std::to_string(E));
      expect_norm<TypeParam>(this->run(x, {}, {}, execution, 1e-12), x, {}, {}, 1e-12);
    }
  }
}

TYPED_TEST(Norm, EqualFeaturesGiveTheBias) {
  using T = typename TypeParam::Element;
  if (TypeParam::kKind != NormKind::layer) {
    return;
  }
  const auto weight = random_tensor<T>({300}, 2);
  const auto bias = random_tensor<T>({300}, 3);
  for (const double value : {0.0, 0.1, -1e6, 1e30, 3e-39}) {
    const auto x = Tensor<T>::filled({2, 300}, static_cast<T>(value));
    for (const Execution& execution : this->executions()) {
      SCOPED_TRACE(describe(execution) + ", " + std::to_string(value));
      const auto found = this->run(x, weight, bias, execution);
      for (std::int64_t row = 0; row < 2; ++row) {
        EXPECT_EQ(found.mean(row), static_cast<T>(value));
        EXPECT_NEAR(static_cast<double>(found.rstd(row)), 1 / std::sqrt(1e-5), 1e-4);
        EXPECT_TRUE(same_bits(row_of(found, row).out, bias)) << row;
      }
    }
  }
}

/// Where rstd itself is beyond float, out still is not.
template <class Setting, class Found>
void expect_normalised_rows(const Found& found, const Tensor<typename Setting::Element>& x) {
  for (std::int64_t row = 0; row < x.size(0); ++row) {
    const auto all = doubles_of<typename Setting::Element>(x.view().select(0, row));
    const NormRow truth = norm_row(Setting::kKind, all, 0.0);
    for (std::int64_t e = 0; e < x.size(1); ++e) {
      EXPECT_NEAR(static_cast<double>(found.out(row, e)), truth.xhat[static_cast<std::size_t>(e)],
                  1e-6);
    }
  }
}

/// Squares leave the range of float, numbers do not.
TYPED_TEST(Norm, HugeAndDenormalNumbers) {
  using T = typename TypeParam::Element;
  const auto drawn = random_tensor<T>({4, 100}, 5);
  for (const double scale : {1e18, 1e30, 5e37, 1e-18, 1e-25, 1e-38, 1e-41}) {
    Tensor<T> x = drawn;
    for (T& value : x.values()) {
      value = static_cast<T>(static_cast<double>(value) * scale);
    }
    for (const Execution& execution : this->executions()) {
      SCOPED_TRACE(describe(execution) + ", scale " + std::to_string(scale));
      for (const double epsilon : {0.0, 1e-5}) {
        const auto found = this->run(x, {}, {}, execution, epsilon);
        if (scale < 1e-37 && epsilon == 0.0) {
          expect_normalised_rows<TypeParam>(found, x);
        } else {
          expect_norm<TypeParam>(found, x, {}, {}, epsilon);
        }
      }
    }
  }
}

TYPED_TEST(Norm, NaNAndInfinityStayInTheirRows) {
  using T = typename TypeParam::Element;
  const auto clean = random_tensor<T>({8, 40}, 3);
  auto x = clean;
  x(1, 39) = static_cast<T>(NAN);
  x(2, 0) = static_cast<T>(kInfinity);
  x(6, 20) = static_cast<T>(-kInfinity);
  const auto weight = random_tensor<T>({40}, 2);
  for (const Execution& execution : this->executions()) {
    SCOPED_TRACE(describe(execution));
    const auto expected = this->run(clean, weight, {}, execution);
    const auto found = this->run(x, weight, {}, execution);
    for (std::int64_t row = 0; row < 8; ++row) {
      const bool has_nan = row == 1;
      const bool has_infinity = row == 2 || row == 6;
      if (!has_nan && !has_infinity) {
        EXPECT_TRUE(same_bits(row_of(found, row), row_of(expected, row))) << row;
        continue;
      }
      for (std::int64_t e = 0; e < 40; ++e) {
        const bool is_nan = has_nan || TypeParam::kKind == NormKind::layer || std::isinf(x(row, e));
        EXPECT_EQ(std::isnan(found.out(row, e)), is_nan) << row << ", " << e;
        if (!is_nan) {
          EXPECT_EQ(found.out(row, e), T{0});
        }
      }
    }
  }
}

TYPED_TEST(Norm, NaNInTheWeightStaysInItsColumn) {
  using T = typename TypeParam::Element;
  const auto x = random_tensor<T>({5, 40}, 3);
  auto weight = random_tensor<T>({40}, 2);
  weight(7) = static_cast<T>(NAN);
  for (const Execution& execution : this->executions()) {
    const auto found = this->run(x, weight, {}, execution);
    for (std::int64_t row = 0; row < 5; ++row) {
      for (std::int64_t e = 0; e < 40; ++e) {
        EXPECT_EQ(std::isnan(found.out(row, e)), e == 7) << row << ", " << e;
      }
    }
  }
}

TYPED_TEST(Norm, TheForcedPathIsTheOneTakenAndAutomaticIsNamed) {
  using T = typename TypeParam::Element;
  const auto x = random_tensor<T>({2, 3}, 1);
  const auto forced = this->run(x, {}, {}, {.path = TypeParam::kPath});
  EXPECT_EQ(forced.taken.path, TypeParam::kPath);
  EXPECT_EQ(forced.taken.isa.has_value(), TypeParam::kPath == Path::fused);
  const auto automatic = this->run(x, {}, {}, {});
  ASSERT_NE(automatic.taken.path, Path::automatic);
  EXPECT_TRUE(same_bits(automatic.out, this->run(x, {}, {}, {.path = automatic.taken.path}).out));
}

}  // namespace
}  // namespace attention::tests
