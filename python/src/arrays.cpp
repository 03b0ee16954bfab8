#include "arrays.hpp"

#include <atomic>
#include <optional>

#include <nanobind/stl/string.h>

namespace attention::python {
namespace {

std::atomic<std::int64_t> copied_arrays{0};

std::optional<DType> dtype_of(nb::dlpack::dtype dtype) {
  if (dtype.lanes != 1) {
    return std::nullopt;
  }
  const auto by_bits = [&](DType d8, DType d16, DType d32, DType d64) -> std::optional<DType> {
    switch (dtype.bits) {
      case 8:
        return d8;
      case 16:
        return d16;
      case 32:
        return d32;
      case 64:
        return d64;
      default:
        return std::nullopt;
    }
  };
  switch (static_cast<nb::dlpack::dtype_code>(dtype.code)) {
    case nb::dlpack::dtype_code::Float:
      return dtype.bits == 8
                 ? std::nullopt
                 : by_bits(DType::float16, DType::float16, DType::float32, DType::float64);
    case nb::dlpack::dtype_code::Bfloat:
      return dtype.bits == 16 ? std::optional(DType::bfloat16) : std::nullopt;
    case nb::dlpack::dtype_code::Bool:
      return dtype.bits == 8 ? std::optional(DType::boolean) : std::nullopt;
    case nb::dlpack::dtype_code::Int:
      return by_bits(DType::int8, DType::int16, DType::int32, DType::int64);
    case nb::dlpack::dtype_code::UInt:
      return by_bits(DType::uint8, DType::uint16, DType::uint32, DType::uint64);
    default:
      return std::nullopt;
  }
}

template <class T>
nb::dlpack::dtype dlpack_dtype() {
  if constexpr (std::is_same_v<T, bfloat16>) {
    return {static_cast<std::uint8_t>(nb::dlpack::dtype_code::Bfloat), 16, 1};
  } else if constexpr (std::is_same_v<T, float16>) {
    return {static_cast<std::uint8_t>(nb::dlpack::dtype_code::Float), 16, 1};
  } else {
    return nb::dtype<T>();
  }
}

/// The address that the array itself names, or null.
const void* own_address(nb::handle object) {
  if (PyObject_CheckBuffer(object.ptr()) != 0) {
    Py_buffer buffer;
    if (PyObject_GetBuffer(object.ptr(), &buffer, PyBUF_STRIDES) == 0) {
      const void* const address = buffer.buf;
      PyBuffer_Release(&buffer);
      return address;
    }
    PyErr_Clear();
  } else if (nb::hasattr(object, "data_ptr")) {
    return reinterpret_cast<const void*>(nb::cast<std::uintptr_t>(object.attr("data_ptr")()));
  }
  return nullptr;
}

std::string device_name(nb::handle object) {
  return nb::hasattr(object, "device") ? text_of(object.attr("device")) : described(object);
}

void check_device(const char* function, const char* argument, nb::handle object) {
  if (!nb::hasattr(object, "__dlpack_device__")) {
    return;
  }
  nb::object device;
  try {
    device = nb::steal(PySequence_Tuple(nb::object(object.attr("__dlpack_device__")()).ptr()));
  } catch (const nb::python_error&) {  // a device that DLPack has no number for
    throw_type_error(function, argument, "must lie in the memory of the CPU",
                     "device " + device_name(object));
  }
  if (nb::cast<int>(nb::int_(device[0])) != nb::device::cpu::value) {
    throw_type_error(function, argument, "must lie in the memory of the CPU",
                     "device " + device_name(object));
  }
}

/// True for an array of NumPy itself, not of a subclass: it lies in the memory of the CPU, and what
/// only other libraries have need not be asked for, which takes longer than a small problem.
bool is_plain_numpy(nb::handle object) {
  static PyObject* type =
      nullptr;  // guarded by the interpreter's lock, as an import may give it up
  if (type == nullptr) {
    type = nb::object(nb::module_::import_("numpy").attr("ndarray")).release().ptr();
  }
  return reinterpret_cast<PyObject*>(Py_TYPE(object.ptr())) == type;
}

void check_exportable(const char* function, const char* argument, nb::handle object) {
  if (is_plain_numpy(object)) {
    return;
  }
  if (nb::isinstance<nb::capsule>(object) ||
      (!nb::hasattr(object, "__dlpack__") && PyObject_CheckBuffer(object.ptr()) == 0)) {
    throw_type_error(function, argument, "must be an array with __dlpack__ or the buffer protocol",
                     described(object));
  }
  const nb::object requires_grad = nb::getattr(object, "requires_grad", nb::bool_(false));
  if (requires_grad.is(nb::bool_(true))) {
    throw_type_error(function, argument,
                     "must not require a gradient, because there is no backward pass: detach() it",
                     described(object));
  }
  check_device(function, argument, object);
  // torch's views that negate or conjugate when they are read: their memory holds other numbers.
  for (const char* const lazily : {"is_neg", "is_conj"}) {
    if (library_of(object) == Library::torch && nb::cast<bool>(object.attr(lazily)())) {
      throw_type_error(function, argument,
                       "must hold its numbers in memory: call resolve_neg() or resolve_conj()",
                       std::string("a view with ") + lazily + "() true");
    }
  }
}

}  // namespace

Library library_of(nb::handle array) {
  if (is_plain_numpy(array)) {
    return Library::numpy;
  }
  const nb::object module = nb::getattr(array.type(), "__module__", nb::str(""));
  const auto name = text_of(module);
  if (name.starts_with("torch")) {
    return Library::torch;
  }
  return name.starts_with("jax") ? Library::jax : Library::numpy;
}

std::string text_of(nb::handle object) {
  return nb::steal<nb::str>(PyObject_Str(object.ptr())).c_str();
}

std::string described(nb::handle object) {
  std::string text = text_of(object.type().attr("__name__"));
  if (nb::hasattr(object, "dtype") && nb::hasattr(object, "shape")) {
    const nb::object shape = nb::steal(PySequence_Tuple(nb::object(object.attr("shape")).ptr()));
    text += " of dtype " + text_of(object.attr("dtype")) + " and shape " + text_of(shape);
  }
  return text;
}

void throw_type_error(const char* function, const char* argument, const std::string& rule,
                      const std::string& found) {
  throw nb::type_error(
      (std::string(function) + ": " + argument + " " + rule + "; found " + found).c_str());
}

void throw_value_error(const char* function, const char* argument, const std::string& rule,
                       const std::string& found) {
  throw nb::value_error(
      (std::string(function) + ": " + argument + " " + rule + "; found " + found).c_str());
}

std::int64_t copies() {
  return copied_arrays.load();
}

void Array::take(const char* function, const char* argument, nb::handle object) {
  if (static_cast<int>(owner_.ndim()) > kMaxRank) {
    throw_value_error(function, argument, "must have at most 6 dimensions", described(object));
  }
  const std::optional<DType> dtype = dtype_of(owner_.dtype());
  if (!dtype) {
    throw_type_error(function, argument, "must hold numbers or bools of 8 to 64 bits",
                     described(object));
  }
  Layout layout;
  for (std::size_t dim = 0; dim < owner_.ndim(); ++dim) {
    layout.shape.push_back(static_cast<std::int64_t>(owner_.shape(dim)));
    layout.strides.push_back(owner_.stride(dim));
  }
  view_ = AnyView(owner_.data(), *dtype, std::move(layout));
  given_ = true;
  const void* const own = own_address(object);
  if (own != nullptr && own != owner_.data() && view_.element_count() > 0) {
    ++copied_arrays;
  }
}

Array Array::reading(const char* function, const char* argument, nb::handle object, bool optional) {
  Array array;
  if (optional && object.is_none()) {
    return array;
  }
  check_exportable(function, argument, object);
  if (!nb::try_cast(object, array.owner_, false)) {
    throw_type_error(function, argument,
                     "cannot be read in place (an unknown element type, or strides that are no "
                     "multiple of it)",
                     described(object));
  }
  array.take(function, argument, object);
  return array;
}

Array Array::writing(const char* function, const char* argument, nb::handle object) {
  check_exportable(function, argument, object);
  Array array;
  nb::ndarray<> writable;
  if (library_of(object) == Library::jax || !nb::try_cast(object, writable, false)) {
    if (nb::try_cast(object, array.owner_, false)) {
      throw_value_error(function, argument, "must be writable", "a read-only " + described(object));
    }
    throw_type_error(function, argument, "cannot be written in place", described(object));
  }
  array.owner_ = nb::ndarray<nb::ro>(writable);
  array.take(function, argument, object);
  return array;
}

template <class T>
nb::object handed_over(Tensor<T>&& tensor, Library library, const Shape& shape) {
  if (tensor.is_null()) {
    return nb::none();
  }
  auto* const kept = new Tensor<T>(std::move(tensor));
  const nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<Tensor<T>*>(p); });
  std::size_t extents[kMaxRank] = {};
  for (int dim = 0; dim < shape.rank(); ++dim) {
    extents[dim] = static_cast<std::size_t>(shape[dim]);
  }
  const auto rank = static_cast<std::size_t>(shape.rank());
  const auto as = [&]<class Framework>(Framework) {
    const nb::ndarray<Framework> array(kept->data(), rank, extents, owner, nullptr,
                                       dlpack_dtype<T>());
    return nb::cast(array);
  };
  switch (library) {
    case Library::torch:
      return as(nb::pytorch());
    case Library::jax:
      return as(nb::jax());
    case Library::numpy:
      break;
  }
  return as(nb::numpy());
}

template nb::object handed_over(Tensor<float>&&, Library, const Shape&);
template nb::object handed_over(Tensor<double>&&, Library, const Shape&);
template nb::object handed_over(Tensor<float16>&&, Library, const Shape&);
template nb::object handed_over(Tensor<bfloat16>&&, Library, const Shape&);

nb::object shared_with_numpy(TensorView<float> view, nb::handle owner) {
  std::size_t extents[kMaxRank] = {};
  std::int64_t strides[kMaxRank] = {};
  for (int dim = 0; dim < view.rank(); ++dim) {
    extents[dim] = static_cast<std::size_t>(view.size(dim));
    strides[dim] = view.strides()[dim];
  }
  const nb::ndarray<nb::numpy, float> array(view.data(), static_cast<std::size_t>(view.rank()),
                                            extents, owner, strides);
  return nb::cast(array, nb::rv_policy::reference);
}

}  // namespace attention::python
