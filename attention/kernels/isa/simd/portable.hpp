#pragma once

#include <cstdint>

/// The vector vocabulary in the compiler's own vectors of four floats: any machine. See simd.hpp
/// for what each word means.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

inline constexpr int kLanes = 4;
inline constexpr bool kFmaRoundsOnce = false;

using Vec = float __attribute__((vector_size(16)));
using Mask = std::int32_t __attribute__((vector_size(16)));
using Bits = std::uint32_t __attribute__((vector_size(16)));

ATTENTION_INLINE Vec set1(float x) {
  return Vec{x, x, x, x};
}
ATTENTION_INLINE Vec zero() {
  return set1(0.0F);
}
ATTENTION_INLINE Vec load(const float* p) {
  Vec x;
  __builtin_memcpy(&x, p, sizeof(x));
  return x;
}
ATTENTION_INLINE void store(float* p, Vec x) {
  __builtin_memcpy(p, &x, sizeof(x));
}
ATTENTION_INLINE Vec add(Vec a, Vec b) {
  return a + b;
}
ATTENTION_INLINE Vec sub(Vec a, Vec b) {
  return a - b;
}
ATTENTION_INLINE Vec mul(Vec a, Vec b) {
  return a * b;
}
ATTENTION_INLINE Vec div(Vec a, Vec b) {
  return a / b;
}
ATTENTION_INLINE Vec fma(Vec a, Vec b, Vec c) {
  return a * b + c;  // two roundings: not every machine has one instruction for it
}

ATTENTION_INLINE Mask mask_of(std::uint32_t bits) {
  const auto n = static_cast<std::int32_t>(bits);
  return (Mask{n, n, n, n} & Mask{1, 2, 4, 8}) != Mask{0, 0, 0, 0};
}
ATTENTION_INLINE std::uint32_t bits_of(Mask mask) {
  const Mask bits = mask & Mask{1, 2, 4, 8};
  return static_cast<std::uint32_t>(bits[0] | bits[1] | bits[2] | bits[3]);
}
ATTENTION_INLINE Mask less(Vec a, Vec b) {
  return a < b;
}
ATTENTION_INLINE Mask equal(Vec a, Vec b) {
  return a == b;
}
ATTENTION_INLINE Vec select(Mask mask, Vec a, Vec b) {
  return reinterpret_cast<Vec>((mask & reinterpret_cast<Mask>(a)) |
                               (~mask & reinterpret_cast<Mask>(b)));
}
ATTENTION_INLINE Vec max(Vec a, Vec b) {
  return select(a > b, a, b);
}
ATTENTION_INLINE Vec abs(Vec x) {
  return reinterpret_cast<Vec>(reinterpret_cast<Bits>(x) & 0x7FFFFFFFU);
}

/// Below -127 every power counts as 2^-127, which times_exp2_floor makes 0.
ATTENTION_INLINE Vec at_least_minus_127(Vec x) {
  return max(set1(-127.0F), x);
}
/// For -127 <= x < 2^22: adding and taking away 1.5 * 2^23 rounds to an integer.
ATTENTION_INLINE Vec floor_of(Vec x) {
  const Vec magic = set1(12582912.0F);
  const Vec nearest = (x + magic) - magic;
  return nearest - select(x < nearest, set1(1.0F), zero());
}
ATTENTION_INLINE Vec fraction(Vec x) {
  const Vec clamped = at_least_minus_127(x);
  return clamped - floor_of(clamped);
}
/// 2^n by its exponent bits; those of -127 are those of 0.
ATTENTION_INLINE Vec times_exp2_floor(Vec a, Vec x) {
  // The low bits of 1.5 * 2^23 + 127 + n are n + 127.
  const Vec shifted = floor_of(at_least_minus_127(x)) + set1(12582912.0F + 127.0F);
  return a * reinterpret_cast<Vec>(reinterpret_cast<Bits>(shifted) << 23);
}

ATTENTION_INLINE Vec load_converted(const float* p) {
  return load(p);
}
ATTENTION_INLINE Vec load_converted(const Bfloat16* p) {
  const Bits bits = {p[0].bits, p[1].bits, p[2].bits, p[3].bits};
  return reinterpret_cast<Vec>(bits << 16);
}
/// The exponent's bias goes from 15 to 127 by a multiplication, which also makes subnormals right;
/// infinities and NaN get the largest exponent.
ATTENTION_INLINE Vec load_converted(const Float16* p) {
  const Bits bits = {p[0].bits, p[1].bits, p[2].bits, p[3].bits};
  const Bits magnitude = (bits & 0x7FFFU) << 13;
  const Vec finite = reinterpret_cast<Vec>(magnitude) * 0x1p112F;
  const Bits special = magnitude | 0x7F800000U;
  const Mask is_special = reinterpret_cast<Mask>(magnitude) >= 0x0F800000;
  const Vec result = select(is_special, reinterpret_cast<Vec>(special), finite);
  return reinterpret_cast<Vec>(reinterpret_cast<Bits>(result) | ((bits & 0x8000U) << 16));
}

ATTENTION_INLINE void store_converted(float* p, Vec x) {
  store(p, x);
}
/// Rounds to nearest, ties to even; NaN stays NaN.
ATTENTION_INLINE void store_converted(Bfloat16* p, Vec x) {
  const Bits bits = reinterpret_cast<Bits>(x);
  const Bits rounded = bits + (((bits >> 16) & 1U) + 0x7FFFU);
  const Vec chosen =
      select(x == x, reinterpret_cast<Vec>(rounded), reinterpret_cast<Vec>(bits | 0x00400000U));
  const Bits high = reinterpret_cast<Bits>(chosen) >> 16;
  for (int i = 0; i < kLanes; ++i) {
    p[i].bits = static_cast<std::uint16_t>(high[i]);
  }
}
/// Rounds to nearest, ties to even; NaN stays NaN.
ATTENTION_INLINE void store_converted(Float16* p, Vec x) {
  for (int i = 0; i < kLanes; ++i) {
    const float value = x[i];
    std::uint32_t bits = 0;
    __builtin_memcpy(&bits, &value, sizeof(bits));
    const std::uint32_t sign = (bits >> 16) & 0x8000U;
    const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
    std::uint32_t half = 0;
    if (magnitude > 0x7F800000U) {
      half = 0x7E00U | ((magnitude >> 13) & 0x3FFU);
    } else if (magnitude >= 0x477FF000U) {  // 65520 and up round to infinity
      half = 0x7C00U;
    } else if (magnitude < 0x38800000U) {  // below 2^-14: in units of 2^-24
      float number = 0;
      __builtin_memcpy(&number, &magnitude, sizeof(number));
      const float shifted = number + 0.5F;  // the last place of 0.5 is 2^-24
      std::uint32_t shifted_bits = 0;
      __builtin_memcpy(&shifted_bits, &shifted, sizeof(shifted_bits));
      half = shifted_bits - 0x3F000000U;
    } else {
      half = (magnitude + 0x0FFFU + ((magnitude >> 13) & 1U) - 0x38000000U) >> 13;
    }
    p[i].bits = static_cast<std::uint16_t>(sign | half);
  }
}

ATTENTION_INLINE void transpose(Vec (&r)[kLanes]) {
  const Vec a = {r[0][0], r[1][0], r[2][0], r[3][0]};
  const Vec b = {r[0][1], r[1][1], r[2][1], r[3][1]};
  const Vec c = {r[0][2], r[1][2], r[2][2], r[3][2]};
  const Vec d = {r[0][3], r[1][3], r[2][3], r[3][3]};
  r[0] = a;
  r[1] = b;
  r[2] = c;
  r[3] = d;
}

using Words = Bits;
struct WordProducts {
  Words high;
  Words low;
};
ATTENTION_INLINE Words load_words(const std::uint32_t* p) {
  return Words{p[0], p[1], p[2], p[3]};
}
ATTENTION_INLINE Words set1_words(std::uint32_t x) {
  return Words{x, x, x, x};
}
ATTENTION_INLINE WordProducts products(Words a, Words b) {
  WordProducts result = {};
#pragma GCC unroll 4
  for (int i = 0; i < kLanes; ++i) {
    const std::uint64_t product = std::uint64_t{a[i]} * b[i];
    result.high[i] = static_cast<std::uint32_t>(product >> 32);
    result.low[i] = static_cast<std::uint32_t>(product);
  }
  return result;
}
ATTENTION_INLINE Words exclusive_or(Words a, Words b, Words c) {
  return a ^ b ^ c;
}
ATTENTION_INLINE Mask less(Words a, Words b) {
  return a < b;
}

/// kLanes / 2 doubles.
using Wide __attribute__((vector_size(16))) = double;
ATTENTION_INLINE Wide widened(const float* p) {
  return Wide{static_cast<double>(p[0]), static_cast<double>(p[1])};
}
ATTENTION_INLINE Wide load_wide(const double* p) {
  return Wide{p[0], p[1]};
}
ATTENTION_INLINE Wide fma(Wide a, Wide b, Wide c) {
  return a * b + c;
}
ATTENTION_INLINE void store_rounded(float* p, Wide x) {
  p[0] = static_cast<float>(x[0]);
  p[1] = static_cast<float>(x[1]);
}
ATTENTION_INLINE Wide sums_of_lanes(const Wide (&x)[2]) {
  return Wide{x[0][0] + x[0][1], x[1][0] + x[1][1]};
}

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA

#include <attention/kernels/isa/simd/derived.hpp>
