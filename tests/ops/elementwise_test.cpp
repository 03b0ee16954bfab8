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
#include "harness/strided_buffer.hpp"
#include "tests/support/message_of.hpp"

namespace attention::tests {
namespace {

using ::attention::test::message_of;

template <class T>
class Elementwise : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Elementwise, Types);

/// Two shapes and what they broadcast to.
struct Broadcast {
  Shape a;
  Shape b;
  Shape out;
};

std::vector<Broadcast> broadcasts() {
  std::vector<Broadcast> all = {
      {{}, {}, {}},
      {{1}, {}, {1}},
      {{5}, {}, {5}},
      {{}, {2, 3}, {2, 3}},
      {{2, 3}, {1}, {2, 3}},
      {{2, 17, 33}, {17, 33}, {2, 17, 33}},
      {{2, 17, 33}, {33}, {2, 17, 33}},
      {{33}, {2, 17, 33}, {2, 17, 33}},
      {{2, 17, 33}, {2, 1, 33}, {2, 17, 33}},
      {{2, 17, 33}, {2, 17, 1}, {2, 17, 33}},
      {{2, 1, 33}, {17, 1}, {2, 17, 33}},
      {{4, 1}, {5}, {4, 5}},
      {{1, 3, 1, 2}, {4, 1, 5, 1}, {4, 3, 5, 2}},
      {{2, 1, 2, 1, 2, 1}, {1, 3, 1, 3, 1, 3}, {2, 3, 2, 3, 2, 3}},
      {{0}, {1}, {0}},
      {{0}, {}, {0}},
      {{3, 0}, {0}, {3, 0}},
      {{3, 1}, {0}, {3, 0}},
      {{1, 4}, {0, 1}, {0, 4}},
      {{70000}, {70000}, {70000}},
      {{70000}, {2, 1}, {2, 70000}},
  };
  for (const std::int64_t length : {2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 129}) {
    all.push_back({{length}, {length}, {length}});
  }
  return all;
}

TYPED_TEST(Elementwise, EveryBroadcastIsThatOfTheReferenceInBits) {
  using T = TypeParam;
  for (const Broadcast& each : broadcasts()) {
    SCOPED_TRACE(to_string(each.a) + " and " + to_string(each.b));
    const auto a = random_tensor<T>(each.a, 1);
    const auto b = random_tensor<T>(each.b, 2);
    Tensor<T> sum(each.out);
    Tensor<T> product(each.out);
    reference::add<T>(sum, a, b);
    reference::multiply<T>(product, a, b);
    EXPECT_TRUE(same_bits(add(a, b), sum));
    EXPECT_TRUE(same_bits(multiply(a, b), product));
    for (const int threads : {1, 2, 8}) {
      Tensor<T> out = Tensor<T>::filled(each.out, 7);
      EXPECT_EQ(add_into(out, a, b, {.threads = threads}), Path::reference);
      EXPECT_TRUE(same_bits(out, sum));
      EXPECT_EQ(multiply_into(out, a, b, {.threads = threads}), Path::reference);
      EXPECT_TRUE(same_bits(out, product));
    }
  }
}

TYPED_TEST(Elementwise, ScaleIsThatOfTheReferenceInBits) {
  using T = TypeParam;
  for (const Shape& shape : {Shape{}, Shape{0}, Shape{1}, Shape{3, 17}, Shape{70001}}) {
    const auto x = random_tensor<T>(shape, 1);
    for (const double factor : {0.1, -3.0, 0.0, 1e300}) {
      Tensor<T> expected(shape);
      reference::scale<T>(expected, x, factor);
      EXPECT_TRUE(same_bits(scale(x, factor), expected)) << to_string(shape) << factor;
      EXPECT_TRUE(same_bits(scale(x, factor, {.threads = 8}), expected));
      Tensor<T> in_place = x;
      EXPECT_EQ(scale_into(in_place, in_place, factor, {.threads = 2}), Path::reference);
      EXPECT_TRUE(same_bits(in_place, expected));
    }
  }
}

TYPED_TEST(Elementwise, OutMayBeAnInput) {
  using T = TypeParam;
  for (const std::int64_t length : {1, 7, 33, 70000}) {
    const auto a = random_tensor<T>({2, length}, 1);
    const auto b = random_tensor<T>({2, length}, 2);
    const auto row = random_tensor<T>({length}, 3);
    Tensor<T> out = a;
    add_into(out, out, b);
    EXPECT_TRUE(same_bits(out, add(a, b)));
    out = b;
    multiply_into(out, a, out);
    EXPECT_TRUE(same_bits(out, multiply(a, b)));
    out = a;
    add_into(out, out, out);
    EXPECT_TRUE(same_bits(out, add(a, a)));
    out = a;
    add_into(out, out, row);
    EXPECT_TRUE(same_bits(out, add(a, row)));
    // Extents of 1 may have any stride, and dimensions may be missing.
    Tensor<T> line = row;
    const TensorView<T> odd(line.data(), Layout{.shape = {1, length}, .strides = {3, 1}});
    add_into(odd, line, line.view().unsqueeze(0));
    EXPECT_TRUE(same_bits(line, add(row, row)));
  }
}

TYPED_TEST(Elementwise, AnyStrides) {
  using T = TypeParam;
  Draws draws(7);
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
  const std::vector<Broadcast> shapes = {{{3, 4, 9}, {3, 4, 9}, {3, 4, 9}},
                                         {{3, 4, 9}, {4, 9}, {3, 4, 9}},
                                         {{3, 4, 9}, {3, 1, 9}, {3, 4, 9}},
                                         {{4, 1}, {3, 1, 9}, {3, 4, 9}}};
  for (int run = 0; run < 100; ++run) {
    const Broadcast& shape = shapes[static_cast<std::size_t>(run) % shapes.size()];
    StridedBuffer<T> a = input(shape.a);
    StridedBuffer<T> b = input(shape.b);
    StridedBuffer<T> out(shape.out, any(), draws, element_cast<T>(NAN));
    add_into(out.view(), a.view(), b.view());
    EXPECT_TRUE(
        same_bits<T>(out.view(), add(Tensor<T>::copy_of(a.view()), Tensor<T>::copy_of(b.view()))));
    multiply_into(out.view(), a.view(), b.view());
    EXPECT_TRUE(same_bits<T>(out.view(),
                             multiply(Tensor<T>::copy_of(a.view()), Tensor<T>::copy_of(b.view()))));
    scale_into(out.view(), a.view().broadcast_to(shape.out), 0.3);
    EXPECT_TRUE(same_bits<T>(out.view(), scale(a.view().broadcast_to(shape.out), 0.3)));
    EXPECT_TRUE(out.is_untouched_outside());
  }
}

TYPED_TEST(Elementwise, Extremes) {
  using T = TypeParam;
  const T infinity = std::numeric_limits<T>::infinity();
  const T largest = std::numeric_limits<T>::max();
  const T smallest = std::numeric_limits<T>::denorm_min();
  const Tensor<T> a({6}, {largest, infinity, infinity, smallest, static_cast<T>(NAN), 1});
  const Tensor<T> b({6}, {largest, -infinity, 0, 1, 1, smallest});
  const Tensor<T> sum = add(a, b);
  const Tensor<T> product = multiply(a, b);
  EXPECT_EQ(sum(0), infinity);
  EXPECT_TRUE(std::isnan(sum(1)));
  EXPECT_EQ(sum(2), infinity);
  EXPECT_EQ(sum(3), 1);
  EXPECT_TRUE(std::isnan(sum(4)));
  EXPECT_EQ(product(0), infinity);
  EXPECT_EQ(product(1), -infinity);
  EXPECT_TRUE(std::isnan(product(2)));
  EXPECT_EQ(product(3), smallest);
  EXPECT_TRUE(std::isnan(product(4)));
  EXPECT_EQ(product(5), smallest);
  EXPECT_EQ(scale(a, 0.5)(0), largest / 2);
  EXPECT_TRUE(std::isnan(scale(a, 0)(1)));
}

/// Of loss = sum(w (a b + a)), by the rules of the header: d_a and d_b against central differences.
TEST(ElementwiseGradient, EqualsCentralDifferences) {
  Draws draws(5);
  constexpr double kStep = 1e-6;
  for (int run = 0; run < 60; ++run) {
    const Shape full = {1 + draws.below(3), 1 + draws.below(3), 1 + draws.below(4)};
    const auto part = [&] {
      Shape shape = full;
      for (int dim = 0; dim < 3; ++dim) {
        shape[dim] = draws.chance(0.4) ? 1 : shape[dim];
      }
      for (std::int64_t drop = draws.below(4); drop > 0; --drop) {
        shape.erase(0);
      }
      return shape;
    };
    const auto seed = static_cast<std::uint64_t>(run);
    Tensor<double> a = random_tensor<double>(part(), 3 * seed);
    Tensor<double> b = random_tensor<double>(part(), 3 * seed + 1);
    const Tensor<double> w = random_tensor<double>(add(a, b).shape(), 3 * seed + 2);
    const auto loss = [&] { return sum_to(multiply(w, add(multiply(a, b), a)), Shape{})(); };
    const Tensor<double> d_a = add(sum_to(multiply(w, b), a.shape()), sum_to(w, a.shape()));
    const Tensor<double> d_b = sum_to(multiply(w, a), b.shape());
    const auto expect = [&](Tensor<double>& x, const Tensor<double>& found) {
      for (std::size_t n = 0; n < x.values().size(); ++n) {
        const double before = x.values()[n];
        x.values()[n] = before + kStep;
        const double above = loss();
        x.values()[n] = before - kStep;
        const double below = loss();
        x.values()[n] = before;
        const double expected = (above - below) / (2 * kStep);
        EXPECT_NEAR(found.values()[n], expected, 1e-5 + 1e-3 * std::abs(expected));
      }
    };
    expect(a, d_a);
    expect(b, d_b);
  }
}

TEST(ElementwiseErrors, NameTheFunctionTheRuleAndWhatWasFound) {
  const Tensor<float> x({2, 3});
  const Tensor<float> y({2});
  Tensor<float> out({2, 3});
  const TensorView<const float> nowhere(nullptr, {2, 3});
  EXPECT_EQ(message_of([&] { add(x, y); }),
            "add: each extent of a and b, from the last, must be 1 or equal; found a (2, 3), b "
            "(2,)");
  EXPECT_EQ(message_of([&] { multiply_into(out, y, x); }),
            "multiply_into: each extent of a and b, from the last, must be 1 or equal; found a "
            "(2,), b (2, 3)");
  EXPECT_EQ(message_of([&] { add(nowhere, x); }),
            "add: a must be given; found a null view of shape (2, 3)");
  EXPECT_EQ(message_of([&] { multiply(x, nowhere); }),
            "multiply: b must be given; found a null view of shape (2, 3)");
  EXPECT_EQ(message_of([&] { scale(nowhere, 2); }),
            "scale: x must be given; found a null view of shape (2, 3)");
  EXPECT_EQ(message_of([&] { add_into(out.view().slice(0, 0, 1), x, x); }),
            "add_into: out must have the shape (2, 3); found (1, 3)");
  EXPECT_EQ(message_of([&] { scale_into(out.view().slice(0, 0, 1), x, 1); }),
            "scale_into: out must have the shape (2, 3); found (1, 3)");
  EXPECT_EQ(message_of([&] { add_into(out.view().slice(0, 0, 1).broadcast_to({2, 3}), x, x); }),
            "add_into: out must not overlap itself; found shape (2, 3), strides (0, 1)");
  EXPECT_EQ(message_of([&] { add(x, x, {.path = Path::fused}); }),
            "add: the path must serve the element type; for float32 there are: reference; found "
            "fused");
  EXPECT_NE(message_of([&] { add(x, x, {.threads = -1}); }), "no error");
}

TEST(ElementwiseErrors, OutThatOverlapsAnInputWithoutBeingIt) {
  Tensor<float> pool({40});
  const Tensor<float> other({4, 4});
  const TensorView<float> x(pool.data() + 8, {4, 4});
  const std::vector<TensorView<float>> wrong = {
      {pool.data() + 9, {4, 4}}, {pool.data() + 7, {4, 4}}, x.reverse(0), x.transpose(0, 1)};
  for (const TensorView<float>& out : wrong) {
    EXPECT_EQ(message_of([&] { add_into(out, x, other); }),
              "add_into: out must be a or lie apart from it; found views that share memory");
    EXPECT_EQ(message_of([&] { multiply_into(out, other, x); }),
              "multiply_into: out must be b or lie apart from it; found views that share memory");
    EXPECT_EQ(message_of([&] { scale_into(out, x, 2); }),
              "scale_into: out must be x or lie apart from it; found views that share memory");
  }
  // A row that is repeated while it is written.
  EXPECT_EQ(message_of([&] { add_into(x, x, x.slice(0, 0, 1)); }),
            "add_into: out must be b or lie apart from it; found views that share memory");
  EXPECT_EQ(message_of([&] { add_into({pool.data() + 24, {4, 4}}, x, other); }), "no error");
}

}  // namespace
}  // namespace attention::tests
