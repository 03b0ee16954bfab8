#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/elementwise.hpp>
#include <attention/reference/elementwise.hpp>

#include "harness/every_path.hpp"
#include "harness/half_unit.hpp"
#include "harness/strided_buffer.hpp"
#include "tests/support/message_of.hpp"

namespace attention::tests {
namespace {

using ::attention::test::message_of;

template <class T>
class SumTo : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(SumTo, Types);

struct Sum {
  Shape x;
  Shape out;
};

std::vector<Sum> sums() {
  std::vector<Sum> all = {
      {{}, {}},
      {{1}, {}},
      {{5}, {5}},
      {{5}, {1}},
      {{5, 1}, {5, 1}},
      {{5, 1}, {1, 1}},
      {{5, 3}, {5, 1}},
      {{5, 3}, {3}},
      {{5, 3}, {}},
      {{2, 17, 33}, {17, 33}},
      {{2, 17, 33}, {33}},
      {{2, 17, 33}, {2, 1, 33}},
      {{2, 17, 33}, {2, 17, 1}},
      {{2, 17, 33}, {2, 1, 1}},
      {{2, 17, 33}, {17, 1}},
      {{2, 17, 33}, {1, 1, 1}},
      {{4, 3, 5, 2}, {1, 3, 1, 2}},
      {{4, 3, 5, 2}, {4, 1, 5, 1}},
      {{2, 3, 2, 3, 2, 3}, {2, 1, 2, 1, 2, 1}},
      {{2, 3, 2, 3, 2, 3}, {1, 3, 1, 3, 1, 3}},
      {{0, 3}, {3}},
      {{0, 3}, {}},
      {{3, 0}, {3, 1}},
      {{3, 0}, {0}},
      {{0}, {0}},
      {{3, 0, 2}, {0, 2}},
      {{3, 0, 2}, {3, 1, 2}},
      // Pieces of rows and of numbers, many columns, many sums.
      {{300, 5}, {5}},
      {{130, 520}, {520}},
      {{3, 70, 300}, {3, 1, 300}},
      {{90, 1100}, {}},
      {{3, 20000}, {3, 1}},
      {{100, 700}, {100, 1}},
      {{100, 2, 9000}, {2, 1}},
  };
  for (const std::int64_t length : {2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 129, 255, 256, 257}) {
    all.push_back({{3, length}, {3, 1}});
    all.push_back({{3, length}, {length}});
  }
  return all;
}

/// Any order of adding in double, and one rounding.
template <class T>
void expect_sum(TensorView<const T> found, TensorView<const T> x) {
  Tensor<double> wide(x.shape());
  Tensor<double> magnitudes(x.shape());
  const Tensor<T> dense = Tensor<T>::copy_of(x);
  for (std::size_t n = 0; n < dense.values().size(); ++n) {
    wide.values()[n] = static_cast<double>(dense.values()[n]);
    magnitudes.values()[n] = std::abs(wide.values()[n]);
  }
  Tensor<double> truth(found.shape());
  Tensor<double> magnitude(found.shape());
  reference::sum_to<double>(truth, wide);
  reference::sum_to<double>(magnitude, magnitudes);
  const double terms = truth.element_count() == 0 ? 0
                                                  : static_cast<double>(x.element_count()) /
                                                        static_cast<double>(truth.element_count());
  const std::vector<T> values = elements_of(found);
  for (std::size_t n = 0; n < values.size(); ++n) {
    const double rounding = sizeof(T) == 4 ? half_unit_of(kDTypeOf<T>) : 0;
    const double bar = rounding * std::abs(truth.values()[n]) * 1.0001 +
                       2 * terms * 0x1p-53 * magnitude.values()[n];
    EXPECT_NEAR(static_cast<double>(values[n]), truth.values()[n], bar) << "element " << n;
  }
}

TYPED_TEST(SumTo, EveryShapeOnAnyNumberOfThreads) {
  using T = TypeParam;
  for (const Sum& each : sums()) {
    SCOPED_TRACE(to_string(each.x) + " to " + to_string(each.out));
    const auto x = random_tensor<T>(each.x, 1);
    const Tensor<T> found = sum_to(x, each.out, {.threads = 1});
    ASSERT_EQ(found.shape(), each.out);
    expect_sum<T>(found, x);
    for (const int threads : {0, 2, 8}) {
      Tensor<T> out = Tensor<T>::filled(each.out, 7);
      EXPECT_EQ(sum_to_into(out, x, {.threads = threads}), Path::reference);
      EXPECT_TRUE(same_bits(out, found)) << threads;
    }
  }
}

TYPED_TEST(SumTo, NothingRepeatsIsACopy) {
  using T = TypeParam;
  Tensor<T> x = random_tensor<T>({3, 5}, 1);
  x(1, 1) = static_cast<T>(-0.0);
  x(2, 2) = static_cast<T>(NAN);
  EXPECT_TRUE(same_bits(sum_to(x, x.shape()), x));
}

TYPED_TEST(SumTo, AMillionEqualNumbers) {
  using T = TypeParam;
  const auto tenth = static_cast<T>(0.1);
  const auto x = Tensor<T>::filled({1000, 1000}, tenth);
  const double truth = 1e6 * static_cast<double>(tenth);
  const double bar = sizeof(T) == 4 ? 0x1p-24 * truth : 1e-12 * truth;
  EXPECT_NEAR(static_cast<double>(sum_to(x, Shape{})()), truth, bar);
  const Tensor<T> columns = sum_to(x, {1000});
  EXPECT_NEAR(static_cast<double>(columns(7)), truth / 1000, bar / 1000);
  const auto tall = Tensor<T>::filled({1000000, 1}, tenth);
  EXPECT_NEAR(static_cast<double>(sum_to(tall, {1, 1})(0, 0)), truth, bar);
  const auto thin = Tensor<T>::filled({500000, 2}, tenth);
  EXPECT_NEAR(static_cast<double>(sum_to(thin, {2})(1)), truth / 2, bar / 2);
}

/// The order of a sum depends on shapes, not on where the numbers lie.
TYPED_TEST(SumTo, AnyStrides) {
  using T = TypeParam;
  Draws draws(7);
  const auto any = [&] {
    return draws.one_of({Arrangement::dense, Arrangement::heads_inside, Arrangement::packed,
                         Arrangement::permuted, Arrangement::reversed, Arrangement::misaligned});
  };
  const std::vector<Sum> shapes = {
      {{3, 4, 9}, {4, 9}},    {{3, 4, 9}, {9}},          {{3, 4, 9}, {3, 1, 9}},
      {{3, 4, 9}, {4, 1}},    {{3, 4, 9}, {}},           {{3, 4, 9}, {3, 4, 1}},
      {{20, 30, 50}, {50}},   {{20, 30, 50}, {30, 1}},   {{20, 30, 50}, {}},
      {{20, 30, 50}, {1, 1}}, {{20, 30, 50}, {20, 1, 1}}};
  for (int run = 0; run < 132; ++run) {
    const Sum& shape = shapes[static_cast<std::size_t>(run) % shapes.size()];
    SCOPED_TRACE(to_string(shape.x) + " to " + to_string(shape.out));
    const Arrangement arrangement = draws.chance(0.2) ? Arrangement::repeated : any();
    StridedBuffer<T> x(shape.x, arrangement, draws, element_cast<T>(NAN));
    const TensorView<T> view = x.view();
    for_each_offset(
        shape.x, [&](std::int64_t n) { view.data()[n] = element_cast<T>(draws.normal()); },
        view.strides());
    StridedBuffer<T> out(shape.out, any(), draws, element_cast<T>(NAN));
    sum_to_into(out.view(), x.view(), {.threads = draws.one_of({1, 2, 8})});
    EXPECT_TRUE(
        same_bits<T>(out.view(), sum_to(Tensor<T>::copy_of(x.view()), shape.out, {.threads = 1})));
    EXPECT_TRUE(out.is_untouched_outside());
  }
}

TYPED_TEST(SumTo, NaNAndInfinityStayInTheirSums) {
  using T = TypeParam;
  auto x = random_tensor<T>({70, 5}, 1);
  const auto expected = sum_to(x, {5});
  x(69, 1) = static_cast<T>(NAN);
  x(3, 2) = std::numeric_limits<T>::infinity();
  const auto found = sum_to(x, {5});
  EXPECT_TRUE(std::isnan(found(1)));
  EXPECT_TRUE(std::isinf(found(2)));
  for (const std::int64_t column : {0, 3, 4}) {
    EXPECT_EQ(found(column), expected(column));
  }
}

TEST(SumToErrors, NameTheFunctionTheRuleAndWhatWasFound) {
  const Tensor<float> x({2, 3});
  const TensorView<const float> nowhere(nullptr, {2, 3});
  Tensor<float> pool({12});
  const auto refused = [&](const Shape& shape) { return message_of([&] { sum_to(x, shape); }); };
  EXPECT_EQ(refused({2}),
            "sum_to: a tensor of `shape` must broadcast to the shape of x; found shape (2,), x (2, "
            "3)");
  EXPECT_NE(refused({1, 2, 3}), "no error");
  EXPECT_NE(refused({2, 0}), "no error");
  EXPECT_NE(refused({3, 1}), "no error");
  EXPECT_EQ(message_of([&] { sum_to(nowhere, {3}); }),
            "sum_to: x must be given; found a null view of shape (2, 3)");
  EXPECT_EQ(message_of([&] { sum_to_into(pool.view().slice(0, 0, 1).broadcast_to({3}), x); }),
            "sum_to_into: out must not overlap itself; found shape (3,), strides (0,)");
  EXPECT_EQ(message_of([&] {
              sum_to_into(TensorView<float>(pool.data() + 5, {3}),
                          TensorView<const float>(pool.data(), {2, 3}));
            }),
            "sum_to_into: out must not overlap x; found views that share memory");
  EXPECT_EQ(message_of([&] { sum_to(x, {3}, {.path = Path::fused}); }),
            "sum_to: the path must serve the element type; for float32 there are: reference; found "
            "fused");
  EXPECT_NE(message_of([&] { sum_to(x, {3}, {.threads = -1}); }), "no error");
}

}  // namespace
}  // namespace attention::tests
