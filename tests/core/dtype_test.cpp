#include <cstdint>

#include <gtest/gtest.h>

#include <attention/core/dtype.hpp>

namespace attention {
namespace {

TEST(DType, VisitNameSizeAndTypeAgree) {
  for (int value = 0; value <= static_cast<int>(DType::uint64); ++value) {
    const auto dtype = static_cast<DType>(value);
    visit(dtype, [&]<class T>() {
      EXPECT_EQ(kDTypeOf<T>, dtype);
      EXPECT_EQ(size_of(dtype), sizeof(T));
    });
    EXPECT_NE(name_of(dtype), "unknown");
  }
  EXPECT_EQ(name_of(DType::boolean), "bool");
  EXPECT_TRUE(is_floating(DType::bfloat16));
  EXPECT_FALSE(is_floating(DType::boolean));
}

TEST(ElementCast, ConvertsThroughFloatAndToBool) {
  EXPECT_EQ(element_cast<float>(float16(1.5F)), 1.5F);
  EXPECT_EQ(element_cast<double>(bfloat16(-2.0F)), -2.0);
  EXPECT_EQ(element_cast<float16>(0.5).bits, float16(0.5F).bits);
  EXPECT_EQ(element_cast<bfloat16>(float16(0.25F)).bits, bfloat16(0.25F).bits);
  EXPECT_TRUE(element_cast<bool>(0.25));
  EXPECT_TRUE(element_cast<bool>(std::int64_t{1} << 40));
  EXPECT_FALSE(element_cast<bool>(-0.0F));
  EXPECT_EQ(element_cast<std::int64_t>(-2.75), -2);
}

}  // namespace
}  // namespace attention
