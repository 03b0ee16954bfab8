#include <cmath>

#include <attention/core/half.hpp>

namespace attention {
namespace {

/// value >> shift, rounded to nearest, ties to even.
std::uint32_t shift_right_rounded(std::uint32_t value, int shift) {
  const std::uint32_t kept = value >> shift;
  const std::uint32_t rest = value & ((1U << shift) - 1U);
  const std::uint32_t half = 1U << (shift - 1);
  const bool up = rest > half || (rest == half && (kept & 1U) != 0);
  return kept + (up ? 1U : 0U);
}

}  // namespace

float16::float16(float value) noexcept {
  const auto word = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (word >> 16) & 0x8000U;
  const std::uint32_t magnitude = word & 0x7FFFFFFFU;
  std::uint32_t result = 0;
  if (magnitude > 0x7F800000U) {
    result =
        0x7E00U | ((magnitude >> 13) & 0x3FFU);  // NaN: made quiet, the payload's top bits kept
  } else if (magnitude >= 0x47800000U) {
    result = 0x7C00U;  // 2^16 and more: infinity
  } else if (magnitude >= 0x38800000U) {
    // Normal: the exponent's bias goes from 127 to 15. A carry out of the fraction runs into the
    // exponent, as it must.
    result = shift_right_rounded(magnitude - (112U << 23), 13);
  } else if (magnitude >= 0x33000000U) {
    // Subnormal: the fraction with its hidden bit, in units of 2^-24.
    const int exponent = static_cast<int>(magnitude >> 23);
    result = shift_right_rounded((magnitude & 0x7FFFFFU) | 0x800000U, 126 - exponent);
  }
  bits = static_cast<std::uint16_t>(sign | result);
}

float16::operator float() const noexcept {
  const std::uint32_t sign = (bits & 0x8000U) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1FU;
  const std::uint32_t fraction = bits & 0x3FFU;
  if (exponent == 0) {
    const float magnitude = std::ldexp(static_cast<float>(fraction), -24);
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t wide = exponent == 0x1FU ? 0xFFU : exponent + 112U;
  return std::bit_cast<float>(sign | (wide << 23) | (fraction << 13));
}

bfloat16::bfloat16(float value) noexcept {
  const auto word = std::bit_cast<std::uint32_t>(value);
  if ((word & 0x7FFFFFFFU) > 0x7F800000U) {
    bits = static_cast<std::uint16_t>((word >> 16) | 0x0040U);  // NaN: made quiet
  } else {
    bits = static_cast<std::uint16_t>((word + 0x7FFFU + ((word >> 16) & 1U)) >> 16);
  }
}

}  // namespace attention
