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

/// A block of keys: its first key, how many there are, the rows of keys and values from there, as
/// products of type T take them, and which of them the task reads.
template <class T>
struct KeyBlock {
  Index begin;
  Index size;
  MatrixOf<T> keys;
  MatrixOf<T> values;
  KeyRange seen;
  Finite finite;
  bool drops_values;  // some values are denormal, and the products drop such
};

/// What is computed of a block for one panel.
struct BlockScratch {
  float* scores;         // kBlock lane rows
  float* weights;        // kBlock lane rows, by terms of keys; may be the scores
  float* residual;       // as weights, of few keys: what their rounding took off
  float* bias;           // kBlock lane rows, for an additive mask
  std::uint64_t* words;  // kBlock: the lanes that see a key
  float* largest;        // one lane row: of the scores
  float* factor;         // one lane row: by which what was summed before shrinks
};

/// Scores again, in float, for the lanes whose scores the products do not get right.
template <class T>
void score_by_hand(const SdpaHead& head, const Panel& panel, const BlockView& view,
                   MatrixOf<T> keys, float* scores) {
  constexpr Index kElements = Term<T>::kElements;
  for (int w = 0; w < kVectors; ++w) {
    const int lane = w * kLanes;
    const auto lanes = static_cast<std::uint32_t>(panel.by_hand >> lane) & kAllLanes;
    for (Index n = view.begin(); n < view.range.end[w] && lanes != 0; ++n) {
      Vec sum = zero();
      for (Index d = 0; d < head.D; ++d) {
        const Vec row = load(panel.queries + d / kElements * kPanel + lane);
        const T key = keys.data[n * keys.row + d / kElements * keys.column + d % kElements];
        sum = fma(Term<T>::element(row, d % kElements), set1(as_float(key)), sum);
      }
      float* const place = scores + n * kPanel + lane;
      store(place, select(mask_of(lanes), sum, load(place)));
    }
  }
}

/// The scores of a block, blocked cells -inf, and each lane's largest.
template <class T>
void score_visible(const SdpaHead& head, const Panel& panel, const BlockView& view,
                   const KeyBlock<T>& block, const BlockScratch& scratch) {
  const ScoreUnits units = score_units(head);
  const Queries queries = {.data = panel.queries, .terms = term_count<T>(head.D)};
  float* const scores = scratch.scores;
  for (int lane = 0; lane < kPanel; lane += kLanes) {
    store(scratch.largest + lane, set1(-kInfinity));
  }
  const bool by_hand = Term<T>::kDropsDenormals && panel.by_hand != 0;
  if (!units.have_pass && !by_hand) {
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
  if (by_hand) {
    score_by_hand(head, panel, view, block.keys, scores);
  }
  if (head.softcap > 0) {
    cap_scores(view, units.in_pass, head.softcap, scores);
  } else if (units.have_pass) {
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
inline Raised raise_maximum(const Panel& panel, float to_log2, const float* largest_score,
                            float* factor) {
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

/// Keys that share a term with the first or last of [begin, end) but are not in it get the score
/// -inf, for kWidth vectors.
template <int kWidth, class T>
ATTENTION_INLINE void fill_terms(KeyRange keys, float* scores) {
  const KeyRange terms = terms_of<T>(keys);
  const auto fill = [&](Index begin, Index end) __attribute__((always_inline)) {
    for (Index n = begin; n < end; ++n) {
      for (int w = 0; w < kWidth; ++w) {
        store(scores + n * kPanel + w * kLanes, set1(-kInfinity));
      }
    }
  };
  fill(terms.begin * Term<T>::kElements, keys.begin);
  fill(keys.end, terms.end * Term<T>::kElements);
}

/// weights = exp2(exponents of the scores) for kWidth vectors of the keys [begin, end), a term of
/// keys to a lane row; adds them to sum.
template <bool kAnyLarge, int kWidth, class T>
__attribute__((noinline)) void exponentials_of(float* scores, float to_log2, const float* maximum,
                                               KeyRange keys, float* weights, float* sum) {
  constexpr int kKeys = Term<T>::kElements;
  if (keys.begin >= keys.end) {
    return;
  }
  fill_terms<kWidth, T>(keys, scores);
  Exponents<kAnyLarge> exponents[kWidth];
  Vec total[kWidth];
#pragma GCC unroll 8
  for (int w = 0; w < kWidth; ++w) {
    exponents[w] = Exponents<kAnyLarge>(to_log2, load(maximum + w * kLanes));
    total[w] = load(sum + w * kLanes);
  }
  const KeyRange terms = terms_of<T>(keys);
  for (Index n = terms.begin; n < terms.end; ++n) {
    Vec x[kKeys * kWidth];  // vector w of key k at k * kWidth + w
#pragma GCC unroll 8
    for (int i = 0; i < kKeys * kWidth; ++i) {
      const Index key = n * kKeys + i / kWidth;
      x[i] = exponents[i % kWidth].of(load(scores + key * kPanel + i % kWidth * kLanes));
    }
    exp2(x);
#pragma GCC unroll 8
    for (int w = 0; w < kWidth; ++w) {
      store(weights + n * kPanel + w * kLanes, Term<T>::joined(x[w], x[(kKeys - 1) * kWidth + w]));
    }
#pragma GCC unroll 8
    for (int i = 0; i < kKeys * kWidth; ++i) {
      total[i % kWidth] = add(total[i % kWidth], x[i]);
    }
  }
#pragma GCC unroll 8
  for (int w = 0; w < kWidth; ++w) {
    store(sum + w * kLanes, total[w]);
  }
}

/// The weights of a block for the vectors from kFirst, kStep at a time: the first ones may see
/// fewer keys than the last ones.
template <bool kAnyLarge, class T, int kWidth, int kFirst = 0>
ATTENTION_INLINE void exponentials_by(const Panel& panel, float to_log2, const BlockView& view,
                                      float* scores, float* weights, float* sum) {
  if constexpr (kFirst < kVectors) {
    constexpr int kLane = kFirst * kLanes;
    exponentials_of<kAnyLarge, kWidth, T>(scores + kLane, to_log2, panel.maximum + kLane,
                                          {.begin = view.begin(), .end = view.range.end[kFirst]},
                                          weights + kLane, sum + kLane);
    exponentials_by<kAnyLarge, T, kWidth, kFirst + kWidth>(panel, to_log2, view, scores, weights,
                                                           sum);
  }
}

/// Joins the weights of a vector, a lane row for each key, to terms, in place; their residual
/// likewise.
template <class T>
void split_weights(KeyRange keys, float* weights, float* residual) {
  constexpr Index kElements = Term<T>::kElements;
  const auto weight_of = [&](Index n) __attribute__((always_inline)) {
    return n < keys.begin || n >= keys.end ? zero() : load(weights + n * kPanel);
  };
  const KeyRange terms = terms_of<T>(keys);
  for (Index n = terms.begin; n < terms.end; ++n) {
    const Vec first = weight_of(n * kElements);
    const Vec last = weight_of(n * kElements + kElements - 1);
    const Vec rounded = Term<T>::joined(first, last);
    store(weights + n * kPanel, rounded);
    store(residual + n * kPanel,
          Term<T>::joined(sub(first, Term<T>::element(rounded, 0)),
                          sub(last, Term<T>::element(rounded, kElements - 1))));
  }
}

/// The weights of a block and, for the vectors with few keys, their residual.
template <bool kAnyLarge, class T>
void exponentials_with_residual(const Panel& panel, float to_log2, const BlockView& view,
                                const BlockScratch& scratch, float* sum) {
  const FewKeys& few = view.few;
  for (int w = 0; w < kVectors; ++w) {
    const int lane = w * kLanes;
    const KeyRange keys = {.begin = view.begin(), .end = view.range.end[w]};
    float* const residual = scratch.residual + lane;
    if (((few.vectors >> w) & 1U) != 0) {
      exponentials_of<kAnyLarge, 1, float>(scratch.scores + lane, to_log2, panel.maximum + lane,
                                           keys, scratch.weights + lane, sum + lane);
      split_weights<T>(keys, scratch.weights + lane, residual);
      continue;
    }
    exponentials_of<kAnyLarge, 1, T>(scratch.scores + lane, to_log2, panel.maximum + lane, keys,
                                     scratch.weights + lane, sum + lane);
    const KeyRange terms = terms_of<T>(KeyRange{.begin = keys.begin, .end = few.range.end[w]});
    for (Index n = terms.begin; n < terms.end; ++n) {
      store(residual + n * kPanel, zero());
    }
  }
}

/// The weights of a block, and what they add to the sum: the block is added up by itself, then
/// joins the rest.
template <bool kAnyLarge, class T>
void exponentiate(const Panel& panel, float to_log2, const BlockView& view,
                  const BlockScratch& scratch) {
  float* const scores = scratch.scores;
  float* const weights = scratch.weights;
  float block_sum[kPanel] = {};
  const Index* const ends = view.range.end;
  if (view.few.vectors != 0) {
    exponentials_with_residual<kAnyLarge, T>(panel, to_log2, view, scratch, block_sum);
  } else if (ends[0] == ends[kVectors - 1]) {
    exponentials_by<kAnyLarge, T, kGroup / Term<T>::kElements>(panel, to_log2, view, scores,
                                                               weights, block_sum);
  } else {
    exponentials_by<kAnyLarge, T, kStep>(panel, to_log2, view, scores, weights, block_sum);
  }
  for (int lane = 0; lane < kPanel; lane += kLanes) {
    store(panel.sum + lane,
          fma(load(panel.sum + lane), load(scratch.factor + lane), load(block_sum + lane)));
  }
}

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
