#pragma once

// Private to the io room: not for users, not installed.

#include <cstdint>
#include <string>
#include <vector>

#include <attention/io/compression.hpp>
#include <attention/io/detail/bytes.hpp>

namespace attention::io::detail {

/// A file inside a zip archive, as the central directory tells.
struct ZipMember {
  std::string name;
  Compression compression = Compression::stored;
  std::uint32_t crc = 0;
  std::int64_t compressed_size = 0;
  std::int64_t size = 0;
  std::int64_t header_offset = 0;  // of the local header
  std::int64_t data_offset = 0;
};

/// Reads the directory of a zip archive, in its order; folders are left out.
///
/// The subset that NumPy writes: stored and deflated members, zip64, names in UTF-8, sizes after
/// the data (bit 3 of the flags). Checks everything but the members' contents: that the records lie
/// where they must and fill the directory; that each local header says the same as the directory;
/// that members lie inside the file, before the directory, and do not overlap; that no name comes
/// twice; that no member claims more bytes than its compressed ones can give. Throws FileError
/// about `origin`, also for encrypted members and archives on several disks.
std::vector<ZipMember> read_zip_directory(const ByteSource& source, const Origin& origin);

/// Calls consume with a stream of the member's plain bytes, which must be read whole, and then
/// checks their CRC-32. Throws FileError about `origin`.
void read_zip_member(const ByteSource& source, const ZipMember& member, const Origin& origin,
                     FunctionRef<void(const ByteStream&)> consume);

}  // namespace attention::io::detail
