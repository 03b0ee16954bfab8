#include <attention/core/rows.hpp>

namespace attention {

RowLayout::RowLayout(const Layout& layout) {
  Shape outer = layout.shape;
  outer.erase(outer.rank() - 1);
  count_ = element_count(outer);
  for (int dim = 0; dim < outer.rank(); ++dim) {
    const std::int64_t extent = outer[dim];
    const std::int64_t stride = layout.strides[dim];
    const int last = outer_.rank() - 1;
    if (extent == 1) {
      continue;
    }
    if (last >= 0 && outer_.strides[last] == extent * stride) {
      outer_.shape[last] *= extent;
      outer_.strides[last] = stride;
    } else {
      outer_.shape.push_back(extent);
      outer_.strides.push_back(stride);
    }
  }
}

std::int64_t RowLayout::offset_over_runs(std::int64_t row) const noexcept {
  std::int64_t offset = 0;
  for (int dim = outer_.rank() - 1; dim > 0; --dim) {
    offset += row % outer_.shape[dim] * outer_.strides[dim];
    row /= outer_.shape[dim];
  }
  return outer_.rank() == 0 ? 0 : offset + row * outer_.strides[0];
}

}  // namespace attention
