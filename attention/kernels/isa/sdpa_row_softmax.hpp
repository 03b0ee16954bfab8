#pragma once

#include <attention/kernels/isa/panel_shape.hpp>
#include <attention/kernels/isa/philox.hpp>
#include <attention/kernels/isa/sdpa_mask.hpp>
#include <attention/kernels/isa/sdpa_scores.hpp>

/// Private to the sources of the instruction sets: from products to weights where the keys of a
/// block lie in lanes, for one row. The same arithmetic as sdpa_softmax.hpp, where rows do.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

/// The cells of a block that a row sees: bit n % 64 of word n / 64 for key n.
struct RowView {
  std::uint64_t words[kBlock / 64];

  bool any() const { return (words[0] | words[1]) != 0; }
  /// Whether the row sees each of the first `size` keys.
  bool all(Index size) const {
    return words[0] == lanes_below(static_cast<int>(least(size, 64))) &&
           words[1] == lanes_below(static_cast<int>(largest(size - 64, 0)));
  }
  ATTENTION_INLINE std::uint32_t lanes_from(Index n) const {
    return static_cast<std::uint32_t>(words[n / 64] >> (n % 64));
  }
  ATTENTION_INLINE bool sees(Index n) const { return ((words[n / 64] >> (n % 64)) & 1U) != 0; }
};
static_assert(kBlock == 128 && 64 % kLanes == 0);

/// A row (its lane among the task's) and a block of keys: its first, and how many there are.
struct RowBlock {
  int lane;
  Index begin;
  Index size;
};

/// What the row sees, but for an additive mask.
RowView view_of_row(const SdpaHead& head, const SdpaRows& rows, const RowBlock& block) {
  RowView view = {};
  for (Index part = 0; part < block.size; part += 64) {
    const Index first = block.begin + part;
    const Index keys = least(64, block.size - part);
    const auto begin = static_cast<int>(clamp(rows.key_begin[block.lane] - first, 0, keys));
    const auto end = static_cast<int>(clamp(rows.key_end[block.lane] - first, 0, keys));
    std::uint64_t word = lanes_below(end) & ~lanes_below(begin);
    if (head.mask_use == MaskUse::keep || head.mask_use == MaskUse::block) {
      const auto* const mask = static_cast<const std::uint8_t*>(rows.mask[block.lane]);
      const std::uint64_t bits = bits_of_bytes(mask + first * head.mask_key, head.mask_key, keys);
      word &= head.mask_use == MaskUse::keep ? bits : ~bits;
    }
    view.words[part / 64] = word;
  }
  return view;
}

/// An additive mask from key n of the block on; takes away from the view the cells where it is
/// -inf.
ATTENTION_INLINE Vec bias_of_row(const SdpaHead& head, const SdpaRows& rows, const RowBlock& block,
                                 Index n, RowView& view) {
  const Vec bias = load_bias(head, rows.mask[block.lane], block.begin + n, block.size - n);
  const std::uint64_t blocked = bits_of(equal(bias, set1(-kInfinity)));
  view.words[n / 64] &= ~(blocked << (n % 64));
  return bias;
}

/// 0, 1, ...
ATTENTION_INLINE Vec lane_numbers() {
  float numbers[kLanes];
  for (int lane = 0; lane < kLanes; ++lane) {
    numbers[lane] = static_cast<float>(lane);
  }
  return load(numbers);
}

/// A number as the sum of two floats, the second small.
struct Pair {
  Vec high;
  Vec low;
};

/// a + b; exact but for what is added to `low`. Source: Knuth, TAOCP vol. 2, section 4.2.2.
ATTENTION_INLINE Pair sum_of(Pair a, Vec b) {
  const Vec sum = add(a.high, b);
  const Vec b_part = sub(sum, a.high);
  const Vec error = add(sub(a.high, sub(sum, b_part)), sub(b, b_part));
  return {.high = sum, .low = add(a.low, error)};
}

ATTENTION_INLINE Pair product_of(Pair a, Vec b) {
  const Vec product = mul(a.high, b);
  const Vec error = fma(a.high, b, sub(zero(), product));
  return {.high = product, .low = fma(a.low, b, error)};
}

/// softcap * tanh(score / softcap). What the argument lacks counts by the slope, 1 - tanh^2.
ATTENTION_INLINE Pair capped(Pair score, Vec cap) {
  const Vec capped_high = capped_tanh(cap, div(score.high, cap));
  const Vec part = div(capped_high, cap);
  const Vec slope = fma(sub(zero(), part), part, set1(1.0F));
  return {.high = capped_high, .low = mul(score.low, slope)};
}

/// The places of a row's scores of a block.
struct RowScores {
  float* high;
  float* low;  // null: 0
};

/// Brings scores into the units of score_units, blocked cells to -inf; returns the largest, or
/// -inf. (The largest ignores NaN, as max does.)
float finish_scores(const SdpaHead& head, const SdpaRows& rows, const RowBlock& block,
                    RowView& view, const RowScores& scores) {
  const ScoreUnits units = score_units(head);
  const Vec scale = set1(units.in_pass);
  const Vec slope = set1(-rows.slope[block.lane]);
  const Vec position = set1(rows.position[block.lane]);
  // Beyond them, the small part would not be small among the exponents; and it is not NaN.
  const Vec most = set1(0x1p26F / units.to_log2);
  const Vec most_low = set1(4.0F / units.to_log2);
  Vec largest_score = set1(-kInfinity);
  for (Index n = 0; n < block.size; n += kLanes) {
    Pair score = {.high = load(scores.high + n),
                  .low = scores.low == nullptr ? zero() : load(scores.low + n)};
    if (units.have_pass) {
      score = product_of(score, scale);
    }
    if (head.softcap > 0) {
      score = capped(score, set1(head.softcap));
    }
    if (head.has_alibi) {
      const Vec key = add(set1(static_cast<float>(block.begin + n)), lane_numbers());
      const Pair bias = product_of({.high = abs(sub(position, key)), .low = zero()}, slope);
      score = sum_of(score, bias.high);
      score.low = add(score.low, bias.low);
    }
    if (head.mask_use == MaskUse::add) {
      score = sum_of(score, bias_of_row(head, rows, block, n, view));
    }
    score.high = select(mask_of(view.lanes_from(n)), score.high, set1(-kInfinity));
    store(scores.high + n, score.high);
    if (scores.low != nullptr) {
      const Vec low = select(less(abs(score.high), most), score.low, zero());
      store(scores.low + n, select(less(abs(low), most_low), low, zero()));
    }
    largest_score = max(score.high, largest_score);
  }
  float lanes[kLanes];
  store(lanes, largest_score);
  float found = -kInfinity;
  for (const float lane : lanes) {
    found = lane > found ? lane : found;
  }
  return found;
}

/// 2^(exponent), by which what is relative to the maximum `before` shrinks when it becomes relative
/// to `after`; exactly 1 if they are the same, 0 if nothing but -inf was seen before. In all lanes.
ATTENTION_INLINE Vec shrink_factor(float to_log2, float before, float after) {
  const Exponents<true> old_exponents(to_log2, set1(before));
  const Exponents<true> exponents(to_log2, set1(after));
  const Vec shift = old_exponents.relative_to(exponents);
  return exp2(before == -kInfinity ? set1(-kInfinity) : shift);
}

/// Replaces the scores by exp2(exponents); adds them to the lanes of sum.
template <bool kAnyLarge, bool kLow>
ATTENTION_INLINE void exponentiate_row(const Exponents<kAnyLarge>& exponents, Index size,
                                       const RowScores& scores, float* sum) {
  Vec total = load(sum);
  const auto step = [&]<int kCount>(Index n) __attribute__((always_inline)) {
    Vec x[kCount];
#pragma GCC unroll 4
    for (int i = 0; i < kCount; ++i) {
      const Index at = n + i * kLanes;
      x[i] = exponents.of(load(scores.high + at));
      x[i] = kLow ? fma(load(scores.low + at), exponents.to_log2, x[i]) : x[i];
    }
    exp2(x);
#pragma GCC unroll 4
    for (int i = 0; i < kCount; ++i) {
      store(scores.high + n + i * kLanes, x[i]);
      total = add(total, x[i]);
    }
  };
  Index n = 0;
  for (; n + 4 * kLanes <= size; n += 4 * kLanes) {
    step.template operator()<4>(n);
  }
  for (; n < size; n += kLanes) {
    step.template operator()<1>(n);
  }
  store(sum, total);
}

/// Dropout of a row's weights: those that are dropped become 0, and their keys are no longer seen.
/// Keys lie in lanes, and each needs one word of the four.
void drop_row(const SdpaHead& head, const SdpaRows& rows, const RowBlock& block, RowView& view,
              float* weights) {
  constexpr std::uint32_t kEveryFourth = 0x11111111U & kAllLanes;
  const Words query = set1_words(rows.query[block.lane]);
  const Words head_of_row = set1_words(rows.head[block.lane]);
  for (Index n = 0; n < block.size; n += kLanes) {
    std::uint32_t quarters[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) {
      quarters[lane] = static_cast<std::uint32_t>((block.begin + n + lane) / 4);
    }
    Words words[4];
    words_of_weights(head.dropout.key, load_words(quarters), query, head_of_row, words);
    std::uint32_t kept = 0;
    for (int i = 0; i < 4; ++i) {
      kept |= kept_lanes(head.dropout, words[i]) & (kEveryFourth << i);
    }
    const std::uint64_t dropped = ~kept & kAllLanes;
    view.words[n / 64] &= ~(dropped << (n % 64));
    store(weights + n, select(mask_of(kept), load(weights + n), zero()));
  }
}

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
