#pragma once

#include <attention/kernels/isa/sdpa_finish.hpp>
#include <attention/kernels/isa/sdpa_mask.hpp>
#include <attention/kernels/isa/sdpa_operands.hpp>

/// Private to the sources of the instruction sets: how a panel begins.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

/// The lanes from the first row on, copies of the last row included.
ATTENTION_INLINE std::uint64_t lanes_in_use(const SdpaRows& rows) {
  return lanes_below(kPanel) & ~lanes_below(rows.first);
}

/// The lanes whose queries the terms of products get wrong; see lanes_to_multiply_singly.
template <class T>
std::uint64_t lanes_by_hand(const SdpaHead& head, const Panel& panel) {
  if constexpr (!Term<T>::kDropsDenormals) {
    return 0;
  } else {
    std::uint64_t lanes = 0;
    for (int lane = panel.rows->first; lane < kPanel; lane += kLanes) {
      for (Index d = 0; d < term_count<T>(head.D); ++d) {
        const Vec row = load(panel.queries + d * kPanel + lane);
        for (Index n = 0; n < Term<T>::kElements; ++n) {
          const std::uint64_t found = lanes_to_multiply_singly(Term<T>::element(row, n));
          lanes |= found << lane;
        }
      }
    }
    return lanes;
  }
}

template <class T>
void begin_panel(const SdpaHead& head, Panel& panel) {
  const SdpaRows& rows = *panel.rows;
  Operands<T>::pack_queries(head, rows, panel.queries);
  panel.by_hand = lanes_by_hand<T>(head, panel);
  // The sink is one more key without a value, and the first to be counted.
  const ScoreUnits units = score_units(head);
  for (int lane = 0; lane < kPanel; lane += kLanes) {
    const Vec sink = lane < rows.first ? set1(-kInfinity) : load(rows.sink + lane);
    const Exponents<true> exponents(units.to_log2, sink);
    store(panel.maximum + lane, sink);
    store(panel.sum + lane, exp2(exponents.of(sink)));
  }
  const Index size = head.Dv * kPanel;
  for (Index n = 0; n < size; n += kLanes) {
    store(panel.out + n, zero());
  }
  panel.seen = 0;
}

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
