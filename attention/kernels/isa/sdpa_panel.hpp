#pragma once

#include <attention/kernels/isa/sdpa_finish.hpp>
#include <attention/kernels/isa/sdpa_mask.hpp>
#include <attention/kernels/isa/sdpa_tile.hpp>

/// Private to the sources of the instruction sets: how a panel begins.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

/// The lanes from the first row on, copies of the last row included.
ATTENTION_INLINE std::uint64_t lanes_in_use(const SdpaRows& rows) {
  return lanes_below(kPanel) & ~lanes_below(rows.first);
}

/// Reads the queries: kLanes rows by kLanes features at a time, transposed in registers.
template <class T>
void pack_queries(const SdpaHead& head, const Panel& panel, float sign) {
  const SdpaRows& rows = *panel.rows;
  const Index D = head.D;
  const Index stride = head.q_feature;
  for (int lane = rows.first; lane < kPanel; lane += kLanes) {
    const T* q[kLanes];
    for (int r = 0; r < kLanes; ++r) {
      q[r] = static_cast<const T*>(rows.q[lane + r]);
    }
    float* const queries = panel.queries + lane;
    for (Index d = 0; d < D; d += kLanes) {
      Vec tile[kLanes];
      load_transposed(q, d, stride, D - d, tile);
      for (int r = 0; r < least(kLanes, D - d); ++r) {
        store(queries + (d + r) * kPanel, mul(tile[r], set1(sign)));
      }
    }
  }
}

void begin_panel(const SdpaHead& head, Panel& panel) {
  const SdpaRows& rows = *panel.rows;
  const float sign = head.scale < 0 ? -1.0F : 1.0F;
  switch (head.element) {
    case Element::bf16:
      pack_queries<Bfloat16>(head, panel, sign);
      break;
    case Element::f16:
      pack_queries<Float16>(head, panel, sign);
      break;
    default:
      pack_queries<float>(head, panel, sign);
      break;
  }
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
