#include <cstddef>

#include <attention/kernels/element_runs.hpp>

namespace attention::kernels {
namespace {

using PerTensor = ElementRuns::PerTensor;

constexpr std::size_t kTensors = ElementRuns::kTensors;

/// True when stepping through the outer dimension continues the inner one in each tensor.
bool continues(const PerTensor& outer, const PerTensor& inner, std::int64_t inner_extent) {
  bool all = true;
  for (std::size_t t = 0; t < kTensors; ++t) {
    all = all && outer[t] == inner[t] * inner_extent;
  }
  return all;
}

}  // namespace

ElementRuns::ElementRuns(const std::array<Layout, kTensors>& layouts) {
  const Shape& shape = layouts[0].shape;
  std::array<Dimension, kMaxRank> sorted;
  std::size_t count = 0;
  for (int dim = 0; dim < shape.rank(); ++dim) {
    if (shape[dim] == 1) {
      continue;
    }
    Dimension one{.extent = shape[dim], .steps = {}};
    for (std::size_t t = 0; t < kTensors; ++t) {
      one.steps[t] = layouts[t].strides[dim];
    }
    for (std::size_t t = 0; one.steps[0] < 0 && t < kTensors; ++t) {
      base_[t] += (one.extent - 1) * one.steps[t];
    }
    if (one.steps[0] < 0) {
      one.steps = {-one.steps[0], -one.steps[1], -one.steps[2]};
    }
    std::size_t at = count++;
    for (; at > 0 && sorted[at - 1].steps[0] < one.steps[0]; --at) {
      sorted[at] = sorted[at - 1];
    }
    sorted[at] = one;
  }
  const std::int64_t elements = element_count(shape);
  for (std::size_t n = 0; n < count && elements > 0; ++n) {
    const Dimension& next = sorted[n];
    if (n > 0 && continues(run_.steps, next.steps, next.extent)) {
      run_ = {.extent = run_.extent * next.extent, .steps = next.steps};
      continue;
    }
    if (n > 0) {
      outer_[static_cast<std::size_t>(outer_count_++)] = run_;
    }
    run_ = next;
  }
  runs_ = elements / run_.extent;
}

ElementRuns::PerTensor ElementRuns::begin_of(std::int64_t run) const noexcept {
  PerTensor begin = base_;
  for (int dim = outer_count_ - 1; dim >= 0; --dim) {
    const Dimension& outer = outer_[static_cast<std::size_t>(dim)];
    const std::int64_t index = run % outer.extent;
    run /= outer.extent;
    for (std::size_t t = 0; t < kTensors; ++t) {
      begin[t] += index * outer.steps[t];
    }
  }
  return begin;
}

}  // namespace attention::kernels
