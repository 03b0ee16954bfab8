#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/concat.hpp>
#include <attention/reference/concat.hpp>

#include "harness/every_path.hpp"
#include "harness/strided_buffer.hpp"
#include "tests/support/message_of.hpp"

namespace attention::tests {
namespace {

using ::attention::test::message_of;

template <class T>
class Concat : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Concat, Types);

struct Joined {
  std::vector<Shape> parts;
  int dim;
  Shape out;
};

std::vector<Joined> joined() {
  return {
      {{{3}}, 0, {3}},
      {{{3}, {1}, {7}}, 0, {11}},
      {{{2, 3}, {4, 3}}, 0, {6, 3}},
      {{{2, 3}, {2, 5}, {2, 1}}, 1, {2, 9}},
      {{{2, 3}, {2, 5}}, -1, {2, 8}},
      {{{2, 3}, {1, 3}}, -2, {3, 3}},
      {{{2, 17, 33}, {2, 1, 33}}, 1, {2, 18, 33}},
      {{{2, 17, 33}, {2, 17, 8}, {2, 17, 16}}, 2, {2, 17, 57}},
      {{{1, 2, 1, 2, 1, 3}, {1, 2, 4, 2, 1, 3}}, 2, {1, 2, 5, 2, 1, 3}},
      {{{0}, {3}}, 0, {3}},
      {{{2, 0}, {2, 3}, {2, 0}}, 1, {2, 3}},
      {{{0, 3}, {0, 3}}, 0, {0, 3}},
      {{{0, 3}, {0, 2}}, 1, {0, 5}},
      {{{300, 129}, {300, 64}}, 1, {300, 193}},
      {{{70000}, {5}}, 0, {70005}},
  };
}

/// Parts of some shapes, and the views that a call takes.
template <class T>
struct Parts {
  std::vector<Tensor<T>> tensors;
  std::vector<TensorView<const T>> views;

  explicit Parts(const std::vector<Shape>& shapes) {
    for (const Shape& shape : shapes) {
      tensors.push_back(random_tensor<T>(shape, tensors.size() + 1));
    }
    for (const Tensor<T>& tensor : tensors) {
      views.push_back(tensor.view());
    }
  }
};

TYPED_TEST(Concat, EveryShapeOnAnyNumberOfThreads) {
  using T = TypeParam;
  for (const Joined& each : joined()) {
    SCOPED_TRACE(to_string(each.out) + " along " + std::to_string(each.dim));
    const Parts<T> parts(each.parts);
    Tensor<T> expected = Tensor<T>::filled(each.out, 7);
    reference::concat<T>(expected, parts.views,
                         each.dim < 0 ? each.dim + each.out.rank() : each.dim);
    EXPECT_TRUE(same_bits(concat(parts.views, each.dim), expected));
    for (const int threads : {1, 2, 8}) {
      Tensor<T> out = Tensor<T>::filled(each.out, 7);
      EXPECT_EQ(concat_into(out, parts.views, each.dim, {.threads = threads}), Path::reference);
      EXPECT_TRUE(same_bits(out, expected));
    }
  }
}

/// The way back: each part is a slice.
TYPED_TEST(Concat, SlicesOfTheResultAreTheParts) {
  using T = TypeParam;
  const Parts<T> parts({{2, 3, 4}, {2, 1, 4}, {2, 5, 4}});
  const Tensor<T> out = concat(parts.views, 1);
  std::int64_t start = 0;
  for (const Tensor<T>& part : parts.tensors) {
    EXPECT_TRUE(same_bits<T>(out.view().slice(1, start, part.size(1)), part));
    start += part.size(1);
  }
}

TYPED_TEST(Concat, AnyStridesAndAnyBits) {
  using T = TypeParam;
  Draws draws(7);
  const auto any = [&] {
    return draws.one_of({Arrangement::dense, Arrangement::heads_inside, Arrangement::packed,
                         Arrangement::permuted, Arrangement::reversed, Arrangement::misaligned});
  };
  for (int run = 0; run < 60; ++run) {
    std::vector<StridedBuffer<T>> buffers;
    for (const Shape& shape : {Shape{2, 3, 9}, Shape{2, 4, 9}, Shape{2, 1, 9}}) {
      const Arrangement arrangement = draws.chance(0.2) ? Arrangement::repeated : any();
      buffers.emplace_back(shape, arrangement, draws, element_cast<T>(7));
      const TensorView<T> view = buffers.back().view();
      for_each_offset(
          shape,
          [&](std::int64_t n) {
            view.data()[n] = element_cast<T>(draws.chance(0.1) ? std::nan("") : draws.normal());
          },
          view.strides());
    }
    std::vector<TensorView<const T>> views;
    std::vector<Tensor<T>> copies;
    for (StridedBuffer<T>& buffer : buffers) {
      views.push_back(buffer.view());
      copies.push_back(Tensor<T>::copy_of(buffer.view()));
    }
    const std::vector<TensorView<const T>> dense(copies.begin(), copies.end());
    StridedBuffer<T> out({2, 8, 9}, any(), draws, element_cast<T>(7));
    concat_into(out.view(), views, 1);
    EXPECT_TRUE(same_bits<T>(out.view(), concat(dense, 1)));
    EXPECT_TRUE(out.is_untouched_outside());
  }
}

TEST(ConcatErrors, NameTheFunctionTheRuleAndWhatWasFound) {
  Tensor<float> a({2, 3});
  const Tensor<float> b({2, 4});
  const Tensor<float> flat({2});
  const auto refused = [](const std::vector<TensorView<const float>>& parts, int dim) {
    return message_of([&] { concat(parts, dim); });
  };
  EXPECT_EQ(refused({}, 0), "concat: there must be one part or more; found none");
  EXPECT_EQ(refused({a, b}, 2),
            "concat: dim must name a dimension of the parts; found dim 2, part 0 (2, 3)");
  EXPECT_NE(refused({a, b}, -3), "no error");
  EXPECT_EQ(refused({a, b}, 0),
            "concat: the parts must have one shape but for the extent of dim; found dim 0, part 0 "
            "(2, 3), part 1 (2, 4)");
  EXPECT_EQ(refused({a, a, flat}, -1),
            "concat: the parts must have one shape but for the extent of dim; found dim -1, part 0 "
            "(2, 3), part 2 (2,)");
  EXPECT_EQ(refused({a, TensorView<const float>(nullptr, {2, 3})}, 0),
            "concat: part 1 must be given; found a null view of shape (2, 3)");
  const Tensor<float> scalar(Shape{});
  EXPECT_NE(refused({scalar}, 0), "no error");

  const std::vector<TensorView<const float>> parts = {a, b};
  Tensor<float> out({2, 7});
  EXPECT_EQ(message_of([&] { concat_into(out.view().slice(1, 0, 6), parts, 1); }),
            "concat_into: out must have the shape (2, 7); found (2, 6)");
  EXPECT_EQ(
      message_of([&] { concat_into(out.view().slice(0, 0, 1).broadcast_to({2, 7}), parts, 1); }),
      "concat_into: out must not overlap itself; found shape (2, 7), strides (0, 1)");
  const std::vector<TensorView<const float>> itself = {b, a};
  EXPECT_EQ(message_of([&] {
              concat_into(TensorView<float>(a.data(), Layout{.shape = {2, 7}, .strides = {7, 1}}),
                          itself, 1);
            }),
            "concat_into: out must not overlap a part; found views that share memory: out, part 1");
  EXPECT_EQ(message_of([&] { concat(std::span(parts), 1, {.path = Path::fused}); }),
            "concat: the path must serve the element type; for float32 there are: reference; found "
            "fused");
}

}  // namespace
}  // namespace attention::tests
