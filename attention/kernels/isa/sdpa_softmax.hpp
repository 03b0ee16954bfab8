#pragma once

#include <attention/kernels/isa/sdpa_visibility.hpp>

/// Private to the sources of the instruction sets: from products to weights, lane by lane down the
/// keys of a block.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

/// Calls body(n, lane) for each vector of the block that is computed, key by key.
template <class Body>
ATTENTION_INLINE void for_each_vector(const BlockView& view, const Body& body) {
  Index begin = view.begin();
  for (int first = 0; first < kVectors; first += kStep) {
    for (Index n = begin; n < view.range.end[first]; ++n) {
      for (int w = first; w < kVectors; ++w) {
        body(n, w * kLanes);
      }
    }
    begin = largest(begin, view.range.end[first]);
  }
}

/// scores *= factor.
void scale_scores(const BlockView& view, float factor, float* scores) {
  for_each_vector(view, [&](Index n, int lane) __attribute__((always_inline)) {
    float* const place = scores + n * kPanel + lane;
    store(place, mul(load(place), set1(factor)));
  });
}

/// scores = softcap * tanh(scores * factor / softcap).
void cap_scores(const BlockView& view, float factor, float softcap, float* scores) {
  const Vec cap = set1(softcap);
  for_each_vector(view, [&](Index n, int lane) __attribute__((always_inline)) {
    float* const place = scores + n * kPanel + lane;
    store(place, capped_tanh(cap, div(mul(load(place), set1(factor)), cap)));
  });
}

/// scores -= slope * |position - key|.
void add_alibi(const BlockView& view, const SdpaRows& rows, Index block, float* scores) {
  for_each_vector(view, [&](Index n, int lane) __attribute__((always_inline)) {
    float* const place = scores + n * kPanel + lane;
    const Vec distance = abs(sub(load(rows.position + lane), set1(static_cast<float>(block + n))));
    store(place, fma(sub(zero(), load(rows.slope + lane)), distance, load(place)));
  });
}

void add_bias(const BlockView& view, const float* bias, float* scores) {
  for_each_vector(view, [&](Index n, int lane) __attribute__((always_inline)) {
    float* const place = scores + n * kPanel + lane;
    store(place, add(load(place), load(bias + n * kPanel + lane)));
  });
}

/// Of the keys from `begin`, blocked cells become -inf, and the others go into the maximum.
void select_visible(const BlockView& view, Index begin, const std::uint64_t* words, float* scores,
                    float* maximum) {
  for (int w = 0; w < kVectors; ++w) {
    const int lane = w * kLanes;
    Vec largest_score = load(maximum + lane);
    for (Index n = begin; n < view.range.end[w]; ++n) {
      float* const place = scores + n * kPanel + lane;
      const Vec score = view.visible == Visible::all
                            ? load(place)
                            : select(mask_of(static_cast<std::uint32_t>(words[n] >> lane)),
                                     load(place), set1(-kInfinity));
      store(place, score);
      largest_score = max(score, largest_score);
    }
    store(maximum + lane, largest_score);
  }
}

/// Whether all values of a block are finite; found out when somebody asks.
enum class Finite : std::uint8_t { unknown, no, yes };

/// A block of keys: its first key, how many there are, the rows of keys and values from there, and
/// which of them the task reads.
struct KeyBlock {
  Index begin;
  Index size;
  Matrix keys;
  Matrix values;
  KeyRange seen;
  Finite finite;
};

/// What is computed of a block for one panel.
struct BlockScratch {
  float* scores;         // kBlock lane rows
  float* weights;        // kBlock lane rows; may be the scores
  float* bias;           // kBlock lane rows, for an additive mask
  std::uint64_t* words;  // kBlock: the lanes that see a key
  float* largest;        // one lane row: of the scores
  float* factor;         // one lane row: by which what was summed before shrinks
};

/// The scores of a block, blocked cells -inf, and each lane's largest.
void score_visible(const SdpaHead& head, const Panel& panel, const BlockView& view,
                   const KeyBlock& block, const BlockScratch& scratch) {
  const ScoreUnits units = score_units(head);
  const Queries queries = {.data = panel.queries, .D = head.D};
  float* const scores = scratch.scores;
  for (int lane = 0; lane < kPanel; lane += kLanes) {
    store(scratch.largest + lane, set1(-kInfinity));
  }
  if (!units.have_pass) {
    VectorRange shared = view.range;
    VectorRange rest = view.range;
    for (Index& end : shared.end) {
      end = least(end, view.shared_end);
    }
    rest.begin = view.shared_end;
    score_block<true>(queries, block.keys, shared, scores, scratch.largest);
    score_block<false>(queries, block.keys, rest, scores, scratch.largest);
    select_visible(view, view.shared_end, scratch.words, scores, scratch.largest);
    return;
  }
  score_block<false>(queries, block.keys, view.range, scores, scratch.largest);
  if (head.softcap > 0) {
    cap_scores(view, units.in_pass, head.softcap, scores);
  } else {
    scale_scores(view, units.in_pass, scores);
  }
  if (head.has_alibi) {
    add_alibi(view, *panel.rows, block.begin, scores);
  }
  if (head.mask_use == MaskUse::add) {
    add_bias(view, scratch.bias, scores);
  }
  select_visible(view, view.begin(), scratch.words, scores, scratch.largest);
}

/// What raising the maximum of a panel found.
struct Raised {
  bool changed;    // some lane's maximum
  bool any_large;  // see Exponents
};

/// Takes over what a block raises the maximum to. factor = exp2(old - new), by which what was
/// summed up to here shrinks; exactly 1 where nothing changed.
Raised raise_maximum(const Panel& panel, float to_log2, const float* largest_score, float* factor) {
  Raised raised = {.changed = false, .any_large = false};
  for (int lane = 0; lane < kPanel; lane += kLanes) {
    const Vec before = load(panel.maximum + lane);
    const Vec after = max(load(largest_score + lane), before);
    const Exponents<true> old_exponents(to_log2, before);
    const Exponents<true> exponents(to_log2, after);
    raised.changed = raised.changed || bits_of(equal(before, after)) != kAllLanes;
    raised.any_large = raised.any_large || bits_of(exponents.large) != 0;
    const Vec shift = select(equal(before, set1(-kInfinity)), set1(-kInfinity),
                             old_exponents.relative_to(exponents));
    store(factor + lane, exp2(shift));
    store(panel.maximum + lane, after);
  }
  return raised;
}

/// weights = exp2(exponents of the scores) for kWidth vectors of the keys [begin, end); adds them
/// to sum.
template <bool kAnyLarge, int kWidth>
__attribute__((noinline)) void exponentials_of(const float* scores, float to_log2,
                                               const float* maximum, KeyRange keys, float* weights,
                                               float* sum) {
  Exponents<kAnyLarge> exponents[kWidth];
  Vec total[kWidth];
#pragma GCC unroll 8
  for (int w = 0; w < kWidth; ++w) {
    exponents[w] = Exponents<kAnyLarge>(to_log2, load(maximum + w * kLanes));
    total[w] = load(sum + w * kLanes);
  }
  for (Index n = keys.begin; n < keys.end; ++n) {
    Vec x[kWidth];
#pragma GCC unroll 8
    for (int w = 0; w < kWidth; ++w) {
      x[w] = exponents[w].of(load(scores + n * kPanel + w * kLanes));
    }
    exp2(x);
#pragma GCC unroll 8
    for (int w = 0; w < kWidth; ++w) {
      store(weights + n * kPanel + w * kLanes, x[w]);
      total[w] = add(total[w], x[w]);
    }
  }
#pragma GCC unroll 8
  for (int w = 0; w < kWidth; ++w) {
    store(sum + w * kLanes, total[w]);
  }
}

/// The weights of a block for the vectors from kFirst, which may see fewer keys than the last ones.
template <bool kAnyLarge, int kFirst = 0>
ATTENTION_INLINE void exponentials_by_step(const Panel& panel, float to_log2, const BlockView& view,
                                           const float* scores, float* weights, float* sum) {
  if constexpr (kFirst < kVectors) {
    constexpr int kLane = kFirst * kLanes;
    exponentials_of<kAnyLarge, kStep>(scores + kLane, to_log2, panel.maximum + kLane,
                                      {.begin = view.begin(), .end = view.range.end[kFirst]},
                                      weights + kLane, sum + kLane);
    exponentials_by_step<kAnyLarge, kFirst + kStep>(panel, to_log2, view, scores, weights, sum);
  }
}

/// The weights of a block, and what they add to the sum: the block is added up by itself, then
/// joins the rest.
template <bool kAnyLarge>
void exponentiate(const Panel& panel, float to_log2, const BlockView& view,
                  const BlockScratch& scratch) {
  const float* const scores = scratch.scores;
  float* const weights = scratch.weights;
  float block_sum[kPanel] = {};
  const Index* const ends = view.range.end;
  if (ends[0] == ends[kVectors - 1]) {
#pragma GCC unroll 4
    for (int w = 0; w < kVectors; w += kGroup) {
      const int lane = w * kLanes;
      exponentials_of<kAnyLarge, kGroup>(scores + lane, to_log2, panel.maximum + lane,
                                         {.begin = view.begin(), .end = ends[0]}, weights + lane,
                                         block_sum + lane);
    }
  } else {
    exponentials_by_step<kAnyLarge>(panel, to_log2, view, scores, weights, block_sum);
  }
  for (int lane = 0; lane < kPanel; lane += kLanes) {
    store(panel.sum + lane,
          fma(load(panel.sum + lane), load(scratch.factor + lane), load(block_sum + lane)));
  }
}

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
