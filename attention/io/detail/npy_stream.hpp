#pragma once

// Private to the io room: not for users, not installed.

#include <cstdint>
#include <string_view>

#include <attention/core/tensor.hpp>
#include <attention/io/detail/bytes.hpp>

namespace attention::io::detail {

/// Reads one npy file that fills the whole stream, its elements straight into their tensor.
///
/// Allocates nothing for the elements before their size is known to be the stream's and at most
/// `max_bytes`. Throws FileError about `origin`.
AnyTensor read_npy_stream(const ByteStream& in, const Origin& origin, std::int64_t max_bytes);

/// Writes a checked view as an npy file.
void write_npy_stream(const AnyView& array, ByteWriter write);

/// How many bytes write_npy_stream writes.
std::int64_t npy_stream_size(const AnyView& array);

/// Throws Error, for `function`, unless npy can hold the view: given, of a size that fits in 63
/// bits, and not of bfloat16.
void check_writable(std::string_view function, const AnyView& array);

}  // namespace attention::io::detail
