#pragma once

#include <attention/kernels/isa/elements.hpp>
#include <attention/kernels/isa/panel_shape.hpp>

/// Private to the sources of the instruction sets: the inner loop of every product of a panel.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

/// A term of a sum of products: kElements of a row times the kElements at p, which are the same for
/// all lanes. A lane of a lane row holds kElements, made by `joined` (or `joined_exactly`, where no
/// number needs rounding), given back by `element`.
template <class T>
struct Term;
template <>
struct Term<float> {
  static constexpr int kElements = 1;
  static constexpr bool kDropsDenormals = false;
  static ATTENTION_INLINE Vec factor(const float* p) { return set1(*p); }
  static ATTENTION_INLINE Vec add(Vec row, Vec factor, Vec sum) { return fma(row, factor, sum); }
  static ATTENTION_INLINE Vec joined(Vec first, Vec /*last*/) { return first; }
  static ATTENTION_INLINE Vec joined_exactly(Vec first, Vec /*last*/) { return first; }
  static ATTENTION_INLINE Vec element(Vec row, Index /*n*/) { return row; }
};
#if defined(__AVX512BF16__)
template <>
struct Term<Bfloat16> {
  static constexpr int kElements = 2;
  static constexpr bool kDropsDenormals = true;
  static ATTENTION_INLINE Vec factor(const Bfloat16* p) { return set1_pair(p); }
  static ATTENTION_INLINE Vec add(Vec row, Vec factor, Vec sum) {
    return fma_pairs(row, factor, sum);
  }
  static ATTENTION_INLINE Vec joined(Vec first, Vec last) { return pairs_of(first, last); }
  static ATTENTION_INLINE Vec joined_exactly(Vec first, Vec last) {
    return pairs_of_bfloat16(first, last);
  }
  static ATTENTION_INLINE Vec element(Vec row, Index n) {
    return n == 0 ? first_of_pairs(row) : second_of_pairs(row);
  }
};
#endif

/// Terms of two elements take denormal numbers for 0. Values that are such are added by themselves;
/// queries need other products if they have such elements, or elements so large that those of keys
/// count: below 2^96 what is left out of a score is under 2^-30.
inline constexpr float kSmallestNormal = 0x1p-126F;

/// The lanes where x is a feature of such a query, or NaN.
ATTENTION_INLINE std::uint32_t lanes_to_multiply_singly(Vec x) {
  const Vec magnitude = abs(x);
  const std::uint32_t ordinary =
      bits_of(less(magnitude, set1(0x1p96F))) &
      ~(bits_of(less(magnitude, set1(kSmallestNormal))) & ~bits_of(equal(magnitude, zero())));
  return ~ordinary & kAllLanes;
}

/// The terms in which the elements from `begin` up to `end` lie.
template <class T>
ATTENTION_INLINE KeyRange terms_of(KeyRange elements) {
  constexpr Index kElements = Term<T>::kElements;
  return {.begin = elements.begin / kElements, .end = (elements.end + kElements - 1) / kElements};
}

/// The terms of so many elements.
template <class T>
ATTENTION_INLINE Index term_count(Index elements) {
  return terms_of<T>(KeyRange{.begin = 0, .end = elements}).end;
}

/// Sums of a tile begin at 0.
template <int kRows, int kWidth>
ATTENTION_INLINE void clear(Vec (&sum)[kRows][kWidth]) {
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int w = 0; w < kWidth; ++w) {
      sum[r][w] = zero();
    }
  }
}

/// sum[r][w] += vector w of lane row i * rows(r, i), over i < length in this order, for the vectors
/// from kFirst; `lanes` is where vector kFirst of lane row 0 lies.
template <int kFirst, int kWidth, int kRows, class T>
ATTENTION_INLINE void add_products(Vec (&sum)[kRows][kWidth], const float* lanes, MatrixOf<T> rows,
                                   Index length) {
  const T* from = rows.data;
  for (Index i = 0; i < length; ++i) {
    Vec row[kWidth - kFirst];
#pragma GCC unroll 8
    for (int w = kFirst; w < kWidth; ++w) {
      row[w - kFirst] = load(lanes + (w - kFirst) * kLanes);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const Vec factor = Term<T>::factor(from + r * rows.row);
#pragma GCC unroll 8
      for (int w = kFirst; w < kWidth; ++w) {
        sum[r][w] = Term<T>::add(row[w - kFirst], factor, sum[r][w]);
      }
    }
    lanes += kPanel;
    from += rows.column;
  }
}

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
