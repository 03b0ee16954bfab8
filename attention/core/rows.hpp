#pragma once

#include <cstdint>

#include <attention/core/export.hpp>
#include <attention/core/tensor_view.hpp>

namespace attention {

/// Where the rows of a tensor (..., E) begin, by their number in row-major order of all dimensions
/// but the last. Dimensions that are one run in memory are taken together: a row of a dense tensor
/// is found by one multiplication.
class ATTENTION_API RowLayout {
 public:
  /// No rows.
  RowLayout() = default;
  /// Of a layout of rank 1 or more. Throws Error as element_count does.
  explicit RowLayout(const Layout& layout);

  std::int64_t count() const noexcept { return count_; }
  /// The offset, in elements, of the first element of row number `row`, which must exist.
  std::int64_t offset(std::int64_t row) const noexcept {
    return outer_.rank() == 1 ? row * outer_.strides[0] : offset_over_runs(row);
  }

 private:
  std::int64_t offset_over_runs(std::int64_t row) const noexcept;

  Layout outer_;
  std::int64_t count_ = 0;
};

/// The rows of a tensor (..., E) of any strides, for code that takes rows by their number. As a
/// view it must not outlive the memory.
template <class T>
class RowsOf {
 public:
  RowsOf() = default;
  /// Of a tensor of rank 1 or more. Throws Error as element_count does.
  explicit RowsOf(const TensorView<T>& tensor)
      : data_(tensor.data()),
        layout_(tensor.layout()),
        length_(tensor.size(tensor.rank() - 1)),
        stride_(tensor.strides()[tensor.rank() - 1]) {}
  /// Each element of a tensor as a row of one. A null view gives null rows.
  static RowsOf elements(const TensorView<T>& tensor) {
    return tensor.is_null() ? RowsOf() : RowsOf(tensor.unsqueeze(-1));
  }

  bool is_null() const noexcept { return data_ == nullptr; }
  std::int64_t count() const noexcept { return layout_.count(); }
  /// E, and the distance between two elements of a row.
  std::int64_t length() const noexcept { return length_; }
  std::int64_t stride() const noexcept { return stride_; }
  /// The first element of row number `row`, which must exist.
  T* data(std::int64_t row) const noexcept { return data_ + layout_.offset(row); }
  TensorView<T> operator[](std::int64_t row) const {
    return {data(row), Layout{.shape = {length_}, .strides = {stride_}}};
  }

 private:
  T* data_ = nullptr;
  RowLayout layout_;
  std::int64_t length_ = 0;
  std::int64_t stride_ = 0;
};

/// Some rows that follow each other: [begin, end).
struct RowInterval {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

}  // namespace attention
