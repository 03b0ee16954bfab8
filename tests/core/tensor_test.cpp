#include <cstdint>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/error.hpp>
#include <attention/core/tensor.hpp>

namespace attention {
namespace {

TEST(Tensor, StartsAsZerosAlignedTo64Bytes) {
  const Tensor<float> tensor({3, 5});
  EXPECT_THAT(tensor.values(), testing::Each(0.0F));
  EXPECT_EQ(tensor.values().size(), 15U);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.data()) % 64, 0U);
  EXPECT_FALSE(tensor.is_null());
}

TEST(Tensor, CopiesDeepAndMovesAway) {
  Tensor<std::int32_t> a({2}, {1, 2});
  Tensor<std::int32_t> b = a;
  b(0) = 7;
  EXPECT_EQ(a(0), 1);
  const Tensor<std::int32_t> c = std::move(a);
  EXPECT_EQ(c(1), 2);
  EXPECT_TRUE(
      a.is_null());  // NOLINT(bugprone-use-after-move): what is left is part of the contract
  b = c;
  EXPECT_EQ(b(0), 1);
  const Tensor<std::int32_t> null;
  const Tensor<std::int32_t> copy = null;  // NOLINT(performance-unnecessary-copy-initialization)
  EXPECT_TRUE(copy.is_null());
}

TEST(Tensor, HasScalarsAndEmptyTensors) {
  const Tensor<double> scalar(Shape{}, {3.5});
  EXPECT_EQ(scalar.element_count(), 1);
  EXPECT_EQ(scalar(), 3.5);
  EXPECT_FALSE(scalar.is_null());
  const Tensor<double> empty({4, 0});
  EXPECT_EQ(empty.element_count(), 0);
  EXPECT_FALSE(empty.is_null());
}

TEST(Tensor, RefusesTheWrongNumberOfValuesAndImpossibleSizes) {
  EXPECT_THROW(Tensor<float>({2}, {1.0F}), Error);
  EXPECT_THROW(Tensor<float>({-1}), Error);
  EXPECT_THROW(Tensor<double>({std::int64_t{1} << 61}),
               Error);  // the count fits in 63 bits, the bytes do not
}

TEST(AnyView, KnowsItsElementTypeAndConvertsWhileLoading) {
  const Tensor<float16> tensor({2, 2},
                               {float16(1.0F), float16(2.0F), float16(3.0F), float16(4.0F)});
  const AnyView any = tensor;
  EXPECT_EQ(any.dtype(), DType::float16);
  EXPECT_EQ(any.load<double>(3), 4.0);
  EXPECT_EQ(static_cast<float>(any.as<float16>()(1, 0)), 3.0F);
  EXPECT_THROW(any.as<float>(), Error);
  EXPECT_TRUE(AnyView().is_null());
}

TEST(AnyTensor, KeepsItsElementsAliveWhenCopied) {
  AnyTensor copy;
  {
    const AnyTensor original = Tensor<std::int64_t>({3}, {1, 2, 3});
    copy = original;
  }
  EXPECT_EQ(copy.as<std::int64_t>()(2), 3);
  EXPECT_EQ(copy.dtype(), DType::int64);
}

TEST(Converted, FollowsStridesAndConverts) {
  const Tensor<std::uint8_t> bytes({2, 3}, {0, 1, 2, 3, 4, 5});
  const Tensor<float> transposed = converted<float>(bytes.view().transpose(0, 1));
  EXPECT_EQ(transposed.shape(), (Shape{3, 2}));
  EXPECT_THAT(transposed.values(), testing::ElementsAre(0, 3, 1, 4, 2, 5));
}

TEST(ForEachOffset, WalksInRowMajorOrderUnderSeveralStrides) {
  std::vector<std::pair<std::int64_t, std::int64_t>> seen;
  for_each_offset(
      {2, 2}, [&](std::int64_t a, std::int64_t b) { seen.emplace_back(a, b); }, Strides{10, 1},
      Strides{1, -5});
  EXPECT_THAT(seen, testing::ElementsAre(std::pair(0, 0), std::pair(1, -5), std::pair(10, 1),
                                         std::pair(11, -4)));
  int calls = 0;
  for_each_offset({}, [&] { ++calls; });
  EXPECT_EQ(calls, 1);
  for_each_offset({3, 0}, [&] { ++calls; });
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace attention
