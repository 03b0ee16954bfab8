#include <array>
#include <bit>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include <attention/core/error.hpp>
#include <attention/io/detail/elements.hpp>
#include <attention/io/detail/npy_header.hpp>
#include <attention/io/detail/npy_stream.hpp>

namespace attention::io::detail {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
/// What version 1.0 can hold; a header of numbers needs a hundred or two.
constexpr std::int64_t kMaxHeaderBytes = 65535;

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

/// The dimensions from the last to the first.
Dims reversed(const Dims& dims) {
  Dims result = dims;
  for (int dim = 0; dim < dims.rank(); ++dim) {
    result[dim] = dims[dims.rank() - 1 - dim];
  }
  return result;
}

/// Column-major elements are the row-major ones of the reversed shape, seen with their dimensions
/// reversed: nothing is moved.
AnyTensor column_major(AnyTensor reversed_tensor) {
  Dims order = reversed_tensor.shape();
  for (int dim = 0; dim < order.rank(); ++dim) {
    order[dim] = order.rank() - 1 - dim;
  }
  auto owner = std::make_shared<const AnyTensor>(std::move(reversed_tensor));
  const AnyView& dense = owner->view();
  const AnyView view(dense.data(), dense.dtype(), permute(dense.layout(), order));
  return {std::move(owner), view};
}

}  // namespace

AnyTensor read_npy_stream(const ByteStream& in, const Origin& origin, std::int64_t max_bytes) {
  std::int64_t taken = 0;
  const NpyHeader header = read_header(in, origin, taken);
  check_size(header, in.size - taken, origin, max_bytes);
  const StoredElements stored{.dtype = header.dtype,
                              .shape = header.fortran_order ? reversed(header.shape) : header.shape,
                              .order = header.order};
  AnyTensor tensor = read_elements(stored, in.read, origin);
  return header.fortran_order ? column_major(std::move(tensor)) : tensor;
}

void write_npy_stream(const AnyView& array, ByteWriter write) {
  write(encode_npy_header(array.dtype(), array.shape()));
  write_elements(array, std::endian::native, write);
}

std::int64_t npy_stream_size(const AnyView& array) {
  return static_cast<std::int64_t>(encode_npy_header(array.dtype(), array.shape()).size()) +
         array.element_count() * static_cast<std::int64_t>(size_of(array.dtype()));
}

void check_writable(std::string_view function, const AnyView& array) {
  check_given(function, array);
  require(array.dtype() != DType::bfloat16, function,
          "npy has no bfloat16: convert the array to float32 first",
          [&] { return "bfloat16 " + to_string(array.shape()); });
}

}  // namespace attention::io::detail
