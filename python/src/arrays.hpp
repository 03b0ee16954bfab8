#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <attention/core/tensor.hpp>

/// Arrays across the border: read in place on the way in, and handed over in the caller's kind of
/// array on the way out.
namespace attention::python {

namespace nb = nanobind;

/// The libraries whose arrays come back as the caller's kind; any other array comes back as NumPy.
enum class Library : std::uint8_t { numpy, torch, jax };
Library library_of(nb::handle array);

/// str(object).
std::string text_of(nb::handle object);

/// What a message says of an object: its type, and of an array the shape and dtype as it prints
/// them.
std::string described(nb::handle object);

/// Throws TypeError: "<function>: <argument> <rule>; found <found>".
[[noreturn]] void throw_type_error(const char* function, const char* argument,
                                   const std::string& rule, const std::string& found);
/// Throws ValueError of the same form.
[[noreturn]] void throw_value_error(const char* function, const char* argument,
                                    const std::string& rule, const std::string& found);

/// How often an array given to this module was read from another address than its own: 0 unless its
/// library made a copy on export.
std::int64_t copies();

/// An array that a function was given: a view of its memory, which it keeps alive.
class Array {
 public:
  /// "Not given".
  Array() = default;
  /// Reads any CPU array that has __dlpack__ or the buffer protocol; None is "not given" if
  /// `optional`. Throws TypeError for anything else, for other devices, for element types that the
  /// library does not have and for tensors that require a gradient.
  static Array reading(const char* function, const char* argument, nb::handle object,
                       bool optional = false);
  /// The same for an array that is written to. Throws ValueError when it is read-only.
  static Array writing(const char* function, const char* argument, nb::handle object);

  bool given() const { return given_; }
  const AnyView& view() const { return view_; }
  DType dtype() const { return view_.dtype(); }
  /// Views that write. The dtype must be T's.
  template <class T>
  TensorView<T> writable() const {
    return {static_cast<T*>(const_cast<void*>(view_.data())), view_.layout()};
  }

 private:
  void take(const char* function, const char* argument, nb::handle object);

  bool given_ = false;
  nb::ndarray<nb::ro> owner_;
  AnyView view_;
};

/// A tensor handed over without a copy, as an array of the library. A leading shape of another rank
/// may be given: the same elements, reshaped. A null tensor is None.
template <class T>
nb::object handed_over(Tensor<T>&& tensor, Library library, const Shape& shape);
template <class T>
nb::object handed_over(Tensor<T>&& tensor, Library library = Library::numpy) {
  const Shape shape = tensor.shape();
  return handed_over(std::move(tensor), library, shape);
}

/// A NumPy array that writes into memory which `owner` keeps alive.
nb::object shared_with_numpy(TensorView<float> view, nb::handle owner);

}  // namespace attention::python
