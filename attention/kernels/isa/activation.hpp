#pragma once

#include <attention/core/activation.hpp>
#include <attention/kernels/isa/simd.hpp>

/// Private to the sources of the instruction sets: activations.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

/// x / (1 + exp(-u)).
ATTENTION_INLINE Vec times_sigmoid(Vec x, Vec u) {
  // (min(-u log2 e, 127), by max; a NaN of u stays one.)
  const Vec exponent = sub(zero(), max(set1(-127.0F), mul(u, set1(kLog2E))));
  return div(x, add(set1(1.0F), exp2(exponent)));
}

/// x Phi(x). Phi(-|x|) = erfc(z) / 2 with z = |x| / sqrt(2) is t P(t) exp(-z^2) / 2,
/// t = 1 / (1 + 0.375 z): P of degree 8, minimax by linear programming for z up to 10 (relative
/// error 4.3e-8 with these coefficients). The small tail is computed, not 1 minus it.
///
/// Source of the form: Abramowitz and Stegun, "Handbook of Mathematical Functions", 7.1.26.
ATTENTION_INLINE Vec gelu(Vec x) {
  const Vec magnitude = abs(x);
  const Vec t = div(set1(1.0F), fma(magnitude, set1(0x1.0f876cp-2F), set1(1.0F)));
  Vec p = set1(0x1.f81c0ep-5F);
  p = fma(p, t, set1(-0x1.2637bcp-2F));
  p = fma(p, t, set1(0x1.bac28ep-2F));
  p = fma(p, t, set1(-0x1.d5cdb0p-3F));
  p = fma(p, t, set1(0x1.18485ap-2F));
  p = fma(p, t, set1(0x1.f1b3e2p-4F));
  p = fma(p, t, set1(0x1.a47ad4p-3F));
  p = fma(p, t, set1(0x1.af6928p-3F));
  p = fma(p, t, set1(0x1.b16266p-3F));
  const Vec decay = exp2(mul(mul(magnitude, magnitude), set1(-0.5F * kLog2E)));
  const Vec tail = mul(x, mul(mul(mul(p, t), set1(0.5F)), decay));
  // inf times 0 would be NaN.
  const Vec small = select(equal(x, set1(kInfinity)), zero(), tail);
  return select(less(x, zero()), small, sub(x, small));
}

template <Activation kActivation>
ATTENTION_INLINE Vec activated(Vec x) {
  if constexpr (kActivation == Activation::relu) {
    return max(zero(), x);
  } else if constexpr (kActivation == Activation::gelu) {
    return gelu(x);
  } else if constexpr (kActivation == Activation::gelu_tanh) {
    // (1 + tanh(u)) / 2 = 1 / (1 + exp(-2 u)), u = sqrt(2 / pi) (x + 0.044715 x^3)
    const Vec cube = mul(mul(x, x), x);
    return times_sigmoid(x, mul(set1(0x1.988454p+0F), fma(set1(0.044715F), cube, x)));
  } else if constexpr (kActivation == Activation::silu) {
    return times_sigmoid(x, x);
  } else {
    return x;
  }
}

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
