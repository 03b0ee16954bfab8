#pragma once

#include <cstdint>

#include <arm_neon.h>

/// The vector vocabulary on NEON (AArch64). See simd.hpp for what each word means.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

inline constexpr int kLanes = 4;
inline constexpr bool kFmaRoundsOnce = true;

using Vec = float32x4_t;
using Mask = uint32x4_t;

ATTENTION_INLINE Vec zero() {
  return vdupq_n_f32(0.0F);
}
ATTENTION_INLINE Vec set1(float x) {
  return vdupq_n_f32(x);
}
ATTENTION_INLINE Vec load(const float* p) {
  return vld1q_f32(p);
}
ATTENTION_INLINE void store(float* p, Vec x) {
  vst1q_f32(p, x);
}
ATTENTION_INLINE Vec add(Vec a, Vec b) {
  return vaddq_f32(a, b);
}
ATTENTION_INLINE Vec sub(Vec a, Vec b) {
  return vsubq_f32(a, b);
}
ATTENTION_INLINE Vec mul(Vec a, Vec b) {
  return vmulq_f32(a, b);
}
ATTENTION_INLINE Vec div(Vec a, Vec b) {
  return vdivq_f32(a, b);
}
ATTENTION_INLINE Vec fma(Vec a, Vec b, Vec c) {
  return vfmaq_f32(c, a, b);
}

ATTENTION_INLINE Mask mask_of(std::uint32_t bits) {
  const uint32x4_t lane_bit = {1, 2, 4, 8};
  return vtstq_u32(vdupq_n_u32(bits), lane_bit);
}
ATTENTION_INLINE std::uint32_t bits_of(Mask mask) {
  const uint32x4_t lane_bit = {1, 2, 4, 8};
  return vaddvq_u32(vandq_u32(mask, lane_bit));
}
ATTENTION_INLINE Mask less(Vec a, Vec b) {
  return vcltq_f32(a, b);
}
ATTENTION_INLINE Mask equal(Vec a, Vec b) {
  return vceqq_f32(a, b);
}
ATTENTION_INLINE Vec select(Mask mask, Vec a, Vec b) {
  return vbslq_f32(mask, a, b);
}
/// (FMAX would give NaN for either operand: the second, which is kept, is the one that matters.)
ATTENTION_INLINE Vec max(Vec a, Vec b) {
  return vbslq_f32(vcgtq_f32(a, b), a, b);
}
ATTENTION_INLINE Vec abs(Vec x) {
  return vabsq_f32(x);
}

/// Below -127 every power counts as 2^-127, which times_exp2_floor makes 0.
ATTENTION_INLINE Vec at_least_minus_127(Vec x) {
  return max(set1(-127.0F), x);
}
ATTENTION_INLINE Vec fraction(Vec x) {
  const Vec clamped = at_least_minus_127(x);
  return vsubq_f32(clamped, vrndmq_f32(clamped));
}
/// 2^n by its exponent bits; those of -127 are those of 0.
ATTENTION_INLINE Vec times_exp2_floor(Vec a, Vec x) {
  const int32x4_t n = vcvtmq_s32_f32(at_least_minus_127(x));
  return vmulq_f32(a, vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23)));
}

ATTENTION_INLINE Vec load_converted(const float* p) {
  return load(p);
}
ATTENTION_INLINE Vec load_converted(const Bfloat16* p) {
  const uint16x4_t bits = vld1_u16(reinterpret_cast<const std::uint16_t*>(p));
  return vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(bits), 16));
}
/// Two elements to a word: the even ones, then the odd ones.
ATTENTION_INLINE void load_pair(const Bfloat16* p, Vec (&x)[2]) {
  const uint16x8_t elements = vld1q_u16(reinterpret_cast<const std::uint16_t*>(p));
  const uint32x4_t words = vreinterpretq_u32_u16(elements);
  x[0] = vreinterpretq_f32_u32(vshlq_n_u32(words, 16));
  x[1] = vreinterpretq_f32_u32(vandq_u32(words, vdupq_n_u32(0xFFFF0000U)));
}
ATTENTION_INLINE void to_pair_order(const Bfloat16* /*type*/, Vec (&x)[2]) {
  const float32x4x2_t pair = vuzpq_f32(x[0], x[1]);
  x[0] = pair.val[0];
  x[1] = pair.val[1];
}
ATTENTION_INLINE void from_pair_order(const Bfloat16* /*type*/, Vec (&x)[2]) {
  const float32x4x2_t natural = vzipq_f32(x[0], x[1]);
  x[0] = natural.val[0];
  x[1] = natural.val[1];
}
ATTENTION_INLINE Vec load_converted(const Float16* p) {
  const uint16x4_t bits = vld1_u16(reinterpret_cast<const std::uint16_t*>(p));
  return vcvt_f32_f16(vreinterpret_f16_u16(bits));
}

ATTENTION_INLINE void store_converted(float* p, Vec x) {
  store(p, x);
}
/// Rounds to nearest, ties to even; NaN stays NaN.
ATTENTION_INLINE void store_converted(Bfloat16* p, Vec x) {
  const uint32x4_t bits = vreinterpretq_u32_f32(x);
  const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  const uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7FFF)));
  const uint32x4_t nan = vorrq_u32(bits, vdupq_n_u32(0x00400000));
  const uint32x4_t chosen = vbslq_u32(vceqq_f32(x, x), rounded, nan);
  vst1_u16(reinterpret_cast<std::uint16_t*>(p), vshrn_n_u32(chosen, 16));
}
ATTENTION_INLINE void store_converted(Float16* p, Vec x) {
  vst1_u16(reinterpret_cast<std::uint16_t*>(p), vreinterpret_u16_f16(vcvt_f16_f32(x)));
}

ATTENTION_INLINE void transpose(Vec (&r)[kLanes]) {
  const float32x4x2_t low = vtrnq_f32(r[0], r[1]);
  const float32x4x2_t high = vtrnq_f32(r[2], r[3]);
  r[0] = vcombine_f32(vget_low_f32(low.val[0]), vget_low_f32(high.val[0]));
  r[1] = vcombine_f32(vget_low_f32(low.val[1]), vget_low_f32(high.val[1]));
  r[2] = vcombine_f32(vget_high_f32(low.val[0]), vget_high_f32(high.val[0]));
  r[3] = vcombine_f32(vget_high_f32(low.val[1]), vget_high_f32(high.val[1]));
}

using Words = uint32x4_t;
struct WordProducts {
  Words high;
  Words low;
};
ATTENTION_INLINE Words load_words(const std::uint32_t* p) {
  return vld1q_u32(p);
}
ATTENTION_INLINE Words set1_words(std::uint32_t x) {
  return vdupq_n_u32(x);
}
ATTENTION_INLINE WordProducts products(Words a, Words b) {
  const uint32x4_t first = vreinterpretq_u32_u64(vmull_u32(vget_low_u32(a), vget_low_u32(b)));
  const uint32x4_t last = vreinterpretq_u32_u64(vmull_high_u32(a, b));
  return {.high = vuzp2q_u32(first, last), .low = vuzp1q_u32(first, last)};
}
ATTENTION_INLINE Words exclusive_or(Words a, Words b, Words c) {
  return veorq_u32(veorq_u32(a, b), c);
}
ATTENTION_INLINE Mask less(Words a, Words b) {
  return vcltq_u32(a, b);
}

/// kLanes / 2 doubles.
using Wide = float64x2_t;
ATTENTION_INLINE Wide widened(const float* p) {
  return vcvt_f64_f32(vld1_f32(p));
}
ATTENTION_INLINE Wide load_wide(const double* p) {
  return vld1q_f64(p);
}
ATTENTION_INLINE Wide fma(Wide a, Wide b, Wide c) {
  return vfmaq_f64(c, a, b);
}
ATTENTION_INLINE void store_rounded(float* p, Wide x) {
  vst1_f32(p, vcvt_f32_f64(x));
}
ATTENTION_INLINE Wide sums_of_lanes(const Wide (&x)[2]) {
  return vpaddq_f64(x[0], x[1]);
}

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA

#include <attention/kernels/isa/simd/derived.hpp>
