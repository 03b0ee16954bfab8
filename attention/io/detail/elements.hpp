#pragma once

// Private to the io room: not for users, not installed.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <attention/core/dtype.hpp>
#include <attention/core/layout.hpp>
#include <attention/core/tensor.hpp>
#include <attention/io/detail/bytes.hpp>

namespace attention::io::detail {

/// Elements as they lie in a file: dense, in row-major order.
struct StoredElements {
  DType dtype = DType::float32;
  Shape shape;
  std::endian order = std::endian::little;
};

/// The bytes of all elements of a shape without negative extents; nothing when they do not fit in
/// 63 bits, extents of 0 left out, as NumPy counts.
std::optional<std::int64_t> element_bytes(DType dtype, const Shape& shape) noexcept;

/// Reads elements whose element_bytes is known, straight into their tensor, by one call of `read`
/// for all of them. A byte of a bool other than 0 counts as 1. Throws FileError about `origin` when
/// the system does not give the memory.
AnyTensor read_elements(const StoredElements& stored, FunctionRef<void(std::span<std::byte>)> read,
                        const Origin& origin);

/// Writes the elements of a checked view of any strides in row-major order.
void write_elements(const AnyView& array, std::endian order, ByteWriter write);

/// Throws Error, for `function`, unless the view is given and its bytes fit in 63 bits; returns
/// them.
std::int64_t check_given(std::string_view function, const AnyView& array);

}  // namespace attention::io::detail
