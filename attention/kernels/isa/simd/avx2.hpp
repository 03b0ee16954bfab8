#pragma once

#include <cstdint>

#include <immintrin.h>

/// The vector vocabulary on AVX2 with FMA and F16C. See simd.hpp for what each word means.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

inline constexpr int kLanes = 8;
inline constexpr bool kFmaRoundsOnce = true;

using Vec = __m256;
using Mask = __m256;

ATTENTION_INLINE Vec zero() {
  return _mm256_setzero_ps();
}
ATTENTION_INLINE Vec set1(float x) {
  return _mm256_set1_ps(x);
}
ATTENTION_INLINE Vec load(const float* p) {
  return _mm256_loadu_ps(p);
}
ATTENTION_INLINE void store(float* p, Vec x) {
  _mm256_storeu_ps(p, x);
}
ATTENTION_INLINE Vec add(Vec a, Vec b) {
  return _mm256_add_ps(a, b);
}
ATTENTION_INLINE Vec sub(Vec a, Vec b) {
  return _mm256_sub_ps(a, b);
}
ATTENTION_INLINE Vec mul(Vec a, Vec b) {
  return _mm256_mul_ps(a, b);
}
ATTENTION_INLINE Vec div(Vec a, Vec b) {
  return _mm256_div_ps(a, b);
}
ATTENTION_INLINE Vec fma(Vec a, Vec b, Vec c) {
  return _mm256_fmadd_ps(a, b, c);
}
ATTENTION_INLINE Vec max(Vec a, Vec b) {
  return _mm256_max_ps(a, b);
}
ATTENTION_INLINE Vec abs(Vec x) {
  return _mm256_andnot_ps(_mm256_set1_ps(-0.0F), x);
}

ATTENTION_INLINE Mask mask_of(std::uint32_t bits) {
  const __m256i lane_bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const __m256i all = _mm256_set1_epi32(static_cast<int>(bits));
  return _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(all, lane_bit), lane_bit));
}
ATTENTION_INLINE std::uint32_t bits_of(Mask mask) {
  return static_cast<std::uint32_t>(_mm256_movemask_ps(mask));
}
ATTENTION_INLINE Mask less(Vec a, Vec b) {
  return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}
ATTENTION_INLINE Mask equal(Vec a, Vec b) {
  return _mm256_cmp_ps(a, b, _CMP_EQ_OQ);
}
ATTENTION_INLINE Vec select(Mask mask, Vec a, Vec b) {
  return _mm256_blendv_ps(b, a, mask);
}

/// Below -127 every power counts as 2^-127, which times_exp2_floor makes 0.
ATTENTION_INLINE Vec at_least_minus_127(Vec x) {
  return max(set1(-127.0F), x);
}
ATTENTION_INLINE Vec fraction(Vec x) {
  const Vec clamped = at_least_minus_127(x);
  return sub(clamped, _mm256_floor_ps(clamped));
}
/// 2^n by its exponent bits; those of -127 are those of 0. The low bits of 1.5 * 2^23 + 127 + n are
/// n + 127.
ATTENTION_INLINE Vec times_exp2_floor(Vec a, Vec x) {
  const Vec shifted = add(_mm256_floor_ps(at_least_minus_127(x)), set1(12582912.0F + 127.0F));
  return mul(a, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(shifted), 23)));
}

ATTENTION_INLINE Vec load_converted(const float* p) {
  return load(p);
}
ATTENTION_INLINE Vec load_converted(const Bfloat16* p) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
/// Two elements to a word: the even ones, then the odd ones.
ATTENTION_INLINE void load_pair(const Bfloat16* p, Vec (&x)[2]) {
  const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  x[0] = _mm256_castsi256_ps(_mm256_slli_epi32(words, 16));
  x[1] = _mm256_castsi256_ps(_mm256_and_si256(words, _mm256_set1_epi32(-0x10000)));
}
ATTENTION_INLINE void to_pair_order(const Bfloat16* /*type*/, Vec (&x)[2]) {
  const __m256d even = _mm256_castps_pd(_mm256_shuffle_ps(x[0], x[1], 0x88));
  const __m256d odd = _mm256_castps_pd(_mm256_shuffle_ps(x[0], x[1], 0xDD));
  x[0] = _mm256_castpd_ps(_mm256_permute4x64_pd(even, 0xD8));
  x[1] = _mm256_castpd_ps(_mm256_permute4x64_pd(odd, 0xD8));
}
ATTENTION_INLINE void from_pair_order(const Bfloat16* /*type*/, Vec (&x)[2]) {
  const __m256 low = _mm256_unpacklo_ps(x[0], x[1]);
  const __m256 high = _mm256_unpackhi_ps(x[0], x[1]);
  x[0] = _mm256_permute2f128_ps(low, high, 0x20);
  x[1] = _mm256_permute2f128_ps(low, high, 0x31);
}
ATTENTION_INLINE Vec load_converted(const Float16* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

ATTENTION_INLINE void store_converted(float* p, Vec x) {
  store(p, x);
}
/// Rounds to nearest, ties to even; NaN stays NaN.
ATTENTION_INLINE void store_converted(Bfloat16* p, Vec x) {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
  const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  const __m256i nan = _mm256_or_si256(bits, _mm256_set1_epi32(0x00400000));
  const __m256i high = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, nan, is_nan), 16);
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(high, high), 0x08);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(packed));
}
ATTENTION_INLINE void store_converted(Float16* p, Vec x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

ATTENTION_INLINE void transpose(Vec (&r)[kLanes]) {
  Vec t[kLanes];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    r[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
    r[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xEE);
    r[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
    r[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xEE);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
    t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
  }
#pragma GCC unroll 8
  for (int i = 0; i < kLanes; ++i) {
    r[i] = t[i];
  }
}

/// Pairs, pairs of pairs, halves.
ATTENTION_INLINE Vec sums_of_lanes(const Vec (&x)[kLanes]) {
  Vec t[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i] =
        add(_mm256_unpacklo_ps(x[2 * i], x[2 * i + 1]), _mm256_unpackhi_ps(x[2 * i], x[2 * i + 1]));
  }
  const Vec low = add(_mm256_shuffle_ps(t[0], t[1], 0x44), _mm256_shuffle_ps(t[0], t[1], 0xEE));
  const Vec high = add(_mm256_shuffle_ps(t[2], t[3], 0x44), _mm256_shuffle_ps(t[2], t[3], 0xEE));
  return add(_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31));
}

/// kLanes integers of 32 bits, each in the low half of 64 bits, where a multiplication finds it:
/// those of the even lanes, and those of the odd ones. The high halves are anything.
struct Words {
  __m256i even;
  __m256i odd;
};
struct WordProducts {
  Words high;
  Words low;
};
ATTENTION_INLINE Words load_words(const std::uint32_t* p) {
  const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return {.even = words, .odd = _mm256_srli_epi64(words, 32)};
}
ATTENTION_INLINE Words set1_words(std::uint32_t x) {
  const __m256i words = _mm256_set1_epi32(static_cast<int>(x));
  return {.even = words, .odd = words};
}
ATTENTION_INLINE WordProducts products(Words a, Words b) {
  const __m256i even = _mm256_mul_epu32(a.even, b.even);
  const __m256i odd = _mm256_mul_epu32(a.odd, b.odd);
  return {.high = {.even = _mm256_srli_epi64(even, 32), .odd = _mm256_srli_epi64(odd, 32)},
          .low = {.even = even, .odd = odd}};
}
ATTENTION_INLINE Words exclusive_or(Words a, Words b, Words c) {
  return {.even = _mm256_xor_si256(_mm256_xor_si256(a.even, b.even), c.even),
          .odd = _mm256_xor_si256(_mm256_xor_si256(a.odd, b.odd), c.odd)};
}
/// By lanes, moved by 2^31: the comparison that there is takes signed numbers.
ATTENTION_INLINE __m256i signed_lanes_of(Words x) {
  const __m256i lanes = _mm256_blend_epi32(x.even, _mm256_slli_epi64(x.odd, 32), 0xAA);
  return _mm256_xor_si256(lanes, _mm256_set1_epi32(static_cast<int>(0x80000000U)));
}
ATTENTION_INLINE Mask less(Words a, Words b) {
  return _mm256_castsi256_ps(_mm256_cmpgt_epi32(signed_lanes_of(b), signed_lanes_of(a)));
}

/// kLanes / 2 doubles.
using Wide = __m256d;
ATTENTION_INLINE Wide widened(const float* p) {
  return _mm256_cvtps_pd(_mm_loadu_ps(p));
}
ATTENTION_INLINE Wide load_wide(const double* p) {
  return _mm256_loadu_pd(p);
}
ATTENTION_INLINE Wide fma(Wide a, Wide b, Wide c) {
  return _mm256_fmadd_pd(a, b, c);
}
ATTENTION_INLINE void store_rounded(float* p, Wide x) {
  _mm_storeu_ps(p, _mm256_cvtpd_ps(x));
}
ATTENTION_INLINE Wide sums_of_lanes(const Wide (&x)[4]) {
  const Wide low = _mm256_hadd_pd(x[0], x[1]);
  const Wide high = _mm256_hadd_pd(x[2], x[3]);
  return _mm256_permute2f128_pd(low, high, 0x20) + _mm256_permute2f128_pd(low, high, 0x31);
}

/// Bit n for the n-th of 64 bytes, each 0 or 1.
ATTENTION_INLINE std::uint64_t bits_of_64_bytes(const std::uint8_t* p) {
  const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32));
  const auto low_bits = static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_slli_epi16(low, 7)));
  const auto high_bits =
      static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_slli_epi16(high, 7)));
  return std::uint64_t{high_bits} << 32 | low_bits;
}

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
