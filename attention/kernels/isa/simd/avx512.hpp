#pragma once

#include <cstdint>

#include <immintrin.h>

/// The vector vocabulary on AVX-512 (F, BW, DQ, VL). See simd.hpp for what each word means.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

inline constexpr int kLanes = 16;
inline constexpr bool kFmaRoundsOnce = true;

using Vec = __m512;
using Mask = __mmask16;

ATTENTION_INLINE Vec zero() {
  return _mm512_setzero_ps();
}
ATTENTION_INLINE Vec set1(float x) {
  return _mm512_set1_ps(x);
}
ATTENTION_INLINE Vec load(const float* p) {
  return _mm512_loadu_ps(p);
}
ATTENTION_INLINE void store(float* p, Vec x) {
  _mm512_storeu_ps(p, x);
}
ATTENTION_INLINE Vec add(Vec a, Vec b) {
  return _mm512_add_ps(a, b);
}
ATTENTION_INLINE Vec sub(Vec a, Vec b) {
  return _mm512_sub_ps(a, b);
}
ATTENTION_INLINE Vec mul(Vec a, Vec b) {
  return _mm512_mul_ps(a, b);
}
ATTENTION_INLINE Vec div(Vec a, Vec b) {
  return _mm512_div_ps(a, b);
}
ATTENTION_INLINE Vec fma(Vec a, Vec b, Vec c) {
  return _mm512_fmadd_ps(a, b, c);
}
ATTENTION_INLINE Vec max(Vec a, Vec b) {
  return _mm512_max_ps(a, b);
}
ATTENTION_INLINE Vec abs(Vec x) {
  return _mm512_andnot_ps(_mm512_set1_ps(-0.0F), x);
}

ATTENTION_INLINE Mask mask_of(std::uint32_t bits) {
  return static_cast<Mask>(bits);
}
ATTENTION_INLINE std::uint32_t bits_of(Mask mask) {
  return mask;
}
ATTENTION_INLINE Mask less(Vec a, Vec b) {
  return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}
ATTENTION_INLINE Mask equal(Vec a, Vec b) {
  return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ);
}
ATTENTION_INLINE Vec select(Mask mask, Vec a, Vec b) {
  return _mm512_mask_blend_ps(mask, b, a);
}

ATTENTION_INLINE Vec fraction(Vec x) {
  return _mm512_reduce_ps(x, 0x09);  // x - floor(x)
}
ATTENTION_INLINE Vec times_exp2_floor(Vec a, Vec x) {
  return _mm512_scalef_ps(a, x);
}

ATTENTION_INLINE Vec load_converted(const float* p) {
  return load(p);
}
ATTENTION_INLINE Vec load_converted(const Bfloat16* p) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}
/// Two elements to a word: the even ones, then the odd ones.
ATTENTION_INLINE void load_pair(const Bfloat16* p, Vec (&x)[2]) {
  const __m512i words = _mm512_loadu_si512(p);
  x[0] = _mm512_castsi512_ps(_mm512_slli_epi32(words, 16));
  x[1] = _mm512_castsi512_ps(_mm512_and_si512(words, _mm512_set1_epi32(-0x10000)));
}
/// Of the 32 elements of x, those that `first` names go into x[0], those `step` after them into
/// x[1].
ATTENTION_INLINE void permute(Vec (&x)[2], __m512i first, int step) {
  const __m512i second = _mm512_add_epi32(first, _mm512_set1_epi32(step));
  const Vec before[2] = {x[0], x[1]};
  x[0] = _mm512_permutex2var_ps(before[0], first, before[1]);
  x[1] = _mm512_permutex2var_ps(before[0], second, before[1]);
}
ATTENTION_INLINE void to_pair_order(const Bfloat16* /*type*/, Vec (&x)[2]) {
  permute(x, _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30), 1);
}
ATTENTION_INLINE void from_pair_order(const Bfloat16* /*type*/, Vec (&x)[2]) {
  permute(x, _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23), 8);
}
ATTENTION_INLINE Vec load_converted(const Float16* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

ATTENTION_INLINE void store_converted(float* p, Vec x) {
  store(p, x);
}
/// Rounds to nearest, ties to even; NaN stays NaN.
ATTENTION_INLINE void store_converted(Bfloat16* p, Vec x) {
  const __m512i bits = _mm512_castps_si512(x);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
  const __mmask16 is_nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  const __m512i nan = _mm512_or_si512(bits, _mm512_set1_epi32(0x00400000));
  const __m512i high = _mm512_srli_epi32(_mm512_mask_blend_epi32(is_nan, rounded, nan), 16);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(high));
}
ATTENTION_INLINE void store_converted(Float16* p, Vec x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

/// In four steps: pairs of rows, of pairs, and twice blocks of four lanes.
ATTENTION_INLINE void transpose(Vec (&r)[kLanes]) {
  Vec t[kLanes];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    r[4 * i] = _mm512_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
    r[4 * i + 1] = _mm512_shuffle_ps(t[4 * i], t[4 * i + 2], 0xEE);
    r[4 * i + 2] = _mm512_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
    r[4 * i + 3] = _mm512_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xEE);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xDD);
    t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xDD);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xDD);
    r[i + 4] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88);
    r[i + 12] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xDD);
  }
}

/// Pairs, pairs of pairs, and twice blocks of four lanes.
ATTENTION_INLINE Vec sums_of_lanes(const Vec (&x)[kLanes]) {
  Vec t[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    t[i] =
        add(_mm512_unpacklo_ps(x[2 * i], x[2 * i + 1]), _mm512_unpackhi_ps(x[2 * i], x[2 * i + 1]));
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i] = add(_mm512_shuffle_ps(t[2 * i], t[2 * i + 1], 0x44),
               _mm512_shuffle_ps(t[2 * i], t[2 * i + 1], 0xEE));
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    t[i] = add(_mm512_shuffle_f32x4(t[2 * i], t[2 * i + 1], 0x88),
               _mm512_shuffle_f32x4(t[2 * i], t[2 * i + 1], 0xDD));
  }
  return add(_mm512_shuffle_f32x4(t[0], t[1], 0x88), _mm512_shuffle_f32x4(t[0], t[1], 0xDD));
}

#if defined(__AVX512BF16__)
/// The two elements at p, in each lane.
ATTENTION_INLINE Vec set1_pair(const Bfloat16* p) {
  std::int32_t word = 0;
  __builtin_memcpy(&word, p, sizeof(word));
  return _mm512_castsi512_ps(_mm512_set1_epi32(word));
}
ATTENTION_INLINE Vec fma_pairs(Vec a, Vec b, Vec c) {
  return _mm512_dpbf16_ps(c, __builtin_bit_cast(__m512bh, a), __builtin_bit_cast(__m512bh, b));
}
ATTENTION_INLINE Vec pairs_of(Vec first, Vec second) {
  const auto halves = __builtin_bit_cast(__m512i, _mm512_cvtne2ps_pbh(second, first));
  // Word n of the first half, then word n of the second.
  const __m512i order = _mm512_setr_epi32(
      0x100000, 0x110001, 0x120002, 0x130003, 0x140004, 0x150005, 0x160006, 0x170007, 0x180008,
      0x190009, 0x1A000A, 0x1B000B, 0x1C000C, 0x1D000D, 0x1E000E, 0x1F000F);
  return _mm512_castsi512_ps(_mm512_permutexvar_epi16(order, halves));
}
ATTENTION_INLINE Vec pairs_of_bfloat16(Vec first, Vec second) {
  return _mm512_castsi512_ps(_mm512_or_si512(_mm512_srli_epi32(_mm512_castps_si512(first), 16),
                                             _mm512_castps_si512(second)));
}
/// 2 kLanes pairs of the elements at `first` and at `second`.
ATTENTION_INLINE void interleave(const Bfloat16* first, const Bfloat16* second, Bfloat16* to) {
  const __m512i a = _mm512_loadu_si512(first);
  const __m512i b = _mm512_loadu_si512(second);
  // Word n of a, then word n of b, which is word 32 + n of both.
  const __m512i order = _mm512_setr_epi32(
      0x200000, 0x210001, 0x220002, 0x230003, 0x240004, 0x250005, 0x260006, 0x270007, 0x280008,
      0x290009, 0x2A000A, 0x2B000B, 0x2C000C, 0x2D000D, 0x2E000E, 0x2F000F);
  const __m512i after = _mm512_add_epi32(order, _mm512_set1_epi32(0x100010));
  _mm512_storeu_si512(to, _mm512_permutex2var_epi16(a, order, b));
  _mm512_storeu_si512(to + 2 * kLanes, _mm512_permutex2var_epi16(a, after, b));
}
/// Whether some of `count` elements is denormal.
ATTENTION_INLINE bool any_denormal(const Bfloat16* p, std::int64_t count) {
  constexpr std::int64_t kWords = 2 * kLanes;
  __mmask32 found = 0;
  for (std::int64_t n = 0; n < count; n += kWords) {
    const __mmask32 exist = count - n < kWords ? (std::uint32_t{1} << (count - n)) - 1 : ~0U;
    const __m512i words = _mm512_maskz_loadu_epi16(exist, p + n);
    const __mmask32 small = _mm512_testn_epi16_mask(words, _mm512_set1_epi16(0x7F80));
    found |= _mm512_mask_test_epi16_mask(small, words, _mm512_set1_epi16(0x7F));
  }
  return found != 0;
}
ATTENTION_INLINE Vec first_of_pairs(Vec pairs) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(pairs), 16));
}
ATTENTION_INLINE Vec second_of_pairs(Vec pairs) {
  return _mm512_castsi512_ps(
      _mm512_and_si512(_mm512_castps_si512(pairs), _mm512_set1_epi32(-0x10000)));
}
#endif

/// kLanes integers of 32 bits, each in the low half of 64 bits, where a multiplication finds it:
/// those of the even lanes, and those of the odd ones. The high halves are anything.
struct Words {
  __m512i even;
  __m512i odd;
};
struct WordProducts {
  Words high;
  Words low;
};
ATTENTION_INLINE Words load_words(const std::uint32_t* p) {
  const __m512i words = _mm512_loadu_si512(p);
  return {.even = words, .odd = _mm512_srli_epi64(words, 32)};
}
ATTENTION_INLINE Words set1_words(std::uint32_t x) {
  const __m512i words = _mm512_set1_epi32(static_cast<int>(x));
  return {.even = words, .odd = words};
}
ATTENTION_INLINE WordProducts products(Words a, Words b) {
  const __m512i even = _mm512_mul_epu32(a.even, b.even);
  const __m512i odd = _mm512_mul_epu32(a.odd, b.odd);
  return {.high = {.even = _mm512_srli_epi64(even, 32), .odd = _mm512_srli_epi64(odd, 32)},
          .low = {.even = even, .odd = odd}};
}
ATTENTION_INLINE Words exclusive_or(Words a, Words b, Words c) {
  constexpr int kOddNumberOfOnes = 0x96;
  return {.even = _mm512_ternarylogic_epi64(a.even, b.even, c.even, kOddNumberOfOnes),
          .odd = _mm512_ternarylogic_epi64(a.odd, b.odd, c.odd, kOddNumberOfOnes)};
}
ATTENTION_INLINE __m512i lanes_of(Words x) {
  return _mm512_mask_blend_epi32(0xAAAA, x.even, _mm512_slli_epi64(x.odd, 32));
}
ATTENTION_INLINE Mask less(Words a, Words b) {
  return _mm512_cmplt_epu32_mask(lanes_of(a), lanes_of(b));
}

/// kLanes / 2 doubles.
using Wide = __m512d;
ATTENTION_INLINE Wide widened(const float* p) {
  return _mm512_cvtps_pd(_mm256_loadu_ps(p));
}
ATTENTION_INLINE Wide load_wide(const double* p) {
  return _mm512_loadu_pd(p);
}
ATTENTION_INLINE Wide fma(Wide a, Wide b, Wide c) {
  return _mm512_fmadd_pd(a, b, c);
}
ATTENTION_INLINE void store_rounded(float* p, Wide x) {
  _mm256_storeu_ps(p, _mm512_cvtpd_ps(x));
}
ATTENTION_INLINE Wide sums_of_lanes(const Wide (&x)[8]) {
  Wide t[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_unpacklo_pd(x[2 * i], x[2 * i + 1]) + _mm512_unpackhi_pd(x[2 * i], x[2 * i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    t[i] = _mm512_shuffle_f64x2(t[2 * i], t[2 * i + 1], 0x88) +
           _mm512_shuffle_f64x2(t[2 * i], t[2 * i + 1], 0xDD);
  }
  return _mm512_permutex2var_pd(t[0], _mm512_setr_epi64(0, 1, 4, 5, 8, 9, 12, 13), t[1]) +
         _mm512_permutex2var_pd(t[0], _mm512_setr_epi64(2, 3, 6, 7, 10, 11, 14, 15), t[1]);
}

/// Bit n for the n-th of 64 bytes, each 0 or 1.
ATTENTION_INLINE std::uint64_t bits_of_64_bytes(const std::uint8_t* p) {
  const __m512i bytes = _mm512_loadu_si512(p);
  return _mm512_test_epi8_mask(bytes, bytes);
}

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
