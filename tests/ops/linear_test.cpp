#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/linear.hpp>

#include "harness/every_path.hpp"
#include "harness/half_unit.hpp"
#include "harness/sdpa_operands.hpp"
#include "harness/strided_buffer.hpp"

namespace attention::tests {
namespace {

template <class Setting>
class Linear : public ::testing::Test {
 protected:
  using Element = typename Setting::Element;

  static Tensor<Element> affine(TensorView<const Element> x, TensorView<const Element> weight,
                                TensorView<const Element> bias = {}, int threads = 1) {
    return linear(x, weight, bias, {.execution = {.path = Setting::kPath, .threads = threads}});
  }
};
TYPED_TEST_SUITE(Linear, EveryPath, PathNames);

/// Each element against the sum in double. The bar is that of any order of summation in the
/// accumulator, and one rounding.
template <class T>
void expect_linear(TensorView<const T> found, TensorView<const T> x, TensorView<const T> weight,
                   TensorView<const T> bias, Path path) {
  const std::int64_t features = weight.size(1);
  const std::int64_t outputs = weight.size(0);
  Shape shape = x.shape();
  shape[shape.rank() - 1] = outputs;
  ASSERT_EQ(found.shape(), shape);
  const auto xs = widened(x);
  const auto weights = widened(weight);
  const auto biases = bias.is_null() ? std::vector<double>() : widened(bias);
  const auto values = widened(found);
  const double accumulator = path == Path::reference ? 0x1p-52 : 0x1p-23;
  for (std::size_t n = 0; n < values.size(); ++n) {
    const std::size_t row = n / static_cast<std::size_t>(outputs);
    const std::size_t o = n % static_cast<std::size_t>(outputs);
    double sum = biases.empty() ? 0 : biases[o];
    double magnitude = std::abs(sum);
    for (std::size_t i = 0; i < static_cast<std::size_t>(features); ++i) {
      const double product = xs[row * static_cast<std::size_t>(features) + i] *
                             weights[o * static_cast<std::size_t>(features) + i];
      sum += product;
      magnitude += std::abs(product);
    }
    const double bar = half_unit_of(kDTypeOf<T>) * std::abs(sum) * 1.0001 +
                       accumulator * static_cast<double>(features + 2) * magnitude +
                       (sizeof(T) == 2 ? 0x1p-25 : 0.0);
    EXPECT_NEAR(values[n], sum, bar) << "row " << row << ", output " << o;
  }
}

TYPED_TEST(Linear, EverySize) {
  using T = typename TypeParam::Element;
  for (const std::int64_t rows : {0, 1, 3, 5, 17}) {
    for (const std::int64_t features : {0, 1, 2, 7, 8, 16, 17, 33, 64, 65, 129}) {
      for (const std::int64_t outputs : {0, 1, 2, 4, 15, 16, 33, 65}) {
        SCOPED_TRACE(to_string(Shape{rows, features, outputs}));
        const auto x = random_tensor<T>({rows, features}, 1);
        const auto weight = random_tensor<T>({outputs, features}, 2);
        const auto bias = random_tensor<T>({outputs}, 3);
        expect_linear<T>(this->affine(x, weight, bias), x, weight, bias, TypeParam::kPath);
        expect_linear<T>(this->affine(x, weight), x, weight, {}, TypeParam::kPath);
      }
    }
  }
}

TYPED_TEST(Linear, SmallIntegersAreExact) {
  using T = typename TypeParam::Element;
  const auto at = [](double value) { return element_cast<T>(value); };
  const Tensor<T> x({2, 3}, {at(1), at(2), at(3), at(-1), at(0), at(4)});
  const Tensor<T> weight({2, 3}, {at(1), at(0), at(-1), at(2), at(5), at(3)});
  const Tensor<T> bias({2}, {at(10), at(-20)});
  EXPECT_TRUE(
      same_bits(this->affine(x, weight, bias), Tensor<T>({2, 2}, {at(8), at(1), at(5), at(-10)})));
  EXPECT_TRUE(
      same_bits(this->affine(x, weight), Tensor<T>({2, 2}, {at(-2), at(21), at(-5), at(10)})));
}

TYPED_TEST(Linear, EveryRankOfX) {
  using T = typename TypeParam::Element;
  const auto weight = random_tensor<T>({5, 6}, 2);
  const auto bias = random_tensor<T>({5}, 3);
  for (const Shape& shape :
       {Shape{6}, Shape{2, 6}, Shape{2, 3, 6}, Shape{2, 0, 6}, Shape{1, 2, 3, 1, 2, 6}}) {
    SCOPED_TRACE(to_string(shape));
    const auto x = random_tensor<T>(shape, 1);
    expect_linear<T>(this->affine(x, weight, bias), x, weight, bias, TypeParam::kPath);
  }
}

TYPED_TEST(Linear, NoFeaturesGiveTheBias) {
  using T = typename TypeParam::Element;
  const auto bias = random_tensor<T>({4}, 3);
  const Tensor<T> x({2, 0});
  const Tensor<T> weight({4, 0});
  const auto out = this->affine(x, weight, bias);
  EXPECT_TRUE(same_bits<T>(out.view().select(0, 0), bias));
  EXPECT_TRUE(same_bits<T>(out.view().select(0, 1), bias));
  EXPECT_TRUE(same_bits(this->affine(x, weight), Tensor<T>({2, 4})));
}

TYPED_TEST(Linear, SixteenBitTypesAccumulateInFloat32) {
  using T = typename TypeParam::Element;
  const auto at = [](double value) { return element_cast<T>(value); };
  // Both products overflow float16; their sum does not.
  const Tensor<T> x({2}, {at(512), at(512)});
  const Tensor<T> weight({1, 2}, {at(256), at(-254)});
  EXPECT_EQ(element_cast<double>(this->affine(x, weight)(0)), 1024);
  // In bfloat16 a sum of ones would stick at 256, in float16 at 2048.
  const Tensor<T> ones = Tensor<T>::filled({1, 4096}, at(1));
  EXPECT_EQ(element_cast<double>(this->affine(ones, ones)(0, 0)), 4096);
}

TYPED_TEST(Linear, AnyStrides) {
  using T = typename TypeParam::Element;
  Draws draws(7);
  for (int run = 0; run < 60; ++run) {
    const auto any = [&] {
      return draws.one_of({Arrangement::dense, Arrangement::heads_inside, Arrangement::packed,
                           Arrangement::permuted, Arrangement::reversed, Arrangement::misaligned});
    };
    const auto input = [&](const Shape& shape) {
      const Arrangement arrangement = draws.chance(0.2) ? Arrangement::repeated : any();
      StridedBuffer<T> buffer(shape, arrangement, draws, element_cast<T>(NAN));
      const TensorView<T> view = buffer.view();
      for_each_offset(
          shape, [&](std::int64_t n) { view.data()[n] = element_cast<T>(draws.normal()); },
          view.strides());
      return buffer;
    };
    const std::int64_t features = draws.one_of({3, 8, 17, 33});
    const std::int64_t outputs = draws.one_of({1, 5, 16, 19});
    StridedBuffer<T> x = input({2, 5, features});
    StridedBuffer<T> weight = input({outputs, features});
    StridedBuffer<T> bias = input({outputs});
    StridedBuffer<T> out({2, 5, outputs}, any(), draws, element_cast<T>(NAN));
    const Execution execution{.path = TypeParam::kPath, .threads = draws.one_of({1, 2, 3})};
    std::vector<std::byte> workspace(linear_workspace_size(features, kDTypeOf<T>, execution) + 1);
    EXPECT_EQ(linear_into(out.view(), x.view(), weight.view(), bias.view(),
                          {.execution = execution}, std::span(workspace).subspan(1))
                  .path,
              TypeParam::kPath);
    expect_linear<T>(out.view(), x.view(), weight.view(), bias.view(), TypeParam::kPath);
    EXPECT_TRUE(out.is_untouched_outside());
    // Dense copies give the same bits.
    EXPECT_TRUE(same_bits<T>(
        out.view(), this->affine(Tensor<T>::copy_of(x.view()), Tensor<T>::copy_of(weight.view()),
                                 Tensor<T>::copy_of(bias.view()))));
  }
}

TYPED_TEST(Linear, TheSameBitsForAnyNumberOfThreadsAndAnyBatch) {
  using T = typename TypeParam::Element;
  const auto x = random_tensor<T>({37, 70}, 1);
  const auto weight = random_tensor<T>({41, 70}, 2);
  const auto bias = random_tensor<T>({41}, 3);
  const auto expected = this->affine(x, weight, bias);
  for (const int threads : {0, 2, 3, 4, 8}) {
    EXPECT_TRUE(same_bits(this->affine(x, weight, bias, threads), expected)) << threads;
  }
  for (std::int64_t row = 0; row < 37; ++row) {
    EXPECT_TRUE(same_bits<T>(this->affine(x.view().select(0, row), weight, bias),
                             expected.view().select(0, row)))
        << row;
  }
  for (std::int64_t o = 0; o < 41; ++o) {
    EXPECT_TRUE(
        same_bits<T>(this->affine(x, weight.view().slice(0, o, 1), bias.view().slice(0, o, 1)),
                     expected.view().slice(1, o, 1)))
        << o;
  }
}

TYPED_TEST(Linear, NaNStaysInItsRowAndInItsColumn) {
  using T = typename TypeParam::Element;
  auto x = random_tensor<T>({9, 20}, 1);
  auto weight = random_tensor<T>({18, 20}, 2);
  x(4, 19) = element_cast<T>(NAN);
  weight(7, 0) = element_cast<T>(NAN);
  const auto out = this->affine(x, weight);
  for (std::int64_t n = 0; n < 9; ++n) {
    for (std::int64_t o = 0; o < 18; ++o) {
      EXPECT_EQ(std::isnan(element_cast<double>(out(n, o))), n == 4 || o == 7) << n << ", " << o;
    }
  }
}

template <class Run>
void expect_error(const Run& run, const std::vector<std::string>& parts) {
  try {
    run();
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.function().substr(0, 6), "linear") << error.what();
    for (const std::string& part : parts) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
          << part << " is not in: " << error.what();
    }
  }
}

TYPED_TEST(Linear, ShapeErrors) {
  using T = typename TypeParam::Element;
  const auto x = random_tensor<T>({2, 3}, 1);
  const auto weight = random_tensor<T>({5, 3}, 2);
  const auto bias = random_tensor<T>({5}, 3);
  const auto wrong = [&](TensorView<const T> a, TensorView<const T> b, TensorView<const T> c,
                         const std::vector<std::string>& parts) {
    const Execution execution{.path = TypeParam::kPath};
    expect_error([&] { linear(a, b, c, {.execution = execution}); }, parts);
    const auto untouched = Tensor<T>::filled({2, 5}, element_cast<T>(-7.0));
    Tensor<T> out = untouched;
    std::vector<std::byte> workspace(1 << 16);
    expect_error([&] { linear_into(out, a, b, c, {.execution = execution}, workspace); }, parts);
    EXPECT_TRUE(same_bits(out, untouched));
  };
  wrong(Tensor<T>(Shape{}), weight, bias, {"x", "()"});
  wrong({}, weight, bias, {"x"});
  wrong(Tensor<T>({2, 4}), weight, bias, {"x", "weight", "(2, 4)", "(5, 3)"});
  wrong(x, {}, bias, {"weight"});
  wrong(x, Tensor<T>({3}), bias, {"weight", "(3,)"});
  wrong(x, Tensor<T>({5, 3, 1}), bias, {"weight", "(5, 3, 1)"});
  wrong(x, weight, Tensor<T>({4}), {"bias", "(4,)", "(5, 3)"});
  wrong(x, weight, Tensor<T>({1, 5}), {"bias", "(1, 5)"});
  wrong(x, weight, Tensor<T>(Shape{}), {"bias", "()"});
}

TYPED_TEST(Linear, AViewOfNoMemory) {
  using T = typename TypeParam::Element;
  const auto x = random_tensor<T>({2, 3}, 1);
  const auto weight = random_tensor<T>({5, 3}, 2);
  const auto bias = random_tensor<T>({5}, 3);
  const auto nowhere = [](const Shape& shape) { return TensorView<T>(nullptr, shape); };
  const Execution execution{.path = TypeParam::kPath};
  std::vector<std::byte> workspace(1 << 16);
  expect_error([&] { linear(nowhere({2, 3}), weight, bias, {.execution = execution}); }, {"x"});
  expect_error([&] { linear(x, nowhere({5, 3}), bias, {.execution = execution}); }, {"weight"});
  expect_error([&] { linear(x, weight, nowhere({5}), {.execution = execution}); }, {"bias"});
  expect_error(
      [&] { linear_into(nowhere({2, 5}), x, weight, bias, {.execution = execution}, workspace); },
      {"out"});
}

TYPED_TEST(Linear, OutputErrors) {
  using T = typename TypeParam::Element;
  const auto weight = random_tensor<T>({4, 4}, 2);
  const auto bias = random_tensor<T>({4}, 3);
  const auto untouched = random_tensor<T>({64}, 4);
  Tensor<T> pool = untouched;
  const TensorView<T> x(pool.data(), {2, 4});
  const Execution execution{.path = TypeParam::kPath, .threads = 2};
  const std::size_t needed = linear_workspace_size(4, kDTypeOf<T>, execution);
  std::vector<std::byte> workspace(needed);
  const auto wrong = [&](TensorView<T> out, const std::vector<std::string>& parts) {
    expect_error([&] { linear_into(out, x, weight, bias, {.execution = execution}, workspace); },
                 parts);
    EXPECT_TRUE(same_bits(pool, untouched));
  };
  const auto at = [&](std::int64_t start, const Shape& shape) {
    return TensorView<T>(pool.data() + start, shape);
  };
  wrong({}, {"out"});
  wrong(at(20, {4, 2}), {"out", "(2, 4)", "(4, 2)"});
  wrong(at(20, {8}), {"out", "(2, 4)", "(8,)"});
  wrong({pool.data() + 20, Layout{.shape = {2, 4}, .strides = {0, 1}}}, {"out"});
  wrong({pool.data() + 20, Layout{.shape = {2, 4}, .strides = {4, 0}}}, {"out"});
  wrong({pool.data() + 20, Layout{.shape = {2, 4}, .strides = {3, 1}}}, {"out"});
  wrong(at(0, {2, 4}), {"out", "overlap"});
  wrong(at(7, {2, 4}), {"out", "overlap"});
  const TensorView<const T> pool_bias(pool.data() + 30, {4});
  expect_error(
      [&] {
        linear_into(at(33, {2, 4}), x, weight, pool_bias, {.execution = execution}, workspace);
      },
      {"out", "overlap"});
  const TensorView<const T> pool_weight(pool.data() + 40, {4, 4});
  expect_error(
      [&] {
        linear_into(at(33, {2, 4}), x, pool_weight, bias, {.execution = execution}, workspace);
      },
      {"out", "overlap"});
  if (needed > 0) {
    expect_error(
        [&] {
          linear_into(at(20, {2, 4}), x, weight, bias, {.execution = execution},
                      std::span(workspace).first(needed - 1));
        },
        {"workspace", std::to_string(needed), std::to_string(needed - 1)});
  }
  EXPECT_TRUE(same_bits(pool, untouched));
  EXPECT_NO_THROW(linear_into(at(8, {2, 4}), x, weight, bias, {.execution = execution}, workspace));
}

TEST(LinearErrors, PathsAndWorkspaceSizes) {
  const Tensor<double> x({2, 3});
  const Tensor<double> weight({5, 3});
  expect_error([&] { linear(x, weight, {}, {.execution = {.path = Path::fused}}); },
               {"fused", "float64"});
  expect_error([] { linear_workspace_size(-1, DType::float32); }, {"in_features", "-1"});
  expect_error([] { linear_workspace_size(3, DType::int32); }, {"dtype", "int32"});
  expect_error([] { linear_workspace_size(3, DType::boolean); }, {"dtype", "bool"});
  expect_error([] { linear_workspace_size(3, DType::float64, {.path = Path::fused}); },
               {"fused", "float64"});
  EXPECT_THROW(linear_workspace_size(3, DType::float32, {.threads = -1}), Error);
  EXPECT_THROW(linear(x, weight, {}, {.execution = {.threads = -1}}), Error);
}

TYPED_TEST(Linear, TheForcedPathIsTheOneTakenAndAutomaticIsNamed) {
  using T = typename TypeParam::Element;
  const auto x = random_tensor<T>({2, 3}, 1);
  const auto weight = random_tensor<T>({5, 3}, 2);
  Tensor<T> out({2, 5});
  std::vector<std::byte> workspace(1 << 20);
  const Taken forced =
      linear_into(out, x, weight, {}, {.execution = {.path = TypeParam::kPath}}, workspace);
  EXPECT_EQ(forced.path, TypeParam::kPath);
  EXPECT_EQ(forced.isa.has_value(), TypeParam::kPath == Path::fused);
  EXPECT_TRUE(same_bits(out, this->affine(x, weight)));
  const Path path = linear_into(out, x, weight, {}, {}, workspace).path;
  ASSERT_NE(path, Path::automatic);
  EXPECT_TRUE(same_bits(out, linear(x, weight, {}, {.execution = {.path = path}})));
}

}  // namespace
}  // namespace attention::tests
