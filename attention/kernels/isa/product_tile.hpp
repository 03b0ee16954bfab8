#pragma once

#include <attention/kernels/isa/elements.hpp>
#include <attention/kernels/isa/panel_shape.hpp>

/// Private to the sources of the instruction sets: the inner loop of every product of a panel.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

/// sum[r][w] += vector w of lane row i * rows(r, i), over i < length in this order, for the vectors
/// from kFirst; `lanes` is where vector kFirst of lane row 0 lies.
template <int kFirst, int kWidth, int kRows>
ATTENTION_INLINE void add_products(Vec (&sum)[kRows][kWidth], const float* lanes, Matrix rows,
                                   Index length) {
  const float* from = rows.data;
  for (Index i = 0; i < length; ++i) {
    Vec row[kWidth - kFirst];
#pragma GCC unroll 8
    for (int w = kFirst; w < kWidth; ++w) {
      row[w - kFirst] = load(lanes + (w - kFirst) * kLanes);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const Vec factor = set1(from[r * rows.row]);
#pragma GCC unroll 8
      for (int w = kFirst; w < kWidth; ++w) {
        sum[r][w] = fma(row[w - kFirst], factor, sum[r][w]);
      }
    }
    lanes += kPanel;
    from += rows.column;
  }
}

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
