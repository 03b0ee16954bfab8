#pragma once

// Private to the io room: not for users, not installed.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include <attention/core/dtype.hpp>
#include <attention/core/layout.hpp>
#include <attention/io/detail/bytes.hpp>

namespace attention::io::detail {

/// What the header of an npy file says.
struct NpyHeader {
  DType dtype = DType::float32;
  std::endian order = std::endian::native;
  bool fortran_order = false;
  Shape shape;
  std::int64_t element_bytes = 0;  // of all elements
};

/// Reads the header's dictionary: "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }".
///
/// The keys may come in any order, each once, and no other. Throws FileError for anything else, for
/// an element type that attention does not have, a rank over kMaxRank, a negative extent, and a
/// size for which element_bytes gives nothing.
NpyHeader parse_npy_header(std::string_view dictionary, const Origin& origin);

/// The start of an npy file up to the elements: magic string, version 1.0 (always enough for
/// kMaxRank dimensions), and the header as NumPy pads it. For arrays that pass check_writable.
std::vector<std::byte> encode_npy_header(DType dtype, const Shape& shape);

}  // namespace attention::io::detail
