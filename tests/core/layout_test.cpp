#include <algorithm>
#include <iterator>
#include <numeric>
#include <set>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/error.hpp>
#include <attention/core/layout.hpp>
#include <attention/core/tensor.hpp>

#include "tests/support/message_of.hpp"

namespace attention {
namespace {

using test::message_of;

Layout dense(const Shape& shape) {
  return {.shape = shape, .strides = row_major_strides(shape)};
}

TEST(Dims, PrintsAsNumPyDoes) {
  EXPECT_EQ(to_string(Dims{}), "()");
  EXPECT_EQ(to_string(Dims{3}), "(3,)");
  EXPECT_EQ(to_string(Dims{2, -4, 8}), "(2, -4, 8)");
}

TEST(Dims, InsertsErasesAndCompares) {
  Dims dims = {2, 3};
  dims.insert(1, 7);
  EXPECT_EQ(dims, (Dims{2, 7, 3}));
  dims.erase(0);
  EXPECT_EQ(dims, (Dims{7, 3}));
  dims.push_back(1);
  EXPECT_EQ(dims, (Dims{7, 3, 1}));
  EXPECT_NE(dims, (Dims{7, 3}));
  Dims full = {1, 1, 1, 1, 1, 1};
  EXPECT_THAT(message_of([&] { full.push_back(1); }), testing::HasSubstr("at most 6 dimensions"));
  EXPECT_THAT(message_of([] { Dims({1, 1, 1, 1, 1, 1, 1}); }),
              testing::HasSubstr("at most 6 dimensions"));
}

TEST(ElementCount, ChecksSignsAndOverflow) {
  EXPECT_EQ(element_count({}), 1);
  EXPECT_EQ(element_count({2, 3, 4}), 24);
  EXPECT_EQ(element_count({std::int64_t{1} << 62, 0, 8}), 0);
  EXPECT_THAT(message_of([] { element_count({2, -1}); }),
              testing::HasSubstr("must not be negative; found (2, -1)"));
  EXPECT_THAT(message_of([] { element_count({std::int64_t{1} << 32, std::int64_t{1} << 31}); }),
              testing::HasSubstr("must fit in 63 bits"));
}

TEST(Layout, KnowsContiguityAndExtent) {
  EXPECT_TRUE(dense({2, 3, 4}).is_contiguous());
  EXPECT_TRUE((Layout{.shape = {2, 1, 4}, .strides = {4, 99, 1}}.is_contiguous()));
  EXPECT_TRUE((Layout{.shape = {2, 0}, .strides = {7, 7}}.is_contiguous()));
  EXPECT_FALSE(transpose(dense({2, 3}), 0, 1).is_contiguous());
  const Layout reversed = reverse(dense({2, 3}), 1).layout;
  EXPECT_EQ(reversed.extent().lowest, -2);
  EXPECT_EQ(reversed.extent().highest, 3);
  EXPECT_EQ(dense({2, 0}).extent().highest, -1);
}

TEST(Layout, KnowsWhenItOverlapsItself) {
  EXPECT_FALSE(dense({2, 3}).overlaps_itself());
  EXPECT_FALSE(transpose(dense({2, 3}), 0, 1).overlaps_itself());
  EXPECT_FALSE(reverse(dense({2, 3}), 0).layout.overlaps_itself());
  EXPECT_FALSE(slice(dense({4, 8}), 1, 2, 3).layout.overlaps_itself());
  EXPECT_TRUE(broadcast_to(dense({3}), {2, 3}).overlaps_itself());
  EXPECT_FALSE(broadcast_to(dense({3}), {1, 3}).overlaps_itself());
  EXPECT_FALSE(broadcast_to(dense({3}), {0, 3}).overlaps_itself());
  EXPECT_TRUE((Layout{.shape = {3, 3}, .strides = {2, 1}}.overlaps_itself()));  // sliding windows
}

TEST(Views, AddressTheElementsTheyNameInRowMajorOrder) {
  std::vector<float> memory(24);
  std::iota(memory.begin(), memory.end(), 0.0F);
  const TensorView<const float> view(memory.data(), {2, 3, 4});
  const auto elements = [](const TensorView<const float>& v) {
    const Tensor<float> copy = Tensor<float>::copy_of(v);
    return std::vector<float>(copy.values().begin(), copy.values().end());
  };
  using testing::ElementsAre;
  EXPECT_THAT(elements(view.select(0, 1).select(0, 2)), ElementsAre(20, 21, 22, 23));
  EXPECT_THAT(elements(view.select(2, 3)), ElementsAre(3, 7, 11, 15, 19, 23));
  EXPECT_THAT(elements(view.select(-1, 3)), ElementsAre(3, 7, 11, 15, 19, 23));
  EXPECT_THAT(elements(view.slice(1, 1, 2).select(0, 0).slice(1, 0, 1)), ElementsAre(4, 8));
  EXPECT_THAT(elements(view.select(0, 0).select(0, 0).reverse(0)), ElementsAre(3, 2, 1, 0));
  EXPECT_THAT(elements(view.permute({2, 0, 1}).select(0, 0)), ElementsAre(0, 4, 8, 12, 16, 20));
  EXPECT_THAT(elements(view.select(0, 0).transpose(0, 1).select(0, 1)), ElementsAre(1, 5, 9));
  EXPECT_THAT(elements(view.split(2, 2).select(2, 1).select(0, 0)),
              ElementsAre(2, 3, 6, 7, 10, 11));
  EXPECT_THAT(elements(view.select(0, 0).select(0, 0).unsqueeze(0).broadcast_to({2, 4})),
              ElementsAre(0, 1, 2, 3, 0, 1, 2, 3));
  EXPECT_THAT(elements(view.merge(1).select(0, 1).slice(0, 4, 2)), ElementsAre(16, 17));
  EXPECT_THAT(elements(view.split(2, 2).merge(-2).select(0, 0).select(0, 1)),
              ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(elements(view.slice(1, 1, 1).merge(0).select(1, 3)), ElementsAre(7, 19));
  EXPECT_THAT(elements(view.slice(2, 3, 1).merge(1).select(0, 0)), ElementsAre(3, 7, 11));
  EXPECT_EQ(view.unsqueeze(3).shape(), (Shape{2, 3, 4, 1}));
  EXPECT_EQ(view(1, 2, 3), 23.0F);
}

TEST(Views, SayWhatIsWrong) {
  const Layout layout = dense({2, 3});
  using testing::HasSubstr;
  EXPECT_THAT(message_of([&] { select(layout, 2, 0); }),
              HasSubstr("dim must name a dimension of the tensor; found dim 2, shape (2, 3)"));
  EXPECT_THAT(message_of([&] { select(layout, 0, 2); }),
              HasSubstr("index 2 of dimension 0, shape (2, 3)"));
  EXPECT_THAT(message_of([&] { select(layout, 0, -1); }), HasSubstr("index -1"));
  EXPECT_THAT(message_of([&] { slice(layout, 1, 2, 2); }),
              HasSubstr("start 2, count 2 of dimension 1, shape (2, 3)"));
  EXPECT_THAT(message_of([&] { slice(layout, 1, 0, -1); }), HasSubstr("count -1"));
  EXPECT_THAT(message_of([&] { permute(layout, {0, 0}); }),
              HasSubstr("order (0, 0), shape (2, 3)"));
  EXPECT_THAT(message_of([&] { permute(layout, {0}); }), HasSubstr("order (0,)"));
  EXPECT_THAT(message_of([&] { permute(layout, {0, 2}); }), HasSubstr("order (0, 2)"));
  EXPECT_THAT(message_of([&] { unsqueeze(layout, 3); }), HasSubstr("dim 3, shape (2, 3)"));
  EXPECT_THAT(message_of([&] { split(layout, 1, 2); }),
              HasSubstr("outer 2, dimension 1 of (2, 3)"));
  EXPECT_THAT(message_of([&] { split(layout, 1, 0); }), HasSubstr("outer 0"));
  EXPECT_THAT(message_of([&] { merge(layout, 1); }), HasSubstr("dim 2, shape (2, 3)"));
  EXPECT_THAT(message_of([&] { merge(transpose(layout, 0, 1), 0); }),
              HasSubstr("dimensions 0 and 1 of shape (3, 2), strides (1, 3)"));
  EXPECT_THAT(message_of([&] { broadcast_to(layout, {2, 4}); }), HasSubstr("(2, 3) to (2, 4)"));
  EXPECT_THAT(message_of([&] { broadcast_to(layout, {3}); }), HasSubstr("(2, 3) to (3,)"));
}

/// Against the truth: the sets of bytes that two layouts touch. may_overlap may err to true, never
/// to false, and must tell the slices of a packed buffer apart.
TEST(MayOverlap, NeverMissesAnOverlap) {
  std::vector<float> memory(200);
  const auto touched = [](const Layout& layout, std::int64_t base) {
    std::set<std::int64_t> offsets;
    for_each_offset(
        layout.shape, [&](std::int64_t offset) { offsets.insert(base + offset); }, layout.strides);
    return offsets;
  };
  const std::vector<Layout> layouts = {
      dense({2, 3}),
      dense({7}),
      {.shape = {3, 2}, .strides = {6, 1}},
      {.shape = {3, 2}, .strides = {12, 2}},
      {.shape = {2, 3, 2}, .strides = {18, 6, 1}},
      {.shape = {2, 2, 2}, .strides = {16, 4, 1}},
      {.shape = {5}, .strides = {-3}},
      {.shape = {2, 0}, .strides = {1, 1}},
  };
  int apart = 0;
  for (const Layout& a : layouts) {
    for (const Layout& b : layouts) {
      for (std::int64_t gap = -25; gap <= 25; ++gap) {
        const std::int64_t base_a = 100;
        const std::int64_t base_b = 100 + gap;
        std::vector<std::int64_t> shared;
        const auto set_a = touched(a, base_a);
        const auto set_b = touched(b, base_b);
        std::ranges::set_intersection(set_a, set_b, std::back_inserter(shared));
        const bool may = may_overlap({memory.data() + base_a, a, sizeof(float)},
                                     {memory.data() + base_b, b, sizeof(float)});
        ASSERT_TRUE(may || shared.empty())
            << to_string(a.strides) << " " << to_string(b.strides) << " gap " << gap;
        apart += may ? 0 : 1;
      }
    }
  }
  EXPECT_GT(apart, 500);
}

TEST(MayOverlap, TellsTheSlotsOfAPackedBufferApart) {
  Tensor<float> packed({2, 5, 4, 3, 8});  // (B, L, slot, H, D)
  const auto slot = [&](std::int64_t n) { return packed.view().select(2, n).transpose(1, 2); };
  for (std::int64_t a = 0; a < 4; ++a) {
    for (std::int64_t b = 0; b < 4; ++b) {
      EXPECT_EQ(
          may_overlap({slot(a).data(), slot(a).layout(), 4}, {slot(b).data(), slot(b).layout(), 4}),
          a == b);
    }
  }
}

}  // namespace
}  // namespace attention
