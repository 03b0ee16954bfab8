#include <cmath>
#include <cstdint>
#include <limits>

#include <gtest/gtest.h>

#include <attention/core/half.hpp>

namespace attention {
namespace {

TEST(Float16, EveryValueSurvivesTheWayThroughFloat) {
  for (std::uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const auto half = float16::from_bits(static_cast<std::uint16_t>(bits));
    const auto value = static_cast<float>(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(static_cast<float>(float16(value))));
    } else {
      EXPECT_EQ(float16(value).bits, half.bits) << bits;
    }
  }
}

TEST(Float16, KnownValues) {
  EXPECT_EQ(static_cast<float>(float16::from_bits(0x3C00)), 1.0F);
  EXPECT_EQ(static_cast<float>(float16::from_bits(0xC000)), -2.0F);
  EXPECT_EQ(static_cast<float>(float16::from_bits(0x7BFF)), 65504.0F);
  EXPECT_EQ(static_cast<float>(float16::from_bits(0x0001)), 0x1p-24F);
  EXPECT_EQ(static_cast<float>(float16::from_bits(0x03FF)), 1023 * 0x1p-24F);
  EXPECT_EQ(static_cast<float>(float16::from_bits(0x7C00)), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::signbit(static_cast<float>(float16::from_bits(0x8000))));
}

/// Every float between two neighbours rounds to the nearer, and the middle to the even one.
TEST(Float16, RoundsToNearestTiesToEven) {
  for (std::uint16_t bits = 0; bits < 0x7BFF; ++bits) {
    const auto low = static_cast<float>(float16::from_bits(bits));
    const auto high = static_cast<float>(float16::from_bits(static_cast<std::uint16_t>(bits + 1)));
    const float middle = low + (high - low) / 2;
    const auto even = static_cast<std::uint16_t>(bits + (bits & 1U));
    ASSERT_EQ(float16(middle).bits, even) << bits;
    ASSERT_EQ(float16(std::nextafter(middle, 0.0F)).bits, bits) << bits;
    ASSERT_EQ(float16(std::nextafter(middle, high)).bits, bits + 1) << bits;
  }
  EXPECT_EQ(float16(65519.996F).bits, 0x7BFF);
  EXPECT_EQ(float16(65520.0F).bits, 0x7C00);  // the middle to 2^16: infinity is the even one
  EXPECT_EQ(float16(1e30F).bits, 0x7C00);
  EXPECT_EQ(float16(-std::numeric_limits<float>::infinity()).bits, 0xFC00);
  EXPECT_EQ(float16(0x1p-25F).bits, 0);  // the middle to the smallest subnormal: 0 is the even one
  EXPECT_EQ(float16(std::nextafter(0x1p-25F, 1.0F)).bits, 1);
  EXPECT_EQ(float16(0x1p-30F).bits, 0);
}

TEST(BFloat16, EveryValueSurvivesTheWayThroughFloat) {
  for (std::uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const auto half = bfloat16::from_bits(static_cast<std::uint16_t>(bits));
    const auto value = static_cast<float>(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(static_cast<float>(bfloat16(value))));
    } else {
      EXPECT_EQ(bfloat16(value).bits, half.bits) << bits;
    }
  }
}

TEST(BFloat16, RoundsToNearestTiesToEven) {
  EXPECT_EQ(bfloat16(1.0F).bits, 0x3F80);
  EXPECT_EQ(bfloat16(std::bit_cast<float>(0x3F808000U)).bits, 0x3F80);
  EXPECT_EQ(bfloat16(std::bit_cast<float>(0x3F808001U)).bits, 0x3F81);
  EXPECT_EQ(bfloat16(std::bit_cast<float>(0x3F818000U)).bits, 0x3F82);
  EXPECT_EQ(bfloat16(std::numeric_limits<float>::max()).bits, 0x7F80);
  // A NaN whose payload lies in the lower half alone must not become an infinity.
  EXPECT_TRUE(std::isnan(static_cast<float>(bfloat16(std::bit_cast<float>(0x7F800001U)))));
}

}  // namespace
}  // namespace attention
