#pragma once

#include <attention/kernels/isa/elements.hpp>
#include <attention/kernels/isa/sdpa_tile.hpp>

/// Private to the sources of the instruction sets: a panel's state, how its queries come in and how
/// its results go out.
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
/// largest score gives exactly 0. One lane's way has no influence on another's.
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
    large = less(set1(kFmaRoundsOnce ? 0x1p20F : -1.0F), abs(origin));
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

/// What a panel knows between two blocks of keys. All but `seen` lies in scratch.
struct Panel {
  const SdpaRows* rows;
  std::uint64_t seen;  // lanes that saw a key
  float* queries;      // D lane rows: q^T, times the sign of the scale
  float* out;          // Dv lane rows: sum of weights * value, relative to the maximum
  float* maximum;      // the largest score up to here
  float* sum;          // sum of weights, relative to the maximum
};

/// A bit for each lane before `lane`.
ATTENTION_INLINE std::uint64_t lanes_below(int lane) {
  return lane >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << lane) - 1;
}

/// The lanes from the first row on, copies of the last row included.
ATTENTION_INLINE std::uint64_t lanes_in_use(const SdpaRows& rows) {
  return lanes_below(kPanel) & ~lanes_below(rows.first);
}

/// Reads the queries: kLanes rows by kLanes features at a time, transposed in registers.
template <class T>
void pack_queries(const SdpaHead& head, const Panel& panel, float sign) {
  const SdpaRows& rows = *panel.rows;
  for (int lane = rows.first; lane < kPanel; lane += kLanes) {
    for (Index d = 0; d < head.D; d += kLanes) {
      Vec tile[kLanes];
      for (int r = 0; r < kLanes; ++r) {
        const T* const q = static_cast<const T*>(rows.q[lane + r]);
        tile[r] = mul(load_strided(q + d * head.q_feature, head.q_feature, head.D - d), set1(sign));
      }
      transpose(tile);
      for (int r = 0; r < least(kLanes, head.D - d); ++r) {
        store(panel.queries + (d + r) * kPanel + lane, tile[r]);
      }
    }
  }
}

void begin_panel(const SdpaHead& head, Panel& panel) {
  const SdpaRows& rows = *panel.rows;
  const float sign = head.scale < 0 ? -1.0F : 1.0F;
  switch (head.element) {
    case Element::bf16:
      pack_queries<Bfloat16>(head, panel, sign);
      break;
    case Element::f16:
      pack_queries<Float16>(head, panel, sign);
      break;
    default:
      pack_queries<float>(head, panel, sign);
      break;
  }
  // The sink is one more key without a value, and the first to be counted.
  const ScoreUnits units = score_units(head);
  for (int lane = 0; lane < kPanel; lane += kLanes) {
    const Vec sink = lane < rows.first ? set1(-kInfinity) : load(rows.sink + lane);
    const Exponents<true> exponents(units.to_log2, sink);
    store(panel.maximum + lane, sink);
    store(panel.sum + lane, exp2(exponents.of(sink)));
  }
  for (Index n = 0; n < head.Dv * kPanel; n += kLanes) {
    store(panel.out + n, zero());
  }
  panel.seen = 0;
}

/// ln(x) for normal positive x, +inf and NaN; -inf for 0.
///
/// x = 2^n m with m in [sqrt(1/2), sqrt(2)); ln m = 2 artanh(z), z = (m - 1) / (m + 1), by its
/// series: |z| <= 0.172, so that the term after the last is below 2e-9 of the first.
ATTENTION_INLINE float natural_logarithm(float x) {
  std::uint32_t bits = 0;
  __builtin_memcpy(&bits, &x, sizeof(bits));
  const std::uint32_t shifted = bits - 0x3F3504F3U;  // those of sqrt(1/2)
  const auto exponent = static_cast<float>(static_cast<std::int32_t>(shifted) >> 23);
  const std::uint32_t mantissa_bits = (shifted & 0x007FFFFFU) + 0x3F3504F3U;
  float m = 0;
  __builtin_memcpy(&m, &mantissa_bits, sizeof(m));
  const float z = (m - 1.0F) / (m + 1.0F);
  const float z2 = z * z;
  const float series =
      2.0F + z2 * (0x1.555556p-1F + z2 * (0.4F + z2 * (0x1.24924ap-2F + z2 * 0x1.c71c72p-3F)));
  const float result = exponent * kLn2 + z * series;
  return x == 0 ? -kInfinity : x - x == 0 ? result : x;
}

/// Divides by the sum and writes out, lse and the maximum; `sum` becomes the factor that turns
/// exp2(exponent) into a weight.
template <class T>
void store_results(const SdpaHead& head, const Panel& panel) {
  const SdpaRows& rows = *panel.rows;
  const ScoreUnits units = score_units(head);
  float residual[kPanel];  // the exponent of the maximum: 0, less a rounding
  for (int lane = 0; lane < kPanel; lane += kLanes) {
    const Vec maximum = load(panel.maximum + lane);
    store(residual + lane, Exponents<true>(units.to_log2, maximum).of(maximum));
  }
  for (int lane = rows.first; lane < rows.first + rows.count; ++lane) {
    const bool any = ((panel.seen >> lane) & 1U) != 0;
    const float maximum = panel.maximum[lane];
    // Only -inf to see: the softmax is 0 / 0.
    const float sum = maximum == -kInfinity ? __builtin_nanf("") : panel.sum[lane];
    const float natural = maximum * units.to_natural;
    if (rows.lse[lane] != nullptr) {
      const float logarithm = natural_logarithm(sum) - residual[lane] * kLn2;
      *rows.lse[lane] = any ? natural + logarithm : rows.sink[lane];
    }
    if (rows.maximum[lane] != nullptr) {
      *rows.maximum[lane] = any ? natural : rows.sink[lane];
    }
    panel.sum[lane] = any ? 1.0F / sum : 0.0F;
  }
  for (int lane = rows.first + rows.count; lane < kPanel; ++lane) {
    panel.sum[lane] = 0.0F;
  }
  for (int lane = rows.first; lane < rows.first + rows.count; lane += kLanes) {
    const Vec factor = load(panel.sum + lane);
    for (Index d = 0; d < head.Dv; d += kLanes) {
      Vec tile[kLanes];
      for (int r = 0; r < kLanes; ++r) {
        // Adding 0 makes 0 of -0; a row that sees nothing has only zeros.
        const Vec sum = d + r < head.Dv ? load(panel.out + (d + r) * kPanel + lane) : zero();
        tile[r] = fma(sum, factor, zero());
      }
      transpose(tile);
      for (int r = 0; r < least(kLanes, rows.first + rows.count - lane); ++r) {
        T* const out = static_cast<T*>(rows.out[lane + r]);
        store_strided(out + d * head.out_feature, head.out_feature, head.Dv - d, tile[r]);
      }
    }
  }
}

void finish_panel(const SdpaHead& head, const Panel& panel) {
  switch (head.element) {
    case Element::bf16:
      store_results<Bfloat16>(head, panel);
      break;
    case Element::f16:
      store_results<Float16>(head, panel);
      break;
    default:
      store_results<float>(head, panel);
      break;
  }
}

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
