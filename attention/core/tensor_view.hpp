#pragma once

#include <cassert>
#include <cstdint>
#include <initializer_list>
#include <type_traits>
#include <utility>

#include <attention/core/dtype.hpp>
#include <attention/core/layout.hpp>

namespace attention {

/// A typed, strided window on memory that somebody else owns: a pointer, up to kMaxRank extents and
/// signed strides in elements. Copying one is free; it must not outlive the memory.
///
/// `TensorView<const T>` reads, `TensorView<T>` also writes. A default-constructed view is null and
/// means "not given".
template <class T>
class TensorView {
 public:
  using Element = std::remove_const_t<T>;

  TensorView() = default;
  /// Dense, row-major. Throws Error for a negative extent.
  TensorView(T* data, const Shape& shape)
      : TensorView(data, Layout{.shape = shape, .strides = row_major_strides(shape)}) {
    attention::element_count(shape);
  }
  TensorView(T* data, Layout layout) : data_(data), layout_(std::move(layout)) {}
  /// A view that writes also reads.
  template <class U>
    requires(std::is_const_v<T> && std::is_same_v<U, Element>)
  // NOLINTNEXTLINE(google-explicit-constructor): as T* to const T*
  TensorView(const TensorView<U>& other) : data_(other.data()), layout_(other.layout()) {}

  T* data() const noexcept { return data_; }
  const Layout& layout() const noexcept { return layout_; }
  const Shape& shape() const noexcept { return layout_.shape; }
  const Strides& strides() const noexcept { return layout_.strides; }
  int rank() const noexcept { return layout_.rank(); }
  /// The extent of dimension `dim`, which must exist.
  std::int64_t size(int dim) const noexcept { return layout_.shape[dim]; }
  std::int64_t element_count() const { return attention::element_count(layout_.shape); }
  bool is_null() const noexcept { return data_ == nullptr && layout_.rank() == 0; }

  /// The element at one index per dimension; checked by an assert.
  template <class... Index>
  T& operator()(Index... index) const noexcept {
    assert(static_cast<int>(sizeof...(Index)) == rank());
    return data_[offset_of({static_cast<std::int64_t>(index)...})];
  }

  /// Other views of the same memory; see layout.hpp for their rules.
  TensorView select(int dim, std::int64_t index) const {
    return moved(attention::select(layout_, dim, index));
  }
  TensorView slice(int dim, std::int64_t start, std::int64_t count) const {
    return moved(attention::slice(layout_, dim, start, count));
  }
  TensorView reverse(int dim) const { return moved(attention::reverse(layout_, dim)); }
  TensorView permute(const Dims& order) const {
    return {data_, attention::permute(layout_, order)};
  }
  TensorView transpose(int dim_a, int dim_b) const {
    return {data_, attention::transpose(layout_, dim_a, dim_b)};
  }
  TensorView unsqueeze(int dim) const { return {data_, attention::unsqueeze(layout_, dim)}; }
  TensorView split(int dim, std::int64_t outer) const {
    return {data_, attention::split(layout_, dim, outer)};
  }
  TensorView merge(int dim) const { return {data_, attention::merge(layout_, dim)}; }
  TensorView broadcast_to(const Shape& shape) const {
    return {data_, attention::broadcast_to(layout_, shape)};
  }

 private:
  std::int64_t offset_of(std::initializer_list<std::int64_t> index) const noexcept {
    std::int64_t offset = 0;
    int dim = 0;
    for (const std::int64_t i : index) {
      assert(i >= 0 && i < layout_.shape[dim]);
      offset += i * layout_.strides[dim++];
    }
    return offset;
  }
  TensorView moved(const LayoutView& view) const {
    // A null base with an offset of 0 (an empty tensor) stays null.
    return {view.offset == 0 ? data_ : data_ + view.offset, view.layout};
  }

  T* data_ = nullptr;
  Layout layout_;
};

/// A read-only view whose element type is known at run time: what crosses the borders (files, the
/// command line) and what options take when several element types are allowed. Null when
/// default-constructed.
class ATTENTION_API AnyView {
 public:
  AnyView() = default;
  AnyView(const void* data, DType dtype, Layout layout)
      : data_(data), dtype_(dtype), layout_(std::move(layout)) {}
  template <class T>
  // NOLINTNEXTLINE(google-explicit-constructor): forgetting the type loses nothing
  AnyView(const TensorView<T>& view) : AnyView(view.data(), kDTypeOf<T>, view.layout()) {}

  const void* data() const noexcept { return data_; }
  DType dtype() const noexcept { return dtype_; }
  const Layout& layout() const noexcept { return layout_; }
  const Shape& shape() const noexcept { return layout_.shape; }
  const Strides& strides() const noexcept { return layout_.strides; }
  int rank() const noexcept { return layout_.rank(); }
  std::int64_t size(int dim) const noexcept { return layout_.shape[dim]; }
  std::int64_t element_count() const { return attention::element_count(layout_.shape); }
  bool is_null() const noexcept { return data_ == nullptr && layout_.rank() == 0; }

  AnyView unsqueeze(int dim) const { return {data_, dtype_, attention::unsqueeze(layout_, dim)}; }
  AnyView broadcast_to(const Shape& shape) const {
    return {data_, dtype_, attention::broadcast_to(layout_, shape)};
  }

  /// The typed view. Throws Error when T is not the element type.
  template <class T>
  TensorView<const T> as() const {
    check_dtype(kDTypeOf<T>);
    return {static_cast<const T*>(data_), layout_};
  }

  /// The element `offset` elements from the base, converted to To.
  template <class To>
  To load(std::int64_t offset) const noexcept {
    return visit(dtype_, [&]<class From>() {
      return element_cast<To>(static_cast<const From*>(data_)[offset]);
    });
  }

 private:
  void check_dtype(DType wanted) const;

  const void* data_ = nullptr;
  DType dtype_ = DType::float32;
  Layout layout_;
};

/// Calls function(offset) for each element of `shape` in row-major order, with the element's offset
/// under each of the given strides: for_each_offset(shape, function, strides_a, strides_b) calls
/// function(offset_a, offset_b).
template <class Function, class... S>
void for_each_offset(const Shape& shape, const Function& function, const S&... strides) {
  if (element_count(shape) == 0) {
    return;
  }
  Dims index = shape;
  for (int dim = 0; dim < index.rank(); ++dim) {
    index[dim] = 0;
  }
  [[maybe_unused]] const auto dot = [&](const Strides& s) {
    std::int64_t offset = 0;
    for (int dim = 0; dim < shape.rank(); ++dim) {
      offset += index[dim] * s[dim];
    }
    return offset;
  };
  int dim = 0;
  do {
    function(dot(strides)...);
    for (dim = shape.rank() - 1; dim >= 0 && ++index[dim] == shape[dim]; --dim) {
      index[dim] = 0;
    }
  } while (dim >= 0);
}

/// Calls function(index, count, offset_a, offset_b, ...) for the elements [begin, end) of `shape`
/// in row-major order, row by row: `count` elements of one row, from number `index` of all on,
/// whose offsets under each of the given strides begin at offset_a, ... (A row: all of the last
/// dimension; the one element of rank 0.)
template <class Function, class... S>
void for_each_part_of_a_row(const Shape& shape, std::int64_t begin, std::int64_t end,
                            const Function& function, const S&... strides) {
  const std::int64_t width = shape.rank() == 0 ? 1 : shape[shape.rank() - 1];
  while (begin < end) {
    [[maybe_unused]] const auto offset_of = [&](const Strides& s) {
      std::int64_t offset = 0;
      std::int64_t rest = begin;
      for (int dim = shape.rank() - 1; dim >= 0; --dim) {
        offset += rest % shape[dim] * s[dim];
        rest /= shape[dim];
      }
      return offset;
    };
    const std::int64_t left = width - begin % width;
    const std::int64_t count = left < end - begin ? left : end - begin;
    function(begin, count, offset_of(strides)...);
    begin += count;
  }
}

}  // namespace attention
