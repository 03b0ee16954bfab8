#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include <attention/core/export.hpp>
#include <attention/core/half.hpp>

namespace attention {

/// The element types. Attention computes on the floating ones; the others hold masks, lengths and
/// whatever a file brings.
enum class DType : std::uint8_t {
  float32,
  float64,
  float16,
  bfloat16,
  boolean,
  int8,
  int16,
  int32,
  int64,
  uint8,
  uint16,
  uint32,
  uint64,
};

/// "float32", "bool", ...: NumPy's names, and "bfloat16".
ATTENTION_API std::string_view name_of(DType dtype) noexcept;

/// Bytes per element.
ATTENTION_API std::size_t size_of(DType dtype) noexcept;

/// True for float32, float64, float16 and bfloat16.
constexpr bool is_floating(DType dtype) noexcept {
  return dtype <= DType::bfloat16;
}

namespace detail {

template <class T>
constexpr DType dtype_of_type() {
  if constexpr (std::is_same_v<T, float>) {
    return DType::float32;
  } else if constexpr (std::is_same_v<T, double>) {
    return DType::float64;
  } else if constexpr (std::is_same_v<T, float16>) {
    return DType::float16;
  } else if constexpr (std::is_same_v<T, bfloat16>) {
    return DType::bfloat16;
  } else if constexpr (std::is_same_v<T, bool>) {
    return DType::boolean;
  } else if constexpr (std::is_same_v<T, std::int8_t>) {
    return DType::int8;
  } else if constexpr (std::is_same_v<T, std::int16_t>) {
    return DType::int16;
  } else if constexpr (std::is_same_v<T, std::int32_t>) {
    return DType::int32;
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    return DType::int64;
  } else if constexpr (std::is_same_v<T, std::uint8_t>) {
    return DType::uint8;
  } else if constexpr (std::is_same_v<T, std::uint16_t>) {
    return DType::uint16;
  } else if constexpr (std::is_same_v<T, std::uint32_t>) {
    return DType::uint32;
  } else {
    static_assert(std::is_same_v<T, std::uint64_t>, "not an element type of attention");
    return DType::uint64;
  }
}

}  // namespace detail

/// The DType of a C++ element type (const or not).
template <class T>
inline constexpr DType kDTypeOf = detail::dtype_of_type<std::remove_const_t<T>>();

/// The type in which attention over elements of T accumulates, and the type of its weights and lse:
/// double for double, float for float and the 16-bit types.
template <class T>
using Accumulator =
    std::conditional_t<std::is_same_v<std::remove_const_t<T>, double>, double, float>;

/// Calls `function.template operator()<T>()` with the C++ type of `dtype` and returns its result.
template <class Function>
decltype(auto) visit(DType dtype, Function&& function) {
  switch (dtype) {
    case DType::float32:
      return function.template operator()<float>();
    case DType::float64:
      return function.template operator()<double>();
    case DType::float16:
      return function.template operator()<float16>();
    case DType::bfloat16:
      return function.template operator()<bfloat16>();
    case DType::boolean:
      return function.template operator()<bool>();
    case DType::int8:
      return function.template operator()<std::int8_t>();
    case DType::int16:
      return function.template operator()<std::int16_t>();
    case DType::int32:
      return function.template operator()<std::int32_t>();
    case DType::int64:
      return function.template operator()<std::int64_t>();
    case DType::uint8:
      return function.template operator()<std::uint8_t>();
    case DType::uint16:
      return function.template operator()<std::uint16_t>();
    case DType::uint32:
      return function.template operator()<std::uint32_t>();
    case DType::uint64:
      break;
  }
  return function.template operator()<std::uint64_t>();
}

/// Converts one element to another element type, through float for the 16-bit types. Float to
/// integer truncates.
template <class To, class From>
constexpr To element_cast(From value) noexcept {
  constexpr bool kFromHalf = std::is_same_v<From, float16> || std::is_same_v<From, bfloat16>;
  constexpr bool kToHalf = std::is_same_v<To, float16> || std::is_same_v<To, bfloat16>;
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else if constexpr (kFromHalf) {
    return element_cast<To>(static_cast<float>(value));
  } else if constexpr (kToHalf) {
    return To(static_cast<float>(value));
  } else if constexpr (std::is_same_v<To, bool>) {
    return value != From{};
  } else {
    return static_cast<To>(value);
  }
}

}  // namespace attention
