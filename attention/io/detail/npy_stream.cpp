#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <attention/core/error.hpp>
#include <attention/io/detail/npy_header.hpp>
#include <attention/io/detail/npy_stream.hpp>

namespace attention::io::detail {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
/// What version 1.0 can hold; a header of numbers needs a hundred or two.
constexpr std::int64_t kMaxHeaderBytes = 65535;

std::string bytes_text(std::int64_t bytes) {
  return std::to_string(bytes) + (bytes == 1 ? " byte" : " bytes");
}

/// Reads the header; `taken` becomes the number of bytes before the elements.
NpyHeader read_header(const ByteStream& in, const Origin& origin, std::int64_t& taken) {
  std::array<std::byte, 12> start = {};
  const auto read_start = [&](std::size_t from, std::size_t to) {
    origin.check(in.size >= static_cast<std::int64_t>(to), [&] {
      return "is truncated inside its npy header: " + bytes_text(in.size) + " are there";
    });
    in.read(std::span(start).subspan(from, to - from));
  };
  read_start(0, 8);
  origin.check(std::memcmp(start.data(), kMagic.data(), kMagic.size()) == 0,
               [] { return "is not an npy file: it does not begin with '\\x93NUMPY'"; });
  const int major = std::to_integer<int>(start[6]);
  const int minor = std::to_integer<int>(start[7]);
  origin.check(major >= 1 && major <= 3 && minor == 0, [&] {
    return "has npy version " + std::to_string(major) + "." + std::to_string(minor) +
           "; attention reads 1.0, 2.0 and 3.0";
  });
  // Version 1.0 gives the header's length in two bytes, the later ones in four.
  const std::size_t preamble = major == 1 ? 10 : 12;
  read_start(8, preamble);
  const auto length = major == 1
                          ? std::int64_t{load_little_endian<std::uint16_t>(start.data() + 8)}
                          : std::int64_t{load_little_endian<std::uint32_t>(start.data() + 8)};
  const auto after = static_cast<std::int64_t>(preamble);
  origin.check(length <= in.size - after, [&] {
    return "is truncated inside its npy header: it promises " + bytes_text(length) +
           " of header, " + std::to_string(in.size - after) + " are there";
  });
  origin.check(length <= kMaxHeaderBytes, [&] {
    return "has an npy header of " + bytes_text(length) + "; attention reads at most " +
           std::to_string(kMaxHeaderBytes);
  });
  std::string dictionary(static_cast<std::size_t>(length), '\0');
  in.read(std::as_writable_bytes(std::span(dictionary)));
  taken = after + length;
  return parse_npy_header(dictionary, origin);
}

void check_size(const NpyHeader& header, std::int64_t there, const Origin& origin,
                std::int64_t max_bytes) {
  const auto promised = [&] { return bytes_text(header.element_bytes); };
  origin.check(there >= header.element_bytes, [&] {
    return "is truncated: its header promises " + promised() + " of elements, " +
           std::to_string(there) + " are there";
  });
  origin.check(there == header.element_bytes, [&] {
    return "has " + bytes_text(there - header.element_bytes) + " after the " + promised() +
           " of elements that its header promises";
  });
  origin.check(header.element_bytes <= max_bytes, [&] {
    return "has " + promised() + " of elements, more than ReadOptions::max_bytes leaves (" +
           std::to_string(max_bytes) + ")";
  });
}

template <std::size_t Size>
void reverse_each(std::span<std::byte> bytes) {
  for (std::size_t i = 0; i + Size <= bytes.size(); i += Size) {
    std::reverse(bytes.data() + i, bytes.data() + i + Size);
  }
}

/// The dimensions from the last to the first.
Dims reversed(const Dims& dims) {
  Dims result = dims;
  for (int dim = 0; dim < dims.rank(); ++dim) {
    result[dim] = dims[dims.rank() - 1 - dim];
  }
  return result;
}

template <class T>
AnyTensor read_elements(const ByteStream& in, const NpyHeader& header) {
  // Column-major elements are the row-major ones of the reversed shape, seen with their dimensions
  // reversed: nothing is moved.
  Tensor<T> tensor(header.fortran_order ? reversed(header.shape) : header.shape);
  const std::span<std::byte> bytes = std::as_writable_bytes(tensor.values());
  in.read(bytes);
  if constexpr (std::is_same_v<T, bool>) {
    for (std::byte& value : bytes) {
      value = value == std::byte{0} ? std::byte{0} : std::byte{1};
    }
  } else if (header.byte_swapped) {
    reverse_each<sizeof(T)>(bytes);
  }
  if (!header.fortran_order) {
    return tensor;
  }
  Dims order = header.shape;
  for (int dim = 0; dim < order.rank(); ++dim) {
    order[dim] = order.rank() - 1 - dim;
  }
  auto owner = std::make_shared<const Tensor<T>>(std::move(tensor));
  const AnyView view = owner->view().permute(order);
  return {std::move(owner), view};
}

template <class T>
void write_elements(TensorView<const T> view, ByteWriter write) {
  const auto count = static_cast<std::size_t>(view.element_count());
  if (view.layout().is_contiguous()) {
    write(std::as_bytes(std::span(view.data(), count)));
    return;
  }
  constexpr std::size_t kBlockBytes = std::size_t{1} << 16;
  std::vector<std::byte> block(std::min(count * sizeof(T), kBlockBytes));
  std::size_t used = 0;
  for_each_offset(
      view.shape(),
      [&](std::int64_t offset) {
        std::memcpy(block.data() + used, view.data() + offset, sizeof(T));
        used += sizeof(T);
        if (used == block.size()) {
          write(block);
          used = 0;
        }
      },
      view.strides());
  write(std::span(block).first(used));
}

}  // namespace

AnyTensor read_npy_stream(const ByteStream& in, const Origin& origin, std::int64_t max_bytes) {
  std::int64_t taken = 0;
  const NpyHeader header = read_header(in, origin, taken);
  check_size(header, in.size - taken, origin, max_bytes);
  try {
    return visit(header.dtype, [&]<class T>() { return read_elements<T>(in, header); });
  } catch (const std::bad_alloc&) {
    origin.fail("needs " + bytes_text(header.element_bytes) +
                " of memory, which the system does not give");
  }
}

void write_npy_stream(const AnyView& array, ByteWriter write) {
  write(encode_npy_header(array.dtype(), array.shape()));
  visit(array.dtype(), [&]<class T>() { write_elements<T>(array.as<T>(), write); });
}

std::int64_t npy_stream_size(const AnyView& array) {
  return static_cast<std::int64_t>(encode_npy_header(array.dtype(), array.shape()).size()) +
         array.element_count() * static_cast<std::int64_t>(size_of(array.dtype()));
}

void check_writable(std::string_view function, const AnyView& array) {
  require(array.element_count() == 0 || array.data() != nullptr, function,
          "the array must be given", [&] { return "a null view of " + to_string(array.shape()); });
  require(npy_element_bytes(array.dtype(), array.shape()).has_value(), function,
          "the number of bytes must fit in 63 bits, extents of 0 left out",
          [&] { return to_string(array.shape()); });
  require(array.dtype() != DType::bfloat16, function,
          "npy has no bfloat16: convert the array to float32 first",
          [&] { return "bfloat16 " + to_string(array.shape()); });
}

}  // namespace attention::io::detail
