#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "harness/norms.hpp"
#include "harness/strided_buffer.hpp"

/// The gradients of layer_norm and rms_norm.
namespace attention::tests {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class Setting>
class NormBackward : public ::testing::Test {
 protected:
  using Element = typename Setting::Element;

  static std::vector<Execution> executions(int threads = 1) {
    return executions_on(Setting::kPath, threads);
  }
  /// Forward for what it leaves, then backward.
  static LayerNormGradients<Element> run(TensorView<const Element> d_out,
                                         TensorView<const Element> x,
                                         TensorView<const Element> weight,
                                         const Execution& execution, double epsilon = 1e-5) {
    const NormOptions options{.epsilon = epsilon, .execution = execution};
    const auto saved = norm<Setting::kKind, Element>(x, weight, {}, options);
    return norm_backward<Setting::kKind, Element>(
        {.d_out = d_out,
         .x = x,
         .weight = weight,
         .saved = {.mean = saved.mean, .rstd = saved.rstd}},
        options);
  }
};
TYPED_TEST_SUITE(NormBackward, EveryNorm, NormNames);

/// Each element of the gradients against the formulas.
template <class Setting>
void expect_gradients(const LayerNormGradients<typename Setting::Element>& found,
                      TensorView<const typename Setting::Element> d_out,
                      TensorView<const typename Setting::Element> x,
                      TensorView<const typename Setting::Element> weight, double epsilon = 1e-5) {
  using T = typename Setting::Element;
  ASSERT_EQ(found.x.shape(), x.shape());
  ASSERT_EQ(found.weight.shape(), (Shape{x.size(x.rank() - 1)}));
  ASSERT_EQ(found.bias.is_null(), Setting::kKind == NormKind::rms);
  const auto truth = norm_gradients<Setting>(d_out, x, weight, epsilon);
  const auto check = [&](const char* name, const Tensor<T>& gradient,
                         const std::vector<double>& expected, const std::vector<double>& size,
                         std::size_t terms) {
    ASSERT_EQ(gradient.values().size(), expected.size());
    const double unit = norm_unit(Setting::kPath, terms);
    for (std::size_t n = 0; n < expected.size(); ++n) {
      EXPECT_NEAR(static_cast<double>(gradient.values()[n]), expected[n],
                  norm_rounding<T>(expected[n]) + unit * size[n])
          << name << " " << n;
    }
  };
  const auto E = static_cast<std::size_t>(x.size(x.rank() - 1));
  const std::size_t rows = E == 0 ? 0 : truth.x.size() / E;
  check("x", found.x, truth.x, truth.x_size, E);
  check("weight", found.weight, truth.weight, truth.weight_size, rows + E);
  if (Setting::kKind == NormKind::layer) {
    check("bias", found.bias, truth.bias, truth.bias_size, rows);
  }
}

TYPED_TEST(NormBackward, EverySize) {
  using T = typename TypeParam::Element;
  for (const Execution& execution : this->executions()) {
    SCOPED_TRACE(describe(execution));
    for (const std::int64_t E :
         {0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 129, 1023, 1025, 2100}) {
      for (const std::int64_t rows : {0, 1, 2, 3, 4, 5, 9, 17, 70}) {
        if (rows > 9 && E > 129) {
          continue;
        }
        SCOPED_TRACE(to_string(Shape{rows, E}));
        const auto x = random_tensor<T>({rows, E}, 1);
        const auto d_out = random_tensor<T>({rows, E}, 2);
        const auto weight = random_tensor<T>({E}, 3);
        expect_gradients<TypeParam>(this->run(d_out, x, weight, execution), d_out, x, weight);
        expect_gradients<TypeParam>(this->run(d_out, x, {}, execution), d_out, x, {});
      }
    }
  }
}

TYPED_TEST(NormBackward, EveryRank) {
  using T = typename TypeParam::Element;
  const auto weight = random_tensor<T>({6}, 2);
  for (const Shape& shape : {Shape{6}, Shape{70, 6}, Shape{2, 3, 6}, Shape{2, 0, 6}, Shape{0, 6},
                             Shape{2, 3, 4, 6}, Shape{1, 2, 3, 1, 2, 6}}) {
    SCOPED_TRACE(to_string(shape));
    const auto x = random_tensor<T>(shape, 1);
    const auto d_out = random_tensor<T>(shape, 3);
    expect_gradients<TypeParam>(this->run(d_out, x, weight, {.path = TypeParam::kPath}), d_out, x,
                                weight);
  }
}

/// Two features by hand: x = (1, 5), mean 3, rstd 1/2, xhat = (-1, 1), g = (6, -4).
TYPED_TEST(NormBackward, ByHand) {
  using T = typename TypeParam::Element;
  const Tensor<T> x({2}, {T{1}, T{5}});
  const Tensor<T> weight({2}, {T{2}, T{-4}});
  const Tensor<T> d_out({2}, {T{3}, T{1}});
  for (const Execution& execution : this->executions()) {
    if (TypeParam::kKind == NormKind::layer) {
      // mean g = 1, mean g xhat = -5: (6 - 1 - 5, -4 - 1 + 5) / 2.
      const auto found = this->run(d_out, x, weight, execution, 0.0);
      EXPECT_TRUE(same_bits(found.x, Tensor<T>({2}, {T{0}, T{0}})));
      EXPECT_TRUE(same_bits(found.weight, Tensor<T>({2}, {T{-3}, T{1}})));
      EXPECT_TRUE(same_bits(found.bias, d_out));
    } else {
      // rstd = 1/4 with epsilon 3; xhat = (1/4, 5/4), mean g xhat = -7/4.
      const auto found = this->run(d_out, x, weight, execution, 3.0);
      EXPECT_TRUE(same_bits(found.x, Tensor<T>({2}, {T{1.609375}, T{-0.453125}})));
      EXPECT_TRUE(same_bits(found.weight, Tensor<T>({2}, {T{0.75}, T{1.25}})));
    }
  }
}

TYPED_TEST(NormBackward, EmptyDimensions) {
  using T = typename TypeParam::Element;
  for (const Execution& execution : this->executions(2)) {
    const auto without_rows = this->run(Tensor<T>({0, 5}), Tensor<T>({0, 5}), {}, execution);
    EXPECT_TRUE(same_bits(without_rows.weight, Tensor<T>({5})));
    EXPECT_EQ(without_rows.x.shape(), (Shape{0, 5}));
    const auto without_features = this->run(Tensor<T>({3, 0}), Tensor<T>({3, 0}), {}, execution);
    EXPECT_EQ(without_features.x.shape(), (Shape{3, 0}));
    EXPECT_EQ(without_features.weight.shape(), (Shape{0}));
  }
}

TYPED_TEST(NormBackward, AnyStridesIntoViews) {
  using T = typename TypeParam::Element;
  constexpr NormKind kKind = TypeParam::kKind;
  Draws draws(17);
  for (int run = 0; run < 120; ++run) {
    const auto any = [&] {
      return draws.one_of({Arrangement::dense, Arrangement::heads_inside, Arrangement::packed,
                           Arrangement::permuted, Arrangement::reversed, Arrangement::misaligned});
    };
    const auto buffer_of = [&](const Shape& shape, Arrangement arrangement) {
      return StridedBuffer<T>(shape, arrangement, draws, static_cast<T>(NAN));
    };
    const auto input = [&](const Tensor<T>& values) {
      auto buffer = buffer_of(values.shape(), draws.chance(0.2) ? Arrangement::repeated : any());
      const TensorView<T> view = buffer.view();
      for_each_offset(
          values.shape(),
          [&](std::int64_t to, std::int64_t from) { view.data()[to] = values.data()[from]; },
          view.strides(), values.view().strides());
      return buffer;
    };
    const std::int64_t E = draws.one_of({1, 3, 8, 17, 33, 70, 1100});
    auto x = input(random_tensor<T>({2, 9, E}, draws.next()));
    auto d_out = input(random_tensor<T>({2, 9, E}, draws.next()));
    auto weight = input(random_tensor<T>({E}, draws.next()));
    for (Execution execution : this->executions(draws.one_of({1, 2, 3}))) {
      SCOPED_TRACE(describe(execution));
      const NormOptions options{.execution = execution};
      const auto forward = norm<kKind, T>(x.view(), weight.view(), {}, options);
      // (These are not of equal rows any more where they are repeated.)
      auto mean = input(kKind == NormKind::layer ? forward.mean : forward.rstd);
      auto rstd = input(forward.rstd);
      const LayerNormBackwardInputs<T> inputs{.d_out = d_out.view(),
                                              .x = x.view(),
                                              .weight = weight.view(),
                                              .saved = {.mean = mean.view(), .rstd = rstd.view()}};
      auto d_x = buffer_of({2, 9, E}, any());
      auto d_weight = buffer_of({E}, any());
      auto d_bias = buffer_of({E}, any());
      std::vector<std::byte> workspace(norm_workspace_size<kKind>(18, E, kDTypeOf<T>, execution) +
                                       1);
      const Taken taken = norm_backward_into<kKind, T>(
          {.x = d_x.view(), .weight = d_weight.view(), .bias = d_bias.view()}, inputs, options,
          std::span(workspace).subspan(1));
      EXPECT_EQ(taken.path, TypeParam::kPath);
      EXPECT_EQ(taken.isa, execution.isa);
      const auto dense = [](TensorView<const T> view) { return Tensor<T>::copy_of(view); };
      const auto dense_x = dense(x.view());
      const auto dense_d_out = dense(d_out.view());
      const auto dense_weight = dense(weight.view());
      const auto dense_mean = dense(mean.view());
      const auto dense_rstd = dense(rstd.view());
      execution.threads = 1;
      const auto expected =
          norm_backward<kKind, T>({.d_out = dense_d_out,
                                   .x = dense_x,
                                   .weight = dense_weight,
                                   .saved = {.mean = dense_mean, .rstd = dense_rstd}},
                                  {.execution = execution});
      EXPECT_TRUE(same_bits<T>(d_x.view(), expected.x));
      EXPECT_TRUE(same_bits<T>(d_weight.view(), expected.weight));
      if (kKind == NormKind::layer) {
        EXPECT_TRUE(same_bits<T>(d_bias.view(), expected.bias));
      }
      EXPECT_TRUE(d_x.is_untouched_outside() && d_weight.is_untouched_outside() &&
                  d_bias.is_untouched_outside());
    }
  }
}

TYPED_TEST(NormBackward, TheSameBitsForAnyNumberOfThreadsAndRowsForAnyOthers) {
  using T = typename TypeParam::Element;
  for (const std::int64_t rows : {1, 3, 16, 17, 200, 1000}) {
    for (const std::int64_t E : {1, 70}) {
      auto x = random_tensor<T>({rows, E}, 4);
      for (std::int64_t row = 1; row < rows; row += 3) {
        for (std::int64_t e = 0; e < E; ++e) {
          x(row, e) += static_cast<T>(row % 2 == 0 ? 1000 : 1);
        }
      }
      const auto d_out = random_tensor<T>({rows, E}, 5);
      const auto weight = random_tensor<T>({E}, 2);
      for (const Execution& one : this->executions(1)) {
        SCOPED_TRACE(describe(one) + " " + to_string(Shape{rows, E}));
        const auto expected = this->run(d_out, x, weight, one);
        expect_gradients<TypeParam>(expected, d_out, x, weight);
        for (const int threads : {0, 2, 3, 8}) {
          Execution more = one;
          more.threads = threads;
          EXPECT_TRUE(same_bits(this->run(d_out, x, weight, more), expected)) << threads;
        }
        for (std::int64_t row = 0; row < rows; row += 7) {
          const auto alone =
              this->run(d_out.view().select(0, row), x.view().select(0, row), weight, one);
          EXPECT_TRUE(same_bits<T>(alone.x, expected.x.view().select(0, row))) << row;
        }
      }
    }
  }
}

/// No error grows with the number of rows.
TYPED_TEST(NormBackward, ManyRows) {
  using T = typename TypeParam::Element;
  const auto x = random_tensor<T>({30000, 3}, 4);
  Tensor<T> d_out = random_tensor<T>({30000, 3}, 5);
  for (T& value : d_out.values()) {
    value = std::abs(value);  // so that sums grow
  }
  for (const Execution& execution : this->executions(2)) {
    SCOPED_TRACE(describe(execution));
    expect_gradients<TypeParam>(this->run(d_out, x, {}, execution), d_out, x, {});
  }
}

TYPED_TEST(NormBackward, RowsFarFromZero) {
  using T = typename TypeParam::Element;
  Draws draws(11);
  for (const std::int64_t E : {2, 7, 33, 512, 3000}) {
    Tensor<T> x({12, E});
    for (std::int64_t row = 0; row < 12; ++row) {
      const double base = draws.one_of({1e6, -1e6, 1e3, 3e7});
      const double spread = draws.one_of({1.0, 10.0, 100.0});
      for (std::int64_t e = 0; e < E; ++e) {
        x(row, e) = static_cast<T>(base + spread * draws.normal());
      }
    }
    const auto d_out = random_tensor<T>({12, E}, 3);
    const auto weight = random_tensor<T>({E}, 2);
    for (const Execution& execution : this->executions()) {
      SCOPED_TRACE(describe(execution) + ", E " + std::to_string(E));
      expect_gradients<TypeParam>(this->run(d_out, x, weight, execution), d_out, x, weight);
    }
  }
}

TYPED_TEST(NormBackward, HugeAndSmallNumbers) {
  using T = typename TypeParam::Element;
  const auto drawn = random_tensor<T>({4, 100}, 5);
  const auto d_out = random_tensor<T>({4, 100}, 6);
  for (const double scale : {1e18, 1e30, 5e36, 1e-18, 1e-30}) {
    Tensor<T> x = drawn;
    for (T& value : x.values()) {
      value = static_cast<T>(static_cast<double>(value) * scale);
    }
    for (const Execution& execution : this->executions()) {
      for (const double epsilon : {0.0, 1e-5}) {
        SCOPED_TRACE(describe(execution) + ", scale " + std::to_string(scale) + ", epsilon " +
                     std::to_string(epsilon));
        expect_gradients<TypeParam>(this->run(d_out, x, {}, execution, epsilon), d_out, x, {},
                                    epsilon);
      }
    }
  }
}

/// After a special number in row 5, column 17 of d_out: it stays in that row of d_x and that column
/// of d_weight.
template <class Found>
void expect_special_in_row_5(const Found& found) {
  for (std::int64_t e = 0; e < 40; ++e) {
    EXPECT_EQ(std::isfinite(found.weight(e)), e != 17) << e;
    for (std::int64_t row = 0; row < 8; ++row) {
      EXPECT_EQ(std::isfinite(found.x(row, e)), row != 5) << row << ", " << e;
    }
  }
}

/// And then a NaN in row 2 of x, which reaches every column of d_weight, and no column of d_bias.
template <class Found>
void expect_nan_in_row_2(const Found& found, NormKind kind) {
  for (std::int64_t e = 0; e < 40; ++e) {
    EXPECT_TRUE(std::isnan(found.weight(e))) << e;
    for (const std::int64_t row : {0, 1, 2, 3, 4, 6, 7}) {
      EXPECT_EQ(std::isnan(found.x(row, e)), row == 2) << row << ", " << e;
    }
    if (kind == NormKind::layer) {
      EXPECT_EQ(std::isfinite(found.bias(e)), e != 17) << e;
    }
  }
}

TYPED_TEST(NormBackward, NaNStaysWhereTheFormulaLeavesIt) {
  using T = typename TypeParam::Element;
  const auto weight = random_tensor<T>({40}, 2);
  for (const double special : {static_cast<double>(NAN), kInfinity}) {
    for (const Execution& execution : this->executions()) {
      SCOPED_TRACE(describe(execution));
      auto x = random_tensor<T>({8, 40}, 3);
      auto d_out = random_tensor<T>({8, 40}, 4);
      const auto expected = this->run(d_out, x, weight, execution);
      d_out(5, 17) = static_cast<T>(special);
      expect_special_in_row_5(this->run(d_out, x, weight, execution));
      x(2, 3) = static_cast<T>(NAN);
      const auto of_x = this->run(d_out, x, weight, execution);
      expect_nan_in_row_2(of_x, TypeParam::kKind);
      for (const std::int64_t row : {0, 1, 3, 4, 6, 7}) {
        EXPECT_TRUE(same_bits<T>(of_x.x.view().select(0, row), expected.x.view().select(0, row)));
      }
    }
  }
}

}  // namespace
}  // namespace attention::tests
