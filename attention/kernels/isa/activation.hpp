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

/// Phi(-magnitude) = tail * decay, decay = exp(-magnitude^2 / 2).
struct Gaussian {
  Vec tail;
  Vec decay;
};

/// Phi(-m) = erfc(z) / 2 with z = m / sqrt(2) is t P(t) exp(-z^2) / 2, t = 1 / (1 + 0.375 z): P of
/// degree 8, minimax by linear programming for z up to 10 (relative error 4.3e-8 with these
/// coefficients).
///
/// Source of the form: Abramowitz and Stegun, "Handbook of Mathematical Functions", 7.1.26.
ATTENTION_INLINE Gaussian gaussian(Vec magnitude) {
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
  return {.tail = mul(mul(p, t), set1(0.5F)),
          .decay = exp2(mul(mul(magnitude, magnitude), set1(-0.5F * kLog2E)))};
}

/// x Phi(x). The small tail is computed, not 1 minus it.
ATTENTION_INLINE Vec gelu(Vec x) {
  const Gaussian at = gaussian(abs(x));
  const Vec tail = mul(x, mul(at.tail, at.decay));
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

/// The slope at x, from that at -|x|: f(x) - f(-x) = x for every f here, so f'(x) + f'(-x) = 1.
ATTENTION_INLINE Vec slope_from(Vec x, Vec at_minus_magnitude) {
  return select(less(x, zero()), at_minus_magnitude, sub(set1(1.0F), at_minus_magnitude));
}

/// Phi(x) + x phi(x), at -m: exp(-m^2 / 2) is a factor of both.
ATTENTION_INLINE Vec gelu_slope(Vec x) {
  const Vec magnitude = abs(x);
  const Gaussian at = gaussian(magnitude);
  const Vec slope = mul(fma(magnitude, set1(-0x1.988454p-2F), at.tail), at.decay);
  // inf times 0 would be NaN.
  return slope_from(x, select(equal(at.decay, zero()), zero(), slope));
}

/// The slope of x s(v), s(v) = 1 / (1 + exp(-v)), from v and -|x| v' at |x|: s(-v) (1 - |x| v'
/// s(v)) at -|x|. What overflows in v and v' comes with exp(-v) = 0.
ATTENTION_INLINE Vec gated_slope(Vec x, Vec v, Vec minus_x_dv) {
  const Vec decay = exp2(mul(v, set1(-kLog2E)));
  const Vec larger = div(set1(1.0F), add(set1(1.0F), decay));
  const Vec slope = mul(mul(decay, larger), fma(minus_x_dv, larger, set1(1.0F)));
  return slope_from(x, select(equal(decay, zero()), zero(), slope));
}

/// The derivative at x.
template <Activation kActivation>
ATTENTION_INLINE Vec activation_slope(Vec x) {
  if constexpr (kActivation == Activation::relu) {
    return select(less(zero(), x), set1(1.0F), max(zero(), x));  // (the maximum keeps NaN)
  } else if constexpr (kActivation == Activation::gelu) {
    return gelu_slope(x);
  } else if constexpr (kActivation == Activation::gelu_tanh) {
    // v = 2 sqrt(2 / pi) (m + 0.044715 m^3)
    const Vec m = abs(x);
    const Vec cube = mul(mul(m, m), m);
    return gated_slope(x, mul(set1(0x1.988454p+0F), fma(set1(0.044715F), cube, m)),
                       mul(set1(-0x1.988454p+0F), fma(set1(3 * 0.044715F), cube, m)));
  } else if constexpr (kActivation == Activation::silu) {
    const Vec m = abs(x);
    return gated_slope(x, m, sub(zero(), m));
  } else {
    return set1(1.0F);
  }
}

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
