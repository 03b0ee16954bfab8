#pragma once

#include <array>
#include <cstdint>

#include <attention/core/layout.hpp>

namespace attention::kernels {

/// The elements of up to three tensors of one shape, cut into runs: stretches along which each
/// tensor has one step. For operations on each element by itself, which may go in any order.
///
/// The order is that of the first tensor in memory: its dimensions from the largest stride to the
/// smallest, those that run backwards turned round, and those that continue each other in all
/// tensors joined. Dense tensors whose dimensions lie in one order, whichever, are a single run.
class ElementRuns {
 public:
  static constexpr int kTensors = 3;
  /// One number for each tensor, in elements.
  using PerTensor = std::array<std::int64_t, kTensors>;

  /// Where there are fewer tensors, one of them stands in more than one place. Throws Error when
  /// the number of elements overflows.
  explicit ElementRuns(const std::array<Layout, kTensors>& layouts);

  /// 0 if there is no element.
  std::int64_t runs() const noexcept { return runs_; }
  std::int64_t length() const noexcept { return run_.extent; }
  const PerTensor& steps() const noexcept { return run_.steps; }
  /// The offset of the first element of this run from the base of each tensor.
  PerTensor begin_of(std::int64_t run) const noexcept;

 private:
  struct Dimension {
    std::int64_t extent = 1;
    PerTensor steps = {1, 1, 1};
  };

  Dimension run_;
  std::array<Dimension, kMaxRank> outer_;  // the outermost first
  int outer_count_ = 0;
  PerTensor base_ = {};
  std::int64_t runs_ = 0;
};

}  // namespace attention::kernels
