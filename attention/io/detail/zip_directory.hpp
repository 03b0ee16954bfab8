#pragma once

// Private to the io room: not for users, not installed.

#include <cstdint>
#include <vector>

#include <attention/io/detail/bytes.hpp>

namespace attention::io::detail {

/// Where the end records say that the directory is.
struct DirectoryPlace {
  std::uint64_t entries = 0;
  std::uint64_t size = 0;
  std::uint64_t offset = 0;
  std::int64_t end_records = 0;  // where these begin
};

/// Finds the end record of a zip archive (and the zip64 one, where there is one) and with it the
/// directory, which must end where they begin. Throws FileError about `origin`.
DirectoryPlace find_directory(const ByteSource& source, const Origin& origin);

/// Throws FileError unless `single`.
void check_single_disk(bool single, const Origin& origin);

/// The bytes of [offset, offset + length), which must lie inside the source.
std::vector<std::byte> read_bytes(const ByteSource& source, std::int64_t offset,
                                  std::int64_t length);

}  // namespace attention::io::detail
