#include <algorithm>
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
#include "harness/half_unit.hpp"
#include "harness/strided_buffer.hpp"

namespace attention::tests {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class Setting>
class Softmax : public ::testing::Test {
 protected:
  using Element = typename Setting::Element;

  static Execution execution(int threads = 0) {
    return {.path = Setting::kPath, .threads = threads};
  }
  static Tensor<Element> softmax_of(TensorView<const Element> x, int threads = 0) {
    return softmax(x, execution(threads));
  }
};
TYPED_TEST_SUITE(Softmax, EveryPathFusedInFloat, PathNames);

/// One rounding to the type, and what the arithmetic before it costs: double's, or, on the fused
/// path, what ops/softmax.hpp says.
template <class T>
double bar(Path path, double truth, double below_largest, std::size_t count) {
  const double distance = std::min(below_largest, 1e30);  // (infinity times 0 would be NaN)
  const double arithmetic =
      path == Path::fused
          ? 2e-7 * (3 + distance + std::log(static_cast<double>(count))) * truth + 1e-37
          : 0x1p-49 * truth;
  return half_unit_of(kDTypeOf<T>) * truth + arithmetic + (sizeof(T) == 2 ? 0x1p-25 : 0x1p-150);
}

/// exp(x[j]) / sum of exp(x[k]), from the text of the header.
std::vector<double> expected_row(const std::vector<double>& x) {
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
void expect_softmax(TensorView<const T> found, TensorView<const T> x, Path path) {
  ASSERT_EQ(found.shape(), x.shape());
  const std::vector<T> inputs = elements_of(x);
  const std::vector<T> outputs = elements_of(found);
  const auto width = static_cast<std::size_t>(x.size(x.rank() - 1));
  for (std::size_t start = 0; start < inputs.size(); start += width) {
    std::vector<double> row;
    for (std::size_t n = start; n < start + width; ++n) {
      row.push_back(element_cast<double>(inputs[n]));
    }
    const std::vector<double> expected = expected_row(row);
    const double largest = *std::ranges::max_element(row);
    for (std::size_t n = 0; n < width; ++n) {
      EXPECT_NEAR(element_cast<double>(outputs[start + n]), expected[n],
                  bar<T>(path, expected[n], largest - row[n], width))
          << "element " << start + n;
    }
  }
}

TYPED_TEST(Softmax, EveryShape) {
  using T = typename TypeParam::Element;
  for (const Shape& shape :
       {Shape{1}, Shape{2}, Shape{7}, Shape{64}, Shape{129}, Shape{3, 1}, Shape{5, 17},
        Shape{2, 3, 33}, Shape{2, 1, 3, 4}, Shape{2, 2, 2, 2, 3}, Shape{1, 2, 1, 2, 3, 5}}) {
    SCOPED_TRACE(to_string(shape));
    const auto x = random_tensor<T>(shape, 3);
    expect_softmax<T>(this->softmax_of(x), x, TypeParam::kPath);
  }
}

TYPED_TEST(Softmax, EveryLength) {
  using T = typename TypeParam::Element;
  for (std::int64_t length = 1; length <= 140; ++length) {
    SCOPED_TRACE(length);
    const auto x = random_tensor<T>({2, length}, static_cast<std::uint64_t>(length));
    expect_softmax<T>(this->softmax_of(x), x, TypeParam::kPath);
  }
  const auto x = random_tensor<T>({1, 100'003}, 5);
  expect_softmax<T>(this->softmax_of(x), x, TypeParam::kPath);
}

/// What each addition to a large float rounds away would add up.
TYPED_TEST(Softmax, TheSumOfALongRowLosesNothing) {
  using T = typename TypeParam::Element;
  auto x = Tensor<T>::filled({1'000'003}, element_cast<T>(-1.0 / 3));
  x(0) = element_cast<T>(0.0);
  expect_softmax<T>(this->softmax_of(x), x, TypeParam::kPath);
}

TYPED_TEST(Softmax, EmptyDimensions) {
  using T = typename TypeParam::Element;
  for (const Shape& shape : {Shape{0}, Shape{3, 0}, Shape{0, 3}, Shape{2, 0, 5}}) {
    const Tensor<T> x(shape);
    EXPECT_EQ(this->softmax_of(x).shape(), shape);
    Tensor<T> out(shape);
    EXPECT_EQ(softmax_into(out, x, this->execution()), TypeParam::kPath);
  }
}

TYPED_TEST(Softmax, ExactFractions) {
  using T = typename TypeParam::Element;
  const auto x = Tensor<T>::filled({2, 4}, element_cast<T>(-3.0));
  const Tensor<T> out = this->softmax_of(x);
  for (const T value : out.values()) {
    EXPECT_EQ(element_cast<double>(value), 0.25);
  }
}

TYPED_TEST(Softmax, HugeValuesDoNotOverflow) {
  using T = typename TypeParam::Element;
  const double huge = kDTypeOf<T> == DType::float16 ? 6e4 : 3e38;
  const auto at = [](double value) { return element_cast<T>(value); };
  const Tensor<T> x({3, 3}, {at(huge), at(huge), at(-huge), at(-huge), at(-huge), at(-huge),
                             at(1.0), at(-huge), at(-kInfinity)});
  const Tensor<T> out = this->softmax_of(x);
  expect_softmax<T>(out, x, TypeParam::kPath);
  EXPECT_EQ(element_cast<double>(out(0, 0)), 0.5);
  EXPECT_EQ(element_cast<double>(out(0, 2)), 0);
  EXPECT_EQ(element_cast<double>(out(2, 0)), 1);
  EXPECT_EQ(element_cast<double>(out(2, 2)), 0);
}

TYPED_TEST(Softmax, NaNAndInfinityStayInTheirRows) {
  using T = typename TypeParam::Element;
  auto x = random_tensor<T>({5, 6}, 3);
  const Tensor<T> expected = this->softmax_of(x);
  x(1, 2) = element_cast<T>(NAN);
  x(2, 5) = element_cast<T>(kInfinity);
  for (std::int64_t j = 0; j < 6; ++j) {
    x(3, j) = element_cast<T>(-kInfinity);  // the formula gives 0 / 0
  }
  const Tensor<T> out = this->softmax_of(x);
  for (std::int64_t j = 0; j < 6; ++j) {
    EXPECT_TRUE(std::isnan(element_cast<double>(out(1, j))));
    EXPECT_TRUE(std::isnan(element_cast<double>(out(3, j))));
  }
  EXPECT_TRUE(std::isnan(element_cast<double>(out(2, 5))));
  for (const std::int64_t row : {0, 4}) {
    EXPECT_TRUE(same_bits<T>(out.view().slice(0, row, 1), expected.view().slice(0, row, 1)));
  }
}

TYPED_TEST(Softmax, AnyStrides) {
  using T = typename TypeParam::Element;
  Draws draws(7);
  for (const Arrangement from :
       {Arrangement::heads_inside, Arrangement::packed, Arrangement::permuted,
        Arrangement::reversed, Arrangement::repeated, Arrangement::misaligned}) {
    for (const Arrangement to :
         {Arrangement::dense, Arrangement::permuted, Arrangement::reversed, Arrangement::packed}) {
      SCOPED_TRACE(std::string(name_of(from)) + " to " + std::string(name_of(to)));
      const auto filler = element_cast<T>(NAN);
      const Shape shape = {3, 4, draws.one_of({1, 9, 33, 70})};
      StridedBuffer<T> x(shape, from, draws, filler);
      StridedBuffer<T> out(shape, to, draws, filler);
      const TensorView<T> view = x.view();
      for_each_offset(
          view.shape(), [&](std::int64_t n) { view.data()[n] = element_cast<T>(draws.normal()); },
          view.strides());
      softmax_into(out.view(), x.view(), this->execution());
      expect_softmax<T>(out.view(), x.view(), TypeParam::kPath);
      EXPECT_TRUE(out.is_untouched_outside());
      // Dense copies give the same bits.
      EXPECT_TRUE(same_bits<T>(out.view(), this->softmax_of(Tensor<T>::copy_of(x.view()))));
    }
  }
}

TYPED_TEST(Softmax, InPlace) {
  using T = typename TypeParam::Element;
  Draws draws(8);
  for (const Arrangement arrangement : {Arrangement::dense, Arrangement::permuted,
                                        Arrangement::reversed, Arrangement::misaligned}) {
    SCOPED_TRACE(name_of(arrangement));
    StridedBuffer<T> x({4, 5, 33}, arrangement, draws, element_cast<T>(NAN));
    const TensorView<T> view = x.view();
    for_each_offset(
        view.shape(), [&](std::int64_t n) { view.data()[n] = element_cast<T>(draws.normal()); },
        view.strides());
    const Tensor<T> expected = this->softmax_of(x.view());
    EXPECT_EQ(softmax_into(x.view(), x.view(), this->execution(3)), TypeParam::kPath);
    EXPECT_TRUE(same_bits<T>(x.view(), expected));
    EXPECT_TRUE(x.is_untouched_outside());
  }
}

TYPED_TEST(Softmax, TheSameBitsForAnyNumberOfThreadsAndAnyBatch) {
  using T = typename TypeParam::Element;
  const auto x = random_tensor<T>({600, 70}, 4);  // some tasks of the fused path
  const Tensor<T> expected = this->softmax_of(x, 1);
  for (const int threads : {0, 2, 3, 8}) {
    EXPECT_TRUE(same_bits(this->softmax_of(x, threads), expected)) << threads;
  }
  for (std::int64_t row = 0; row < 600; ++row) {
    EXPECT_TRUE(
        same_bits<T>(this->softmax_of(x.view().select(0, row)), expected.view().select(0, row)));
  }
}

TYPED_TEST(Softmax, RowsSumToOneAndAConstantChangesNothing) {
  using T = typename TypeParam::Element;
  const auto x = random_tensor<T>({3, 50}, 4);
  auto moved = x;
  for (T& value : moved.values()) {
    value = element_cast<T>(element_cast<double>(value) + 8);
  }
  const auto out = this->softmax_of(x);
  EXPECT_LT(largest_difference(out, this->softmax_of(moved)), 8 * tolerance<T>());
  for (std::int64_t row = 0; row < 3; ++row) {
    double sum = 0;
    for (std::int64_t j = 0; j < 50; ++j) {
      sum += element_cast<double>(out(row, j));
    }
    EXPECT_NEAR(sum, 1, tolerance<T>());
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
  using T = typename TypeParam::Element;
  const auto x = random_tensor<T>({3, 4}, 1);
  const Tensor<T> scalar(Shape{});
  const auto untouched = random_tensor<T>({64}, 2);
  Tensor<T> pool = untouched;
  const auto out = [&](const Shape& shape) { return TensorView<T>(pool.data(), shape); };
  expect_error([&] { softmax(scalar); }, {"x", "()"});
  expect_error([&] { softmax(TensorView<const T>()); }, {"x"});
  expect_error([&] { softmax_into(out({}), scalar); }, {"x", "()"});
  if (kDTypeOf<T> != DType::float32) {
    expect_error([&] { softmax(x, {.path = Path::fused}); }, {"fused"});
    expect_error([&] { softmax_into(out({3, 4}), x, {.path = Path::fused}); }, {"fused"});
  }
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
  using T = typename TypeParam::Element;
  Tensor<T> dense = random_tensor<T>({3, 4}, 1);
  const TensorView<T> nowhere(nullptr, {3, 4});
  expect_error([&] { softmax(TensorView<const T>(nowhere)); }, {"x"});
  expect_error([&] { softmax_into(dense, nowhere); }, {"x"});
  expect_error([&] { softmax_into(nowhere, dense); }, {"out"});
}

TYPED_TEST(Softmax, OutThatOverlapsXWithoutBeingX) {
  using T = typename TypeParam::Element;
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
