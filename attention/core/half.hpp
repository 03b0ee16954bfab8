#pragma once

#include <bit>
#include <cstdint>

#include <attention/core/export.hpp>

namespace attention {

/// IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits. A storage type: convert to float to
/// compute.
struct ATTENTION_API float16 {
  std::uint16_t bits = 0;

  float16() = default;
  /// Rounds to nearest, ties to even; overflows to infinity; keeps NaN.
  explicit float16(float value) noexcept;
  /// Exact.
  explicit operator float() const noexcept;

  static constexpr float16 from_bits(std::uint16_t bits) noexcept {
    float16 result;
    result.bits = bits;
    return result;
  }
};

/// bfloat16: the upper half of a float. A storage type: convert to float to compute.
struct ATTENTION_API bfloat16 {
  std::uint16_t bits = 0;

  bfloat16() = default;
  /// Rounds to nearest, ties to even; keeps NaN.
  explicit bfloat16(float value) noexcept;
  /// Exact.
  explicit operator float() const noexcept {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }

  static constexpr bfloat16 from_bits(std::uint16_t bits) noexcept {
    bfloat16 result;
    result.bits = bits;
    return result;
  }
};

}  // namespace attention
