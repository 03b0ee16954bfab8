#pragma once

#include <attention/kernels/isa/sdpa_tile.hpp>

/// Private to the sources of the instruction sets: queries, keys and values in the form in which
/// the terms of the products take them.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

/// Reads the queries of a panel into lane rows, times the sign of the scale: kLanes rows by kLanes
/// features at a time, transposed in registers. T: the element type; P: what a product takes.
template <class T, class P>
void pack_lane_rows(const SdpaHead& head, const SdpaRows& rows, float* queries) {
  constexpr int kElements = Term<P>::kElements;
  const Vec sign = set1(head.scale < 0 ? -1.0F : 1.0F);
  const Index stride = head.q_feature;
  for (int lane = rows.first; lane < kPanel; lane += kLanes) {
    const T* q[kLanes];
    for (int r = 0; r < kLanes; ++r) {
      q[r] = static_cast<const T*>(rows.q[lane + r]);
    }
    for (Index d = 0; d < head.D; d += kLanes) {
      Vec tile[kLanes];
      load_transposed(q, d, stride, head.D - d, tile);
      for (int r = 0; r < least(kLanes, head.D - d); r += kElements) {
        const Vec row =
            Term<P>::joined_exactly(mul(tile[r], sign), mul(tile[r + kElements - 1], sign));
        store(queries + (d + r) / kElements * kPanel + lane, row);
      }
    }
  }
}

/// How products take elements of type P: in lane rows of queries, and in matrices of keys and
/// values whose rows are keys, or terms of keys. The rows that are read of a block of keys are
/// read in place, or else in the form of P at `place`.
template <class P>
struct Operands;

template <>
struct Operands<float> {
  static void pack_queries(const SdpaHead& head, const SdpaRows& rows, float* queries) {
    switch (head.element) {
      case Element::bf16:
        return pack_lane_rows<Bfloat16, float>(head, rows, queries);
      case Element::f16:
        return pack_lane_rows<Float16, float>(head, rows, queries);
      default:
        return pack_lane_rows<float, float>(head, rows, queries);
    }
  }

  /// Floats that a block needs at `place`.
  static Index place_of_keys(const SdpaHead& head) {
    return head.element == Element::f32 ? 0 : kBlock * head.D;
  }
  static Index place_of_values(const SdpaHead& head) {
    return head.element == Element::f32 ? 0 : kBlock * head.Dv;
  }

  static Matrix keys(const SdpaHead& head, Index block, KeyRange rows, float* place) {
    return as_floats(at_element(head.k, head.element, block * head.k_row), head.element,
                     {.data = nullptr, .row = head.k_row, .column = head.k_feature}, rows, head.D,
                     place);
  }
  static Matrix values(const SdpaHead& head, Index block, KeyRange rows, float* place) {
    return as_floats(at_element(head.v, head.element, block * head.v_row), head.element,
                     {.data = nullptr, .row = head.v_row, .column = head.v_feature}, rows, head.Dv,
                     place);
  }

  /// Whether products drop some of these values.
  static bool drops(const SdpaHead& /*head*/, Matrix /*values*/, KeyRange /*rows*/) {
    return false;
  }
};

#if defined(__AVX512BF16__)
/// Pairs: two features of a query or key, two keys of a column of values.
template <>
struct Operands<Bfloat16> {
  static void pack_queries(const SdpaHead& head, const SdpaRows& rows, float* queries) {
    pack_lane_rows<Bfloat16, Bfloat16>(head, rows, queries);
  }

  static Index place_of_keys(const SdpaHead& head) { return kBlock * (head.D + 1) / 2 * 2; }
  static Index place_of_values(const SdpaHead& head) { return kBlock * head.Dv; }

  /// In place if a row is pairs; else copied, with a zero after the last feature if D is odd.
  static MatrixOf<Bfloat16> keys(const SdpaHead& head, Index block, KeyRange rows,
                                 Bfloat16* place) {
    const Bfloat16* const data = static_cast<const Bfloat16*>(head.k) + block * head.k_row;
    if (head.k_feature == 1 && head.D % 2 == 0) {
      return {.data = data, .row = head.k_row, .column = 2};
    }
    const Index columns = (head.D + 1) / 2 * 2;
    for (Index n = rows.begin; n < rows.end; ++n) {
      const Bfloat16* const from = data + n * head.k_row;
      Bfloat16* const to = place + n * columns;
      to[columns - 1] = {};
      for (Index d = 0; d < head.D; ++d) {
        to[d] = from[d * head.k_feature];
      }
    }
    return {.data = place, .row = columns, .column = 2};
  }

  /// Keys 2 p and 2 p + 1 side by side, with zeros for those that are not read.
  static MatrixOf<Bfloat16> values(const SdpaHead& head, Index block, KeyRange rows,
                                   Bfloat16* place) {
    const Bfloat16* const data = static_cast<const Bfloat16*>(head.v) + block * head.v_row;
    const KeyRange terms = terms_of<Bfloat16>(rows);
    for (Index p = terms.begin; p < terms.end; ++p) {
      const bool has_first = 2 * p >= rows.begin;
      const bool has_second = 2 * p + 1 < rows.end;
      const Bfloat16* const first = data + 2 * p * head.v_row;
      const Bfloat16* const second = first + head.v_row;
      Bfloat16* const to = place + p * 2 * head.Dv;
      Index c = 0;
      for (; has_first && has_second && head.v_feature == 1 && c + 2 * kLanes <= head.Dv;
           c += 2 * kLanes) {
        interleave(first + c, second + c, to + 2 * c);
      }
      for (; c < head.Dv; ++c) {
        to[2 * c] = has_first ? first[c * head.v_feature] : Bfloat16{};
        to[2 * c + 1] = has_second ? second[c * head.v_feature] : Bfloat16{};
      }
    }
    return {.data = place, .row = 2 * head.Dv, .column = 2};
  }

  static bool drops(const SdpaHead& head, MatrixOf<Bfloat16> values, KeyRange rows) {
    const KeyRange terms = terms_of<Bfloat16>(rows);
    return any_denormal(values.data + terms.begin * values.row,
                        (terms.end - terms.begin) * 2 * head.Dv);
  }
};
#endif

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
