#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>

#include <attention/core/export.hpp>
#include <attention/core/tensor_view.hpp>

namespace attention {

/// A dense row-major tensor that owns its elements, aligned to 64 bytes. Copies are deep; a
/// moved-from tensor is null. Converts to TensorView and AnyView where a function takes one.
///
/// Element types: those of DType. Instantiated in the library; no algorithm lives in the header.
template <class T>
class ATTENTION_API Tensor {
 public:
  Tensor() = default;
  /// Zeros. Throws Error for a negative extent or a size that does not fit in memory's address
  /// range.
  explicit Tensor(const Shape& shape);
  /// The given values in row-major order. Throws Error unless there is one per element.
  Tensor(const Shape& shape, std::span<const T> values);
  Tensor(const Shape& shape, std::initializer_list<T> values);
  /// A dense copy of any view.
  static Tensor copy_of(TensorView<const T> view);
  /// Elements without a value, until they are written. Throws as for zeros.
  static Tensor for_overwrite(const Shape& shape);
  /// Every element the same.
  static Tensor filled(const Shape& shape, T value);

  Tensor(const Tensor& other);
  Tensor(Tensor&& other) noexcept;
  Tensor& operator=(const Tensor& other);
  Tensor& operator=(Tensor&& other) noexcept;
  ~Tensor() = default;

  T* data() noexcept { return data_.get(); }
  const T* data() const noexcept { return data_.get(); }
  const Shape& shape() const noexcept { return shape_; }
  int rank() const noexcept { return shape_.rank(); }
  std::int64_t size(int dim) const noexcept { return shape_[dim]; }
  std::int64_t element_count() const noexcept { return count_; }
  bool is_null() const noexcept { return data_ == nullptr && shape_.rank() == 0; }
  /// All elements, in row-major order.
  std::span<T> values() noexcept { return {data_.get(), static_cast<std::size_t>(count_)}; }
  std::span<const T> values() const noexcept {
    return {data_.get(), static_cast<std::size_t>(count_)};
  }

  TensorView<T> view() noexcept {
    return {data_.get(), Layout{.shape = shape_, .strides = row_major_strides(shape_)}};
  }
  TensorView<const T> view() const noexcept {
    return {data_.get(), Layout{.shape = shape_, .strides = row_major_strides(shape_)}};
  }
  // NOLINTBEGIN(google-explicit-constructor): a tensor is passed where a view is taken
  operator TensorView<T>() noexcept { return view(); }
  operator TensorView<const T>() const noexcept { return view(); }
  operator AnyView() const noexcept { return view(); }
  // NOLINTEND(google-explicit-constructor)

  template <class... Index>
  T& operator()(Index... index) noexcept {
    return view()(index...);
  }
  template <class... Index>
  const T& operator()(Index... index) const noexcept {
    return view()(index...);
  }

 private:
  struct Release {
    void operator()(T* data) const noexcept;
  };

  std::unique_ptr<T[], Release> data_;
  Shape shape_;
  std::int64_t count_ = 0;
};

/// A tensor whose element type is known at run time: what a file holds. Shared when copied, and
/// never written to.
class ATTENTION_API AnyTensor {
 public:
  AnyTensor() = default;
  template <class T>
  // NOLINTNEXTLINE(google-explicit-constructor): forgetting the type loses nothing
  AnyTensor(Tensor<T> tensor) : AnyTensor(std::make_shared<const Tensor<T>>(std::move(tensor))) {}
  /// `owner` keeps the memory that `view` names.
  AnyTensor(std::shared_ptr<const void> owner, AnyView view)
      : owner_(std::move(owner)), view_(std::move(view)) {}

  const AnyView& view() const noexcept { return view_; }
  // NOLINTNEXTLINE(google-explicit-constructor): passed where a view is taken
  operator const AnyView&() const noexcept { return view_; }
  DType dtype() const noexcept { return view_.dtype(); }
  const Shape& shape() const noexcept { return view_.shape(); }
  int rank() const noexcept { return view_.rank(); }
  bool is_null() const noexcept { return view_.is_null(); }

  /// The typed view. Throws Error when T is not the element type.
  template <class T>
  TensorView<const T> as() const {
    return view_.as<T>();
  }

 private:
  template <class T>
  explicit AnyTensor(const std::shared_ptr<const Tensor<T>>& tensor)
      : owner_(tensor), view_(tensor->view()) {}

  std::shared_ptr<const void> owner_;
  AnyView view_;
};

/// A dense copy with every element converted to To.
template <class To>
ATTENTION_API Tensor<To> converted(const AnyView& source);

}  // namespace attention
