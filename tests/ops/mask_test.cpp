#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/error.hpp>
#include <attention/ops/mask.hpp>

namespace attention {
namespace {

TEST(Mask, OfAKindKnownAtRunTime) {
  const Tensor<bool> bools({2, 3});
  const Tensor<bfloat16> numbers({2, 3});
  EXPECT_EQ(Mask::of(MaskKind::none, {}).kind(), MaskKind::none);
  EXPECT_EQ(Mask::of(MaskKind::block, bools).kind(), MaskKind::block);
  EXPECT_EQ(Mask::of(MaskKind::add, numbers).view().data(), numbers.data());
}

TEST(Mask, OfAnElementTypeThatDoesNotFitTheKind) {
  const Tensor<bool> bools({2, 3});
  const Tensor<float> numbers({2, 3});
  for (const auto& [kind, view] :
       {std::pair(MaskKind::keep, AnyView(numbers)), std::pair(MaskKind::block, AnyView(numbers)),
        std::pair(MaskKind::add, AnyView(bools)), std::pair(MaskKind::none, AnyView(bools))}) {
    EXPECT_THROW(Mask::of(kind, view), Error);
  }
}

}  // namespace
}  // namespace attention
