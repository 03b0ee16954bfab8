#pragma once

#include <attention/kernels/isa/elements.hpp>

/// Private to the sources of the instruction sets: the two products for a few queries. Features in
/// lanes, rows of keys and values read in place and contiguous: each is read once, as a stream.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

/// Rows of keys or of values, one after the other `row` elements apart; contiguous within a row.
template <class T>
struct Rows {
  const T* data;
  Index row;

  ATTENTION_INLINE const T* at(Index n) const { return data + n * row; }
};

/// The number of floats that whole vectors for `count` of them hold.
ATTENTION_INLINE Index padded(Index count) {
  return (count + kLanes - 1) / kLanes * kLanes;
}

/// Sums that are added up side by side: a chain of sums waits for itself.
constexpr int kChains = 4;

/// Features of keys that are multiplied in one round, as pairs of vectors.
constexpr Index kRound = Index{kChains} * kLanes;

/// Whether T has products of two elements at once; see Term.
template <class T>
inline constexpr bool kHasJoined = false;
#if defined(__AVX512BF16__)
template <>
inline constexpr bool kHasJoined<Bfloat16> = true;
#endif

/// How 2 kLanes features of a query wait at q, and are multiplied with those of a key, in kSums
/// sums. kJoined: two features to a word.
template <class T, bool kJoined>
struct FeaturePair {
  static constexpr int kSums = 2;
  static ATTENTION_INLINE void keep(float* q, Vec (&x)[2]) {
    to_pair_order(static_cast<const T*>(nullptr), x);
    store(q, x[0]);
    store(q + kLanes, x[1]);
  }
  static ATTENTION_INLINE void add_products(const float* q, const T* key, Vec* sums) {
    Vec pair[2];
    load_pair(key, pair);
    sums[0] = fma(load(q), pair[0], sums[0]);
    sums[1] = fma(load(q + kLanes), pair[1], sums[1]);
  }
};
#if defined(__AVX512BF16__)
/// As the keys lie: two to a word.
template <>
struct FeaturePair<Bfloat16, true> {
  static constexpr int kSums = 1;
  static ATTENTION_INLINE void keep(float* q, Vec (&x)[2]) {
    to_pair_order(static_cast<const Bfloat16*>(nullptr), x);
    store(q, pairs_of(x[0], x[1]));
  }
  static ATTENTION_INLINE void add_products(const float* q, const Bfloat16* key, Vec* sums) {
    sums[0] = fma_pairs(load(q), load(reinterpret_cast<const float*>(key)), sums[0]);
  }
};
#endif

/// Brings the features of a query into the form in which products_of_key takes them.
template <class T, bool kJoined>
ATTENTION_INLINE void to_order_of_keys(float* q, Index D) {
  for (Index d = 0; d + kRound <= D; d += kRound) {
    for (Index at = d; at < d + kRound; at += 2 * kLanes) {
      Vec x[2] = {load(q + at), load(q + at + kLanes)};
      FeaturePair<T, kJoined>::keep(q + at, x);
    }
  }
}

/// The sum of a few vectors.
template <class V, int kCount>
ATTENTION_INLINE V total_of(const V (&sum)[kCount]) {
  static_assert(kCount == 2 || kCount == 4);
  return kCount == 2 ? sum[0] + sum[1] : (sum[0] + sum[1]) + (sum[kCount - 2] + sum[kCount - 1]);
}

/// The features of one key times those of a query, in several sums, which together make one vector.
/// kRounds * kRound features where that is D; any D with kRounds = 0.
template <int kRounds, bool kJoined, class T>
ATTENTION_INLINE Vec products_of_key(const float* q, const T* key, Index D) {
  constexpr int kSums = FeaturePair<T, kJoined>::kSums;
  Vec sum[kChains / 2 * kSums];
#pragma GCC unroll 4
  for (Vec& part : sum) {
    part = zero();
  }
  const auto add_round = [&](Index d) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int i = 0; i < kChains / 2; ++i) {
      const Index at = d + i * 2 * kLanes;
      FeaturePair<T, kJoined>::add_products(q + at, key + at, sum + i * kSums);
    }
  };
#pragma GCC unroll 8
  for (int round = 0; round < kRounds; ++round) {
    add_round(round * kRound);
  }
  if (kRounds == 0) {
    Index d = 0;
    for (; d + kRound <= D; d += kRound) {
      add_round(d);
    }
    for (; d + kLanes <= D; d += kLanes) {
      sum[0] = fma(load(q + d), load_converted(key + d), sum[0]);
    }
    if (d < D) {
      sum[1] = fma(load(q + d), load_strided(key + d, 1, D - d), sum[1]);
    }
  }
  return total_of(sum);
}

/// The same in double, where products of floats are exact.
template <int kRounds>
ATTENTION_INLINE Wide exact_products_of_key(const double* q, const float* key, Index D) {
  constexpr int kHalf = kLanes / 2;
  constexpr Index kHalfRound = Index{kChains} * kHalf;
  Wide sum[kChains] = {};
  const auto add_round = [&](Index d) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int i = 0; i < kChains; ++i) {
      sum[i] = fma(load_wide(q + d + i * kHalf), widened(key + d + i * kHalf), sum[i]);
    }
  };
#pragma GCC unroll 8
  for (int round = 0; round < 2 * kRounds; ++round) {
    add_round(round * kHalfRound);
  }
  double rest = 0;
  if (kRounds == 0) {
    Index d = 0;
    for (; d + kHalfRound <= D; d += kHalfRound) {
      add_round(d);
    }
    for (; d < D; ++d) {
      rest += q[d] * static_cast<double>(key[d]);
    }
  }
  Wide total = total_of(sum);
  if (kRounds == 0) {
    total[0] += rest;
  }
  return total;
}

/// A query, and the places of its scores: score n is high[n] + low[n]. Without exact products, low
/// is 0 and not written.
struct ScoredQuery {
  const float* features;
  const double* wide_features;
  float* high;
  float* low;
};

/// The scores of `count` <= kLanes keys; whole vectors are written.
///
/// kExact: made in double, where a product of two floats is exact, and kept in two floats. (The
/// naive order of sums cannot be kept where features lie in lanes, and for large scores another
/// order's rounding errors show in the weights. For 16-bit keys, whose own rounding is much larger,
/// float will do.)
///
/// One key after the other, as they lie in memory: the processor fetches ahead for one stream that
/// it foresees, not for kLanes streams side by side, which reach half of the bandwidth.
template <bool kExact, int kRounds, bool kJoined, bool kAll, class T>
ATTENTION_INLINE void score_some(const ScoredQuery& query, Rows<T> keys, Index D, Index count) {
  if constexpr (kExact) {
    constexpr int kHalf = kLanes / 2;
    for (int begin = 0; begin < kLanes; begin += kHalf) {
      Wide products[kHalf];
#pragma GCC unroll 8
      for (int n = 0; n < kHalf; ++n) {
        products[n] = kAll || begin + n < count ? exact_products_of_key<kRounds>(
                                                      query.wide_features, keys.at(begin + n), D)
                                                : Wide{};
      }
      const Wide scores = sums_of_lanes(products);
      store_rounded(query.high + begin, scores);
      store_rounded(query.low + begin, scores - widened(query.high + begin));
    }
  } else {
    Vec products[kLanes];
#pragma GCC unroll 1
    for (int n = 0; n < kLanes; ++n) {
      products[n] = kAll || n < count
                        ? products_of_key<kRounds, kJoined>(query.features, keys.at(n), D)
                        : zero();
    }
    store(query.high, sums_of_lanes(products));
  }
}
template <bool kExact, int kRounds, bool kJoined, class T>
ATTENTION_INLINE void score_keys(const ScoredQuery& query, Rows<T> keys, Index D, Index count) {
  if (count >= kLanes) {
    score_some<kExact, kRounds, kJoined, true>(query, keys, D, count);
  } else {
    score_some<kExact, kRounds, kJoined, false>(query, keys, D, count);
  }
}

/// out[c] += weights[n] * value n, column c, over the keys [range.begin, range.end) in their order,
/// for kPairs pairs of vectors of columns.
template <int kPairs, class T>
ATTENTION_INLINE void add_columns(const float* weights, Rows<T> values, KeyRange range,
                                  float* out) {
  Vec sum[kPairs][2];
#pragma GCC unroll 4
  for (int p = 0; p < kPairs; ++p) {
    float* const place = out + p * 2 * kLanes;
    sum[p][0] = load(place);
    sum[p][1] = load(place + kLanes);
    to_pair_order(values.data, sum[p]);
  }
  const T* value = values.at(range.begin);
  for (Index n = range.begin; n < range.end; ++n) {
    const Vec weight = set1(weights[n]);
#pragma GCC unroll 4
    for (int p = 0; p < kPairs; ++p) {
      Vec pair[2];
      load_pair(value + p * 2 * kLanes, pair);
      sum[p][0] = fma(weight, pair[0], sum[p][0]);
      sum[p][1] = fma(weight, pair[1], sum[p][1]);
    }
    value += values.row;
  }
#pragma GCC unroll 4
  for (int p = 0; p < kPairs; ++p) {
    float* const place = out + p * 2 * kLanes;
    from_pair_order(values.data, sum[p]);
    store(place, sum[p][0]);
    store(place + kLanes, sum[p][1]);
  }
}

/// The columns that add_columns takes at most.
constexpr Index kMostColumns = Index{8} * kLanes;

/// The same for all Dv columns of a few keys.
template <class T>
ATTENTION_INLINE void add_all_columns(const float* weights, Rows<T> values, KeyRange range,
                                      Index Dv, float* out) {
  Index c = 0;
  const auto from_column = [&] { return Rows<T>{.data = values.data + c, .row = values.row}; };
  for (; c + kMostColumns <= Dv; c += kMostColumns) {
    add_columns<4>(weights, from_column(), range, out + c);
  }
  for (; c + 4 * kLanes <= Dv; c += 4 * kLanes) {
    add_columns<2>(weights, from_column(), range, out + c);
  }
  for (; c + 2 * kLanes <= Dv; c += 2 * kLanes) {
    add_columns<1>(weights, from_column(), range, out + c);
  }
  for (; c < Dv; c += kLanes) {
    Vec sum = load(out + c);
    for (Index n = range.begin; n < range.end; ++n) {
      sum = fma(set1(weights[n]), load_strided(values.at(n) + c, 1, Dv - c), sum);
    }
    store(out + c, sum);
  }
}

/// The same for all keys of the range. Where several passes are needed for the columns, only a few
/// keys are taken at a time: again one stream of memory.
template <class T>
__attribute__((noinline)) void add_weighted_values(const float* weights, Rows<T> values,
                                                   KeyRange range, Index Dv, float* out) {
  const Index step = Dv <= kMostColumns ? range.end - range.begin : Dv <= 2 * kMostColumns ? 4 : 1;
  for (Index n = range.begin; n < range.end; n += step) {
    add_all_columns(weights, values, {.begin = n, .end = least(n + step, range.end)}, Dv, out);
  }
}

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
