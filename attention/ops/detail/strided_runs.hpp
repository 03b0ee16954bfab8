#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include <attention/core/layout.hpp>
#include <attention/core/parallel.hpp>
#include <attention/ops/detail/walk.hpp>

namespace attention::detail {

/// Private to ops. Several views of one shape as runs of evenly spaced elements, as long as they
/// can be: dimensions that continue each other in all of the views are one.
template <std::size_t Views>
class StridedRuns {
 public:
  using Offsets = std::array<std::int64_t, Views>;

  StridedRuns(const Shape& shape, const std::array<Strides, Views>& strides) {
    for (int dim = shape.rank() - 1; dim >= 0; --dim) {
      if (shape[dim] != 1) {
        add(shape[dim], strides, dim);
      }
    }
    const int last = shape_.rank() - 1;
    if (last >= 0) {
      length_ = shape_[last];
      shape_.erase(last);
      for (std::size_t view = 0; view < Views; ++view) {
        steps_[view] = strides_[view][last];
        strides_[view].erase(last);
      }
    }
    rows_ = element_count(shape_);
  }

  /// From one element of a run to the next, in each view.
  const Offsets& steps() const noexcept { return steps_; }

  /// Calls body(offsets, count) for runs that hold each element once: where the first of `count`
  /// elements lies in each view. Threads share the runs.
  template <class Body>
  void for_each(int threads, const Body& body) const {
    constexpr std::int64_t kElements = 1 << 15;  // of a task: some 10 microseconds
    const std::int64_t pieces = (length_ + kElements - 1) / kElements;  // of a row
    const std::int64_t rows_of_task =
        std::max<std::int64_t>(kElements / std::max<std::int64_t>(length_, 1), 1);
    const std::int64_t tasks = (rows_ + rows_of_task - 1) / rows_of_task * pieces;
    parallel_for(tasks, threads, [&](std::int64_t task, int /*worker*/) {
      const std::int64_t begin = task % pieces * kElements;
      const std::int64_t count = std::min(kElements, length_ - begin);
      const std::int64_t first = task / pieces * rows_of_task;
      const std::int64_t end = std::min(first + rows_of_task, rows_);
      Walk<Views> walk(shape_, strides_, first);
      for (std::int64_t row = first; row < end; ++row, walk.next()) {
        Offsets offsets = walk.offsets();
        for (std::size_t view = 0; view < Views; ++view) {
          offsets[view] += begin * steps_[view];
        }
        body(offsets, count);
      }
    });
  }

 private:
  /// Joins the dimension to the one after it, or puts it before it.
  void add(std::int64_t extent, const std::array<Strides, Views>& strides, int dim) {
    bool joins = shape_.rank() > 0;
    for (std::size_t view = 0; joins && view < Views; ++view) {
      joins = strides[view][dim] == strides_[view][0] * shape_[0];
    }
    if (joins) {
      shape_[0] *= extent;
      return;
    }
    shape_.insert(0, extent);
    for (std::size_t view = 0; view < Views; ++view) {
      strides_[view].insert(0, strides[view][dim]);
    }
  }

  Shape shape_;  // of the rows, without the run
  std::array<Strides, Views> strides_;
  Offsets steps_ = {};
  std::int64_t length_ = 1;
  std::int64_t rows_ = 0;
};

}  // namespace attention::detail
