#pragma once

#include <attention/kernels/isa/product_tile.hpp>

/// Private to the sources of the instruction sets: the two products.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

/// The rows of a panel as the products read them: a lane row for each term of a product over D.
struct Queries {
  const float* data;
  Index terms;
};

/// The keys of a block that are worth computing: [begin, end[w]) for vector w. The ends do not fall
/// from vector to vector, and are the same within a kStep of vectors.
struct VectorRange {
  Index begin;
  Index end[kVectors];
};

/// The same, counted in terms; none for a vector without keys.
template <class T>
ATTENTION_INLINE VectorRange terms_of(const VectorRange& keys) {
  VectorRange terms = {};
  for (int w = 0; w < kVectors; ++w) {
    const KeyRange range = terms_of<T>(KeyRange{.begin = keys.begin, .end = keys.end[w]});
    terms.begin = range.begin;
    terms.end[w] = keys.begin < keys.end[w] ? range.end : range.begin;
  }
  return terms;
}

/// scores[n] = q . key n for the kKeys keys from `keys` and kWidth vectors, added up in the order
/// of d. With kMaximum, the maximum over them goes into `maximum`.
template <int kWidth, int kKeys, bool kMaximum, class T>
ATTENTION_INLINE void score_tile(Queries queries, MatrixOf<T> keys, float* scores, float* maximum) {
  Vec sum[kKeys][kWidth];
  clear(sum);
  add_products<0>(sum, queries.data, keys, queries.terms);
#pragma GCC unroll 8
  for (int w = 0; w < kWidth; ++w) {
    Vec largest_score = kMaximum ? load(maximum + w * kLanes) : zero();
#pragma GCC unroll 8
    for (int n = 0; n < kKeys; ++n) {
      store(scores + n * kPanel + w * kLanes, sum[n][w]);
      largest_score = max(sum[n][w], largest_score);
    }
    if (kMaximum) {
      store(maximum + w * kLanes, largest_score);
    }
  }
}

/// The keys [begin, end) of a block for the kWidth vectors from kFirst.
template <int kFirst, int kWidth, bool kMaximum, class T>
__attribute__((noinline)) void score_keys(Queries queries, MatrixOf<T> keys, Index begin, Index end,
                                          float* scores, float* maximum) {
  constexpr int kLane = kFirst * kLanes;
  const Queries lanes = {.data = queries.data + kLane, .terms = queries.terms};
  for_each_tile(begin, end, [&]<int kKeys>(Index n) __attribute__((always_inline)) {
    score_tile<kWidth, kKeys, kMaximum>(lanes, keys.from(n, 0), scores + n * kPanel + kLane,
                                        maximum + kLane);
  });
}

/// Scores of the keys of a range. The first vectors may see fewer keys than the last: where a panel
/// is one group, those that still see keys make a narrower tile; where it is several, each goes
/// through its own keys, so that its part of the queries stays in the innermost cache.
template <bool kMaximum, int kFirst = 0, class T>
ATTENTION_INLINE void score_block(Queries queries, MatrixOf<T> keys, VectorRange range,
                                  float* scores, float* maximum) {
  if constexpr (kFirst < kVectors) {
    constexpr int kWidth = kGroup == kVectors ? kVectors - kFirst : kGroup;
    const Index end = range.end[kFirst];
    if (range.begin < end) {
      score_keys<kFirst, kWidth, kMaximum>(queries, keys, range.begin, end, scores, maximum);
    }
    if (kGroup == kVectors) {
      range.begin = largest(range.begin, end);
    }
    score_block<kMaximum, kFirst + kStep>(queries, keys, range, scores, maximum);
  }
}

/// Adds the keys [begin, end) to a tile of sums, for its vectors from kFirst. Here and below keys
/// are counted in terms: where a term takes two, `values` has a row for two.
template <int kFirst, int kWidth, int kColumns, class T>
ATTENTION_INLINE void add_weighted(Vec (&sum)[kColumns][kWidth], const float* weights,
                                   MatrixOf<T> values, Index begin, Index end) {
  const MatrixOf<T> columns = {
      .data = values.data + begin * values.row, .row = values.column, .column = values.row};
  add_products<kFirst>(sum, weights + begin * kPanel + kFirst * kLanes, columns, end - begin);
}

/// The keys from begin for a tile of sums; those past a vector's end are not added to it.
template <int kWidth, int kColumns, int kFirst = 0, class T>
ATTENTION_INLINE void add_all_weighted(Vec (&sum)[kColumns][kWidth], const float* weights,
                                       MatrixOf<T> values, Index begin, const Index* ends) {
  if constexpr (kFirst < kWidth) {
    add_weighted<kFirst>(sum, weights, values, begin, ends[kFirst]);
    add_all_weighted<kWidth, kColumns, kFirst + kStep>(sum, weights, values,
                                                       largest(begin, ends[kFirst]), ends);
  }
}

/// out[c] = out[c] * factor + sum over the block's keys of weights[n] * value n, column c, for the
/// vectors from kVector, a group at a time; without factor (null), out is not multiplied. The block
/// is added up by itself first: rounding errors grow with the keys of a block and with the number
/// of blocks, not with their product.
template <int kColumns, int kVector = 0, class T>
ATTENTION_INLINE void value_tile(const float* weights, MatrixOf<T> values, const VectorRange& range,
                                 const float* factor, float* out) {
  if constexpr (kVector < kVectors) {
    Vec sum[kColumns][kGroup];
    clear(sum);
    add_all_weighted<kGroup>(sum, weights + kVector * kLanes, values, range.begin,
                             range.end + kVector);
#pragma GCC unroll 8
    for (int c = 0; c < kColumns; ++c) {
#pragma GCC unroll 8
      for (int w = 0; w < kGroup; ++w) {
        const int lane = (kVector + w) * kLanes;
        float* const place = out + c * kPanel + lane;
        store(place, factor == nullptr ? add(load(place), sum[c][w])
                                       : fma(load(place), load(factor + lane), sum[c][w]));
      }
    }
    value_tile<kColumns, kVector + kGroup>(weights, values, range, factor, out);
  }
}

/// All Dv columns of the values.
template <class T>
__attribute__((noinline)) void value_block(const float* weights, MatrixOf<T> values, Index Dv,
                                           const VectorRange& range, const float* factor,
                                           float* out) {
  for_each_tile(0, Dv, [&]<int kColumns>(Index c) __attribute__((always_inline)) {
    value_tile<kColumns>(weights, values.from(0, c), range, factor, out + c * kPanel);
  });
}

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
