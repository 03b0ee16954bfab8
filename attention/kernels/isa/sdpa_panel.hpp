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

template <class T>
void begin_panel(const SdpaHead& head, Panel& panel) {
  const SdpaRows& rows = *panel.rows;
  Operands<T>::pack_queries(head, rows, panel.queries);
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
