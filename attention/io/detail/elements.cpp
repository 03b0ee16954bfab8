#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <type_traits>
#include <vector>

#include <attention/core/error.hpp>
#include <attention/io/detail/elements.hpp>

namespace attention::io::detail {
namespace {

template <std::size_t Size>
void reverse_each(std::span<std::byte> bytes) {
  for (std::size_t i = 0; i + Size <= bytes.size(); i += Size) {
    std::reverse(bytes.data() + i, bytes.data() + i + Size);
  }
}

template <class T>
AnyTensor read_typed(const StoredElements& stored, FunctionRef<void(std::span<std::byte>)> read) {
  auto tensor = Tensor<T>::for_overwrite(stored.shape);
  const std::span<std::byte> bytes = std::as_writable_bytes(tensor.values());
  read(bytes);
  if constexpr (std::is_same_v<T, bool>) {
    for (std::byte& value : bytes) {
      value = value == std::byte{0} ? std::byte{0} : std::byte{1};
    }
  } else if (stored.order != std::endian::native) {
    reverse_each<sizeof(T)>(bytes);
  }
  return tensor;
}

template <class T>
void write_typed(const TensorView<const T>& view, std::endian order, ByteWriter write) {
  const auto count = static_cast<std::size_t>(view.element_count());
  const bool as_they_lie = sizeof(T) == 1 || order == std::endian::native;
  if (as_they_lie && view.layout().is_contiguous()) {
    write(std::as_bytes(std::span(view.data(), count)));
    return;
  }
  constexpr std::size_t kBlockBytes = std::size_t{1} << 16;
  std::vector<std::byte> block(std::min(count * sizeof(T), kBlockBytes));
  std::size_t used = 0;
  const auto flush = [&] {
    const std::span<std::byte> filled = std::span(block).first(used);
    if (!as_they_lie) {
      reverse_each<sizeof(T)>(filled);
    }
    write(filled);
    used = 0;
  };
  for_each_offset(
      view.shape(),
      [&](std::int64_t offset) {
        std::memcpy(block.data() + used, view.data() + offset, sizeof(T));
        used += sizeof(T);
        if (used == block.size()) {
          flush();
        }
      },
      view.strides());
  flush();
}

}  // namespace

std::optional<std::int64_t> element_bytes(DType dtype, const Shape& shape) noexcept {
  auto bytes = static_cast<std::int64_t>(size_of(dtype));
  bool fits = true;
  bool empty = false;
  for (const std::int64_t extent : shape) {
    empty = empty || extent == 0;
    fits = fits && !__builtin_mul_overflow(bytes, std::max<std::int64_t>(extent, 1), &bytes);
  }
  return fits ? std::optional(empty ? 0 : bytes) : std::nullopt;
}

AnyTensor read_elements(const StoredElements& stored, FunctionRef<void(std::span<std::byte>)> read,
                        const Origin& origin) {
  try {
    return visit(stored.dtype, [&]<class T>() { return read_typed<T>(stored, read); });
  } catch (const std::bad_alloc&) {
    origin.fail("needs " + bytes_text(element_bytes(stored.dtype, stored.shape).value_or(0)) +
                " of memory, which the system does not give");
  }
}

void write_elements(const AnyView& array, std::endian order, ByteWriter write) {
  visit(array.dtype(), [&]<class T>() { write_typed<T>(array.as<T>(), order, write); });
}

std::int64_t check_given(std::string_view function, const AnyView& array) {
  require(array.element_count() == 0 || array.data() != nullptr, function,
          "the array must be given", [&] { return "a null view of " + to_string(array.shape()); });
  const std::optional<std::int64_t> bytes = element_bytes(array.dtype(), array.shape());
  require(bytes.has_value(), function,
          "the number of bytes must fit in 63 bits, extents of 0 left out",
          [&] { return to_string(array.shape()); });
  return bytes.value_or(0);
}

}  // namespace attention::io::detail
