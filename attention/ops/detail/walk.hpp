#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <attention/core/layout.hpp>

namespace attention::detail {

/// Private to ops. Goes through the elements of several views of one shape in row-major order, from
/// any of them on, and says where they lie in each: one addition for each view and step.
template <std::size_t Views>
class Walk {
 public:
  using Offsets = std::array<std::int64_t, Views>;

  /// Begins at element `number`. No extent may be 0.
  Walk(const Shape& shape, const std::array<Strides, Views>& strides, std::int64_t number) noexcept
      : shape_(shape), strides_(strides), index_(shape) {
    for (int dim = shape.rank() - 1; dim >= 0; --dim) {
      index_[dim] = number % shape[dim];
      number /= shape[dim];
      for (std::size_t view = 0; view < Views; ++view) {
        offsets_[view] += index_[dim] * strides[view][dim];
      }
    }
  }

  const Offsets& offsets() const noexcept { return offsets_; }
  const Dims& index() const noexcept { return index_; }

  /// To the next element; from the last to the first.
  void next() noexcept {
    for (int dim = shape_.rank() - 1; dim >= 0; --dim) {
      const bool wraps = ++index_[dim] == shape_[dim];
      for (std::size_t view = 0; view < Views; ++view) {
        const std::int64_t stride = strides_[view][dim];
        offsets_[view] += wraps ? stride - shape_[dim] * stride : stride;
      }
      if (!wraps) {
        return;
      }
      index_[dim] = 0;
    }
  }

 private:
  Shape shape_;
  std::array<Strides, Views> strides_;
  Dims index_;
  Offsets offsets_ = {};
};

}  // namespace attention::detail
