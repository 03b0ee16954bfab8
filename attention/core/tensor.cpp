#include <algorithm>
#include <limits>
#include <new>
#include <string>
#include <utility>

#include <attention/core/error.hpp>
#include <attention/core/tensor.hpp>

namespace attention {
namespace {

constexpr std::align_val_t kAlignment{64};

}  // namespace

void AnyView::check_dtype(DType wanted) const {
  require(dtype_ == wanted, "AnyView::as",
          "the element type must be " + std::string(name_of(wanted)),
          [&] { return std::string(name_of(dtype_)); });
}

template <class T>
Tensor<T>::Tensor(const Shape& shape) : Tensor(for_overwrite(shape)) {
  std::uninitialized_value_construct_n(data_.get(), static_cast<std::size_t>(count_));
}

template <class T>
Tensor<T> Tensor<T>::for_overwrite(const Shape& shape) {
  Tensor result;
  result.shape_ = shape;
  result.count_ = attention::element_count(shape);
  require(result.count_ <=
              std::numeric_limits<std::int64_t>::max() / static_cast<std::int64_t>(sizeof(T)),
          "Tensor", "the number of bytes must fit in 63 bits", [&] { return to_string(shape); });
  const auto count = static_cast<std::size_t>(result.count_);
  result.data_.reset(
      static_cast<T*>(::operator new(std::max<std::size_t>(count, 1) * sizeof(T), kAlignment)));
  std::uninitialized_default_construct_n(result.data_.get(), count);
  return result;
}

template <class T>
Tensor<T>::Tensor(const Shape& shape, std::span<const T> values) : Tensor(shape) {
  require(values.size() == static_cast<std::size_t>(count_), "Tensor",
          "there must be one value per element",
          [&] { return std::to_string(values.size()) + " values for shape " + to_string(shape); });
  std::ranges::copy(values, data_.get());
}

template <class T>
Tensor<T>::Tensor(const Shape& shape, std::initializer_list<T> values)
    : Tensor(shape, std::span<const T>(values.begin(), values.size())) {}

template <class T>
Tensor<T> Tensor<T>::copy_of(TensorView<const T> view) {
  Tensor result = for_overwrite(view.shape());
  T* next = result.data();
  for_each_offset(
      view.shape(), [&](std::int64_t offset) { *next++ = view.data()[offset]; }, view.strides());
  return result;
}

template <class T>
Tensor<T> Tensor<T>::filled(const Shape& shape, T value) {
  Tensor result = for_overwrite(shape);
  std::fill_n(result.data(), result.count_, value);
  return result;
}

template <class T>
Tensor<T>::Tensor(const Tensor& other) {
  if (!other.is_null()) {
    *this = Tensor(other.shape_, other.values());
  }
}

template <class T>
Tensor<T>::Tensor(Tensor&& other) noexcept
    : data_(std::move(other.data_)),
      shape_(std::exchange(other.shape_, {})),
      count_(std::exchange(other.count_, 0)) {}

template <class T>
Tensor<T>& Tensor<T>::operator=(const Tensor& other) {
  if (this != &other) {
    *this = Tensor(other);
  }
  return *this;
}

template <class T>
Tensor<T>& Tensor<T>::operator=(Tensor&& other) noexcept {
  data_ = std::move(other.data_);
  shape_ = std::exchange(other.shape_, {});
  count_ = std::exchange(other.count_, 0);
  return *this;
}

template <class T>
void Tensor<T>::Release::operator()(T* data) const noexcept {
  ::operator delete(data, kAlignment);
}

template <class To>
Tensor<To> converted(const AnyView& source) {
  Tensor<To> result(source.shape());
  To* next = result.data();
  visit(source.dtype(), [&]<class From>() {
    const auto* data = static_cast<const From*>(source.data());
    const auto convert = [&](std::int64_t offset) { *next++ = element_cast<To>(data[offset]); };
    for_each_offset(source.shape(), convert, source.strides());
  });
  return result;
}

template class Tensor<float>;
template class Tensor<double>;
template class Tensor<float16>;
template class Tensor<bfloat16>;
template class Tensor<bool>;
template class Tensor<std::int8_t>;
template class Tensor<std::int16_t>;
template class Tensor<std::int32_t>;
template class Tensor<std::int64_t>;
template class Tensor<std::uint8_t>;
template class Tensor<std::uint16_t>;
template class Tensor<std::uint32_t>;
template class Tensor<std::uint64_t>;

template Tensor<float> converted<float>(const AnyView&);
template Tensor<double> converted<double>(const AnyView&);
template Tensor<float16> converted<float16>(const AnyView&);
template Tensor<bfloat16> converted<bfloat16>(const AnyView&);
template Tensor<bool> converted<bool>(const AnyView&);
template Tensor<std::int64_t> converted<std::int64_t>(const AnyView&);

}  // namespace attention
