#pragma once

#include <utility>

#include <attention/autograd/variable.hpp>
#include <attention/nn/parameter.hpp>

namespace attention::nn {

/// A parameter as layers hold it: a leaf of the tape whose copies are deep, as those of a tensor.
template <class T>
class Learned {
 public:
  Learned() = default;
  explicit Learned(Tensor<T> value)
      : variable_(autograd::Variable<T>::parameter(std::move(value))) {}
  /// Zeros.
  explicit Learned(const Shape& shape) : Learned(Tensor<T>(shape)) {}
  Learned(const Learned& other) : variable_(copy_of(other)) {}
  Learned(Learned&&) noexcept = default;
  Learned& operator=(const Learned& other) {
    variable_ = copy_of(other);
    return *this;
  }
  Learned& operator=(Learned&&) noexcept = default;
  ~Learned() = default;

  bool is_null() const noexcept { return variable_.is_null(); }
  /// A null view for a null parameter.
  TensorView<T> view() { return is_null() ? TensorView<T>() : variable_.mutable_value(); }
  TensorView<const T> view() const { return variable_.value(); }
  const autograd::Variable<T>& variable() const noexcept { return variable_; }

 private:
  static autograd::Variable<T> copy_of(const Learned& other) {
    return other.is_null() ? autograd::Variable<T>()
                           : autograd::Variable<T>::parameter(Tensor<T>::copy_of(other.view()));
  }

  autograd::Variable<T> variable_;
};

/// A list of parameters that leaves out what is not there.
template <class T>
class ListBuilder {
 public:
  void add(const char* name, TensorView<T> value,
           const autograd::Variable<std::remove_const_t<T>>& variable) {
    if (!value.is_null()) {
      list_.push_back({.name = name, .value = value});
      if constexpr (!std::is_const_v<T>) {
        list_.back().variable = variable;
      }
    }
  }
  template <class Parameter>
  void add(const char* name, Parameter& parameter) {
    add(name, parameter.view(), parameter.variable());
  }
  ParameterList<T> take() { return std::move(list_); }

 private:
  ParameterList<T> list_;
};

}  // namespace attention::nn
