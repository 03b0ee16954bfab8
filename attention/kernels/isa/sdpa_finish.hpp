#pragma once

#include <attention/kernels/isa/elements.hpp>
#include <attention/kernels/isa/panel_shape.hpp>
#include <attention/kernels/isa/sdpa_mask.hpp>
#include <attention/kernels/isa/sdpa_scores.hpp>

/// Private to the sources of the instruction sets: a panel's state, and how its results go out.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

/// What a panel knows between two blocks of keys. All but `seen` lies in scratch.
struct Panel {
  const SdpaRows* rows;
  std::uint64_t seen;     // lanes that saw a key
  std::uint64_t by_hand;  // lanes whose scores the products do not get right: see lanes_by_hand
  float* queries;         // a lane row for each term over D: q^T, times the sign of the scale
  float* out;             // Dv lane rows: sum of weights * value, relative to the maximum
  float* maximum;         // the largest score up to here
  float* sum;             // sum of weights, relative to the maximum
};

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

/// Writes lse and the maximum where they are wanted.
void store_statistics(const SdpaHead& head, const Panel& panel) {
  const SdpaRows& rows = *panel.rows;
  if (rows.lse[rows.first] == nullptr && rows.maximum[rows.first] == nullptr) {
    return;
  }
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
  }
}

/// `sum` becomes the factor that turns exp2(exponent) into a weight: 1 / sum, 0 for a row that sees
/// nothing.
void invert_sums(const Panel& panel) {
  const SdpaRows& rows = *panel.rows;
  const std::uint64_t seen = panel.seen & lanes_below(rows.first + rows.count);
  for (int lane = 0; lane < kPanel; lane += kLanes) {
    // Only -inf to see: the softmax is 0 / 0.
    const Mask undefined = equal(load(panel.maximum + lane), set1(-kInfinity));
    const Vec sum = select(undefined, set1(__builtin_nanf("")), load(panel.sum + lane));
    const Mask sees = mask_of(static_cast<std::uint32_t>(seen >> lane));
    store(panel.sum + lane, select(sees, div(set1(1.0F), sum), zero()));
  }
}

/// Writes lane rows, times a factor for each lane, to the rows of a panel that lie at `to`: kLanes
/// rows by kLanes columns at a time, transposed in registers.
template <class T, class Pointer>
void store_lane_rows(const SdpaRows& rows, Pointer* to, const float* lane_rows,
                     const float* factors, Index columns, Index stride) {
  const int end = rows.first + rows.count;
  for (int lane = rows.first; lane < end; lane += kLanes) {
    const int row_count = static_cast<int>(least(kLanes, end - lane));
    T* place[kLanes];
    for (int r = 0; r < kLanes; ++r) {
      place[r] = static_cast<T*>(to[lane + r]);
    }
    const Vec factor = load(factors + lane);
    const float* const from = lane_rows + lane;
    for (Index c = 0; c < columns; c += kLanes) {
      Vec tile[kLanes];
      for (int r = 0; r < kLanes; ++r) {
        // Adding 0 makes 0 of -0; a row that sees nothing has only zeros.
        tile[r] = c + r < columns ? fma(load(from + (c + r) * kPanel), factor, zero()) : zero();
      }
      store_transposed(place, row_count, c, stride, columns - c, tile);
    }
  }
}

/// Divides by the sum, scales what dropout kept, and writes out.
template <class T>
void store_out(const SdpaHead& head, const Panel& panel) {
  float factors[kPanel];
  for (int lane = 0; lane < kPanel; lane += kLanes) {
    store(factors + lane, mul(load(panel.sum + lane), set1(head.dropout.factor)));
  }
  store_lane_rows<T>(*panel.rows, panel.rows->out, panel.out, factors, head.Dv, head.out_feature);
}

inline void finish_panel(const SdpaHead& head, const Panel& panel) {
  store_statistics(head, panel);
  invert_sums(panel);
  switch (head.element) {
    case Element::bf16:
      store_out<Bfloat16>(head, panel);
      break;
    case Element::f16:
      store_out<Float16>(head, panel);
      break;
    default:
      store_out<float>(head, panel);
      break;
  }
}

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
