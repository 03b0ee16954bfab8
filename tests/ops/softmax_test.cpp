#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/softmax.hpp>

#include "harness/every_path.hpp"
#include "harness/strided_buffer.hpp"

namespace attention::tests {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class T>
class Softmax : public ::testing::Test {};
using FloatingTypes = ::testing::Types<float, double, float16, bfloat16>;
TYPED_TEST_SUITE(Softmax, FloatingTypes);

/// Half a unit in the last place, and what double arithmetic costs before the rounding.
template <class T>
double bar(double truth) {
  const double epsilon = kDTypeOf<T> == DType::float16    ? 0x1p-10
                         : kDTypeOf<T> == DType::bfloat16 ? 0x1p-7
                         : kDTypeOf<T> == DType::float32  ? 0x1p-23
                                                          : 0x1p-49;
  return 0.5 * epsilon * truth + 0x1p-50 * truth + (sizeof(T) == 2 ? 0x1p-25 : 0x1p-150);
}

/// exp(x[j]) / sum of exp(x[k]), from the text of the header.
std::vector<double> softmax_of(const std::vector<double>& x) {
  double largest = -kInfinity;
  for (const double value : x) {
    largest = std::max(largest, value);
  }
  double sum = 0;
  for (const double value : x) {
    sum += std::exp(value - largest);
  }
  std::vector<double> result;
  result.reserve(x.size());
  for (const double value : x) {
    result.push_back(std::exp(value - largest) / sum);
  }
  return result;
}

template <class T>
void expect_softmax(TensorView<const T> found, TensorView<const T> x) {
  ASSERT_EQ(found.shape(), x.shape());
  const std::vector<T> inputs = elements_of(x);
  const std::vector<T> outputs = elements_of(found);
  const auto width = static_cast<std::size_t>(x.size(x.rank() - 1));
  for (std::size_t start = 0; start < inputs.size(); start += width) {
    std::vector<double> row;
    for (std::size_t n = start; n < start + width; ++n) {
      row.push_back(element_cast<double>(inputs[n]));
    }
    const std::vector<double> expected = softmax_of(row);
    for (std::size_t n = 0; n < width; ++n) {
      EXPECT_NEAR(element_cast<double>(outputs[start + n]), expected[n], bar<T>(expected[n]))
          << "element " << start + n;
    }
  }
}

TYPED_TEST(Softmax, EveryShape) {
  for (const Shape& shape :
       {Shape{1}, Shape{2}, Shape{7}, Shape{64}, Shape{129}, Shape{3, 1}, Shape{5, 17},
        Shape{2, 3, 33}, Shape{2, 1, 3, 4}, Shape{2, 2, 2, 2, 3}, Shape{1, 2, 1, 2, 3, 5}}) {
    SCOPED_TRACE(to_string(shape));
    const auto x = random_tensor<TypeParam>(shape, 3);
    expect_softmax<TypeParam>(softmax(x), x);
  }
}

TYPED_TEST(Softmax, EmptyDimensions) {
  for (const Shape& shape : {Shape{0}, Shape{3, 0}, Shape{0, 3}, Shape{2, 0, 5}}) {
    const Tensor<TypeParam> x(shape);
    EXPECT_EQ(softmax(x).shape(), shape);
    Tensor<TypeParam> out(shape);
    EXPECT_EQ(softmax_into(out, x), Path::reference);
  }
}

TYPED_TEST(Softmax, ExactFractions) {
  const auto x = Tensor<TypeParam>::filled({2, 4}, element_cast<TypeParam>(-3.0));
  const Tensor<TypeParam> out = softmax(x);
  for (const TypeParam value : out.values()) {
    EXPECT_EQ(element_cast<double>(value), 0.25);
  }
}

TYPED_TEST(Softmax, HugeValuesDoNotOverflow) {
  const double huge = kDTypeOf<TypeParam> == DType::float16 ? 6e4 : 3e38;
  const auto at = [](double value) { return element_cast<TypeParam>(value); };
  const Tensor<TypeParam> x({3, 3}, {at(huge), at(huge), at(-huge), at(-huge), at(-huge), at(-huge),
                                     at(1.0), at(-huge), at(-kInfinity)});
  const Tensor<TypeParam> out = softmax(x);
  expect_softmax<TypeParam>(out, x);
  EXPECT_EQ(element_cast<double>(out(0, 0)), 0.5);
  EXPECT_EQ(element_cast<double>(out(0, 2)), 0);
  EXPECT_EQ(element_cast<double>(out(2, 0)), 1);
  EXPECT_EQ(element_cast<double>(out(2, 2)), 0);
}

TYPED_TEST(Softmax, NaNAndInfinityStayInTheirRows) {
  auto x = random_tensor<TypeParam>({5, 6}, 3);
  const Tensor<TypeParam> expected = softmax(x);
  x(1, 2) = element_cast<TypeParam>(NAN);
  x(2, 5) = element_cast<TypeParam>(kInfinity);
  for (std::int64_t j = 0; j < 6; ++j) {
    x(3, j) = element_cast<TypeParam>(-kInfinity);  // the formula gives 0 / 0
  }
  const Tensor<TypeParam> out = softmax(x);
  for (std::int64_t j = 0; j < 6; ++j) {
    EXPECT_TRUE(std::isnan(element_cast<double>(out(1, j))));
    EXPECT_TRUE(std::isnan(element_cast<double>(out(3, j))));
  }
  EXPECT_TRUE(std::isnan(element_cast<double>(out(2, 5))));
  for (const std::int64_t row : {0, 4}) {
    EXPECT_TRUE(
        same_bits<TypeParam>(out.view().slice(0, row, 1), expected.view().slice(0, row, 1)));
  }
}

TYPED_TEST(Softmax, AnyStrides) {
  Draws draws(7);
  for (const Arrangement from :
       {Arrangement::heads_inside, Arrangement::packed, Arrangement::permuted,
        Arrangement::reversed, Arrangement::repeated, Arrangement::misaligned}) {
    for (const Arrangement to :
         {Arrangement::dense, Arrangement::permuted, Arrangement::reversed, Arrangement::packed}) {
      SCOPED_TRACE(std::string(name_of(from)) + " to " + std::string(name_of(to)));
      const auto filler = element_cast<TypeParam>(NAN);
      StridedBuffer<TypeParam> x({3, 4, 9}, from, draws, filler);
      StridedBuffer<TypeParam> out({3, 4, 9}, to, draws, filler);
      const TensorView<TypeParam> view = x.view();
      for_each_offset(
          view.shape(),
          [&](std::int64_t n) { view.data()[n] = element_cast<TypeParam>(draws.normal()); },
          view.strides());
      softmax_into(out.view(), x.view());
      expect_softmax<TypeParam>(out.view(), x.view());
      EXPECT_TRUE(out.is_untouched_outside());
    }
  }
}

TYPED_TEST(Softmax, InPlace) {
  Draws draws(8);
  for (const Arrangement arrangement : {Arrangement::dense, Arrangement::permuted,
                                        Arrangement::reversed, Arrangement::misaligned}) {
    SCOPED_TRACE(name_of(arrangement));
    StridedBuffer<TypeParam> x({4, 5, 33}, arrangement, draws, element_cast<TypeParam>(NAN));
    const TensorView<TypeParam> view = x.view();
    for_each_offset(
        view.shape(),
        [&](std::int64_t n) { view.data()[n] = element_cast<TypeParam>(draws.normal()); },
        view.strides());
    const Tensor<TypeParam> expected = softmax(x.view());
    EXPECT_EQ(softmax_into(x.view(), x.view(), {.threads = 3}), Path::reference);
    EXPECT_TRUE(same_bits<TypeParam>(x.view(), expected));
    EXPECT_TRUE(x.is_untouched_outside());
  }
}

TYPED_TEST(Softmax, TheSameBitsForAnyNumberOfThreadsAndAnyBatch) {
  const auto x = random_tensor<TypeParam>({37, 70}, 4);
  const Tensor<TypeParam> expected = softmax(x, {.threads = 1});
  for (const int threads : {0, 2, 3, 8}) {
    EXPECT_TRUE(same_bits(softmax(x, {.threads = threads}), expected)) << threads;
  }
  for (std::int64_t row = 0; row < 37; ++row) {
    EXPECT_TRUE(
        same_bits<TypeParam>(softmax(x.view().select(0, row)), expected.view().select(0, row)));
  }
}

TYPED_TEST(Softmax, RowsSumToOneAndAConstantChangesNothing) {
  const auto x = random_tensor<TypeParam>({3, 50}, 4);
  auto moved = x;
  for (TypeParam& value : moved.values()) {
    value = element_cast<TypeParam>(element_cast<double>(value) + 8);
  }
  const auto out = softmax(x);
  EXPECT_LT(largest_difference(out, softmax(moved)), 8 * tolerance<TypeParam>());
  for (std::int64_t row = 0; row < 3; ++row) {
    double sum = 0;
    for (std::int64_t j = 0; j < 50; ++j) {
      sum += element_cast<double>(out(row, j));
    }
    EXPECT_NEAR(sum, 1, tolerance<TypeParam>());
  }
}

template <class Run>
void expect_error(const Run& run, const std::vector<std::string>& parts) {
  try {
    run();
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.function().substr(0, 7), "softmax") << error.what();
    for (const std::string& part : parts) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
          << part << " is not in: " << error.what();
    }
  }
}

TYPED_TEST(Softmax, Errors) {
  using T = TypeParam;
  const auto x = random_tensor<T>({3, 4}, 1);
  const Tensor<T> scalar(Shape{});
  const auto untouched = random_tensor<T>({64}, 2);
  Tensor<T> pool = untouched;
  const auto out = [&](const Shape& shape) { return TensorView<T>(pool.data(), shape); };
  expect_error([&] { softmax(scalar); }, {"x", "()"});
  expect_error([&] { softmax(TensorView<const T>()); }, {"x"});
  expect_error([&] { softmax_into(out({}), scalar); }, {"x", "()"});
  expect_error([&] { softmax(x, {.path = Path::fused}); }, {"fused"});
  expect_error([&] { softmax_into(out({3, 4}), x, {.path = Path::fused}); }, {"fused"});
  expect_error([&] { softmax_into(out({4, 3}), x); }, {"out", "(3, 4)", "(4, 3)"});
  expect_error([&] { softmax_into(out({12}), x); }, {"out", "(3, 4)", "(12,)"});
  expect_error([&] { softmax_into(TensorView<T>(), x); }, {"out"});
  EXPECT_THROW(softmax(x, {.threads = -1}), Error);
  for (const Strides& strides : {Strides{0, 1}, Strides{4, 0}, Strides{1, 1}, Strides{3, 1}}) {
    const TensorView<T> twice(pool.data(), Layout{.shape = {3, 4}, .strides = strides});
    expect_error([&] { softmax_into(twice, x); }, {"out"});
  }
  EXPECT_TRUE(same_bits(pool, untouched));
}

TYPED_TEST(Softmax, AViewOfNoMemory) {
  using T = TypeParam;
  Tensor<T> dense = random_tensor<T>({3, 4}, 1);
  const TensorView<T> nowhere(nullptr, {3, 4});
  expect_error([&] { softmax(TensorView<const T>(nowhere)); }, {"x"});
  expect_error([&] { softmax_into(dense, nowhere); }, {"x"});
  expect_error([&] { softmax_into(nowhere, dense); }, {"out"});
}

TYPED_TEST(Softmax, OutThatOverlapsXWithoutBeingX) {
  using T = TypeParam;
  const auto untouched = random_tensor<T>({64}, 2);
  Tensor<T> pool = untouched;
  const TensorView<T> x(pool.data() + 16, {4, 4});
  const std::vector<TensorView<T>> overlapping = {{pool.data() + 17, {4, 4}},
                                                  {pool.data() + 15, {4, 4}},
                                                  {pool.data() + 31, {4, 4}},
                                                  {pool.data() + 1, {4, 4}},
                                                  x.reverse(0),
                                                  x.reverse(1),
                                                  x.transpose(0, 1)};
  for (const TensorView<T>& out : overlapping) {
    expect_error([&, out] { softmax_into(out, x); }, {"out", "x"});
  }
  EXPECT_TRUE(same_bits(pool, untouched));
  for (const std::int64_t start : {0, 32}) {
    EXPECT_NO_THROW(softmax_into(TensorView<T>(pool.data() + start, {4, 4}), x));
  }
  const TensorView<T> rows(pool.data(), {4, 8});
  EXPECT_NO_THROW(softmax_into(rows.slice(1, 0, 4), rows.slice(1, 4, 4)));
}

}  // namespace
}  // namespace attention::tests
