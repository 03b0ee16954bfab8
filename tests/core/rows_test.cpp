#include <cstdint>

#include <gtest/gtest.h>

#include <attention/core/rows.hpp>
#include <attention/core/tensor.hpp>

namespace attention {
namespace {

/// Each row begins where the dimensions say, counted in row-major order.
void expect_rows(const Layout& layout) {
  SCOPED_TRACE(to_string(layout.shape) + " " + to_string(layout.strides));
  const RowLayout rows(layout);
  Shape outer = layout.shape;
  Strides strides = layout.strides;
  outer.erase(outer.rank() - 1);
  strides.erase(strides.rank() - 1);
  ASSERT_EQ(rows.count(), element_count(outer));
  std::int64_t row = 0;
  for_each_offset(
      outer, [&](std::int64_t offset) { EXPECT_EQ(rows.offset(row++), offset) << row; }, strides);
}

TEST(Rows, BeginWhereTheDimensionsSay) {
  const auto dense = [](const Shape& shape) {
    return Layout{.shape = shape, .strides = row_major_strides(shape)};
  };
  for (const Shape& shape : {Shape{5}, Shape{3, 5}, Shape{2, 3, 5}, Shape{2, 1, 3, 4, 1, 5},
                             Shape{0, 5}, Shape{2, 0, 5}, Shape{3, 2, 0}}) {
    expect_rows(dense(shape));
  }
  expect_rows(transpose(dense({2, 3, 5}), 0, 1));
  expect_rows(transpose(dense({2, 3, 5}), 1, 2));
  expect_rows(reverse(dense({2, 3, 5}), 0).layout);
  expect_rows(reverse(reverse(dense({2, 3, 5}), 0).layout, 1).layout);
  expect_rows(slice(dense({2, 4, 5}), 1, 1, 2).layout);
  expect_rows(slice(dense({2, 4, 5}), 0, 0, 1).layout);
  expect_rows(permute(dense({2, 3, 4, 5}), {2, 0, 1, 3}));
  expect_rows(permute(dense({2, 3, 4, 5}), {1, 2, 0, 3}));
  expect_rows(broadcast_to(dense({1, 3, 5}), {2, 3, 5}));
  expect_rows(broadcast_to(dense({2, 1, 5}), {2, 3, 5}));
}

TEST(Rows, OfATensor) {
  const Tensor<int32_t> tensor({2, 2, 3}, {0, 1, 2, 10, 11, 12, 20, 21, 22, 30, 31, 32});
  const RowsOf<const std::int32_t> rows(tensor.view().reverse(2));
  EXPECT_FALSE(rows.is_null());
  EXPECT_EQ(rows.count(), 4);
  EXPECT_EQ(rows.length(), 3);
  EXPECT_EQ(rows.stride(), -1);
  EXPECT_EQ(*rows.data(2), 22);
  EXPECT_EQ(rows[3].shape(), (Shape{3}));
  EXPECT_EQ(rows[3](1), 31);
}

TEST(Rows, OfElements) {
  const Tensor<std::int32_t> tensor({2, 2}, {1, 2, 3, 4});
  const auto rows = RowsOf<const std::int32_t>::elements(tensor.view().transpose(0, 1));
  EXPECT_EQ(rows.count(), 4);
  EXPECT_EQ(rows.length(), 1);
  EXPECT_EQ(*rows.data(1), 3);
  const Tensor<std::int32_t> one(Shape{}, {7});
  EXPECT_EQ(*RowsOf<const std::int32_t>::elements(one).data(0), 7);
  EXPECT_TRUE(RowsOf<const std::int32_t>::elements({}).is_null());
  EXPECT_TRUE(RowsOf<const std::int32_t>().is_null());
}

}  // namespace
}  // namespace attention
