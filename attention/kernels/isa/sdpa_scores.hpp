#pragma once

#include <attention/kernels/isa/simd.hpp>
#include <attention/kernels/sdpa_args.hpp>

/// Private to the sources of the instruction sets: the arithmetic that makes weights of scores.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

/// The units of scores. As they come from the product they lack a factor, the scale: multiplied
/// into the queries it would cost an error in each of them, and in the exponential it is free.
/// Where something is added to scores, a pass over them brings them into natural units first.
struct ScoreUnits {
  bool have_pass;
  float in_pass;     // what scores are multiplied by in that pass
  float to_natural;  // what is lacking after it
  float to_log2;
};

ATTENTION_INLINE ScoreUnits score_units(const SdpaHead& head) {
  const float scale = head.scale < 0 ? -head.scale : head.scale;
  if (head.softcap > 0) {
    return {.have_pass = true, .in_pass = scale, .to_natural = 1.0F, .to_log2 = kLog2E};
  }
  // (With a scale of 0 even -inf would become 0; and sinks must have the scores' rounding of
  // to_log2.)
  const bool have_pass =
      head.has_alibi || head.has_sinks || head.mask_use == MaskUse::add || scale == 0;
  return {.have_pass = have_pass,
          .in_pass = scale,
          .to_natural = have_pass ? 1.0F : scale,
          .to_log2 = have_pass ? kLog2E : scale * kLog2E};
}

/// Turns scores into exponents of 2, relative to the maximum of a lane. Where the maximum is so
/// large that the rounding of maximum * to_log2 matters, the difference comes first: then the
/// largest score gives exactly 0. Else it gives at most 2^-13, so that its weight is 1 where
/// weights are rounded to 16 bits. One lane's way has no influence on another's.
template <bool kAnyLarge>
struct Exponents {
  Vec to_log2;
  Vec maximum;
  Vec origin;
  Mask large;

  Exponents() = default;
  ATTENTION_INLINE Exponents(float its_to_log2, Vec its_maximum) : to_log2(set1(its_to_log2)) {
    // 0 while a lane saw nothing but -inf.
    maximum = select(equal(its_maximum, set1(-kInfinity)), zero(), its_maximum);
    origin = mul(maximum, to_log2);
    large = less(set1(kFmaRoundsOnce ? 0x1p12F : -1.0F), abs(origin));
  }
  ATTENTION_INLINE Vec of(Vec score) const {
    const Vec fused = fma(score, to_log2, sub(zero(), origin));
    return kAnyLarge ? select(large, mul(sub(score, maximum), to_log2), fused) : fused;
  }
  /// Where what was relative to this one's maximum stands relative to that of `after`; exactly 0
  /// for the same maximum.
  ATTENTION_INLINE Vec relative_to(const Exponents& after) const {
    const Vec exact = select(after.large, mul(sub(maximum, after.maximum), to_log2),
                             fma(maximum, to_log2, sub(zero(), after.origin)));
    const Vec rounded =
        select(after.large, sub(zero(), fma(after.maximum, to_log2, sub(zero(), origin))),
               sub(origin, after.origin));
    return select(large, exact, rounded);
  }
};

/// cap * tanh(x). Small x: cap (x + x^3 p(x^2)), p minimax (relative error 2.9e-9 for |x| <= 0.6,
/// by linear programming). Else cap - cap 2 e / (1 + e) with e = exp(-2 |x|) <= 0.31: what is
/// rounded before the last step is small.
ATTENTION_INLINE Vec capped_tanh(Vec cap, Vec x) {
  const Vec square = mul(x, x);
  Vec p = fma(set1(-0x1.81e06cp-8F), square, set1(0x1.549b5ep-6F));
  p = fma(p, square, set1(-0x1.b893d8p-5F));
  p = fma(p, square, set1(0x1.110982p-3F));
  p = fma(p, square, set1(-0x1.55553cp-2F));
  const Vec small = mul(cap, fma(mul(p, square), x, x));
  const Vec magnitude = abs(x);
  const Vec e = exp2(mul(magnitude, set1(-2.0F * kLog2E)));
  const Vec large = sub(cap, mul(cap, div(add(e, e), add(set1(1.0F), e))));
  const Vec with_sign = select(less(x, zero()), sub(zero(), large), large);
  return select(less(magnitude, set1(0.6F)), small, with_sign);
}

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
