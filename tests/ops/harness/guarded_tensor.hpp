#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include <attention/core/tensor.hpp>

#include "guarded_memory.hpp"

namespace attention::tests {

/// How a guarded tensor (B, H, N, W) lies in memory.
enum class RowsLie : std::uint8_t {
  dense,
  /// With three elements between two rows, and five more between two heads.
  apart,
  /// (B, N, H, W), seen as (B, H, N, W).
  heads_inside,
};

/// A tensor whose last element is the last before a page whose touch ends the process.
template <class T>
class GuardedTensor {
 public:
  GuardedTensor(const Shape& shape, RowsLie rows) : layout_{.shape = shape, .strides = shape} {
    const std::int64_t row = shape[3] + (rows == RowsLie::apart ? 3 : 0);
    layout_.strides[3] = 1;
    if (rows == RowsLie::heads_inside) {
      layout_.strides[1] = row;
      layout_.strides[2] = row * shape[1];
      layout_.strides[0] = layout_.strides[2] * shape[2];
    } else {
      layout_.strides[2] = row;
      layout_.strides[1] = row * shape[2] + (rows == RowsLie::apart ? 5 : 0);
      layout_.strides[0] = layout_.strides[1] * shape[1];
    }
    std::int64_t elements = 1;
    for (int dim = 0; dim < shape.rank(); ++dim) {
      elements += (shape[dim] - 1) * layout_.strides[dim];
    }
    const std::size_t bytes = static_cast<std::size_t>(elements) * sizeof(T);
    const std::size_t page = GuardedMemory(1).page();
    const std::size_t end = (bytes / page + 2) * page;
    memory_ = std::make_unique<GuardedMemory>(end + page);
    memory_->open(end - bytes, bytes);
    first_ = end - bytes;
  }
  GuardedTensor(const Tensor<T>& source, RowsLie rows) : GuardedTensor(source.shape(), rows) {
    const TensorView<T> to = view();
    const auto copy = [&](std::int64_t at, std::int64_t from) {
      to.data()[at] = source.data()[from];
    };
    for_each_offset(to.shape(), copy, to.strides(), source.view().strides());
  }

  TensorView<T> view() { return {reinterpret_cast<T*>(memory_->base() + first_), layout_}; }

 private:
  Layout layout_;
  std::unique_ptr<GuardedMemory> memory_;
  std::size_t first_ = 0;
};

}  // namespace attention::tests
