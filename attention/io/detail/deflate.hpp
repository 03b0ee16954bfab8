#pragma once

// Private to the io room: not for users, not installed.

#include <cstdint>

#include <attention/io/detail/bytes.hpp>

namespace attention::io::detail {

/// Deflate gives at most so many bytes for one: 258 for a match of two bits.
inline constexpr std::int64_t kMaxInflation = 1032;

/// Where a raw deflate stream lies, and how many bytes it is said to give.
struct DeflatedSection {
  std::int64_t offset;
  std::int64_t compressed_size;
  std::int64_t size;
};

/// Inflates one section of `source`: calls consume with a stream of its bytes, which must be read
/// whole, and then checks that the deflate stream ends there and fills the section.
///
/// Throws FileError about `origin` for a damaged stream, and when this build has no zlib.
void inflate(const ByteSource& source, const DeflatedSection& section, const Origin& origin,
             FunctionRef<void(const ByteStream&)> consume);

/// Deflates to one raw stream, at zlib's default level as Python's zipfile does: calls produce with
/// a writer that takes the plain bytes. Throws Error when this build has no zlib.
void deflate(FunctionRef<void(ByteWriter)> produce, ByteWriter write);

}  // namespace attention::io::detail
