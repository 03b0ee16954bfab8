#pragma once

// Private to the io room: not for users, not installed.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <attention/io/compression.hpp>
#include <attention/io/detail/bytes.hpp>

namespace attention::io::detail {

/// What the records of a zip archive say about one member.
struct ZipEntry {
  std::string name;
  Compression compression = Compression::stored;
  std::uint32_t crc = 0;
  std::uint64_t size = 0;
  std::uint64_t compressed_size = 0;
  std::uint64_t header_offset = 0;
};

/// The local header of a member, with its sizes in a zip64 field whatever they are.
std::vector<std::byte> zip_local_header(const ZipEntry& entry);

/// What follows the members: the directory, which begins at `directory_offset`, and the end
/// records. zip64 only where a number asks for it.
std::vector<std::byte> zip_directory(std::span<const ZipEntry> entries,
                                     std::uint64_t directory_offset);

/// Writes a zip archive: its members one after the other, then the directory. Byte for byte what
/// Python's zipfile writes for numpy.savez: dated 1980-01-01, zip64 sizes in each local header.
class ZipWriter {
 public:
  explicit ZipWriter(ByteSink sink) : sink_(sink) {}

  /// Adds a member; calls produce with a writer that takes its plain bytes. The name is UTF-8 of at
  /// most 65535 bytes.
  void add(std::string_view name, Compression compression, FunctionRef<void(ByteWriter)> produce);
  /// Writes the directory. The last call.
  void finish();

 private:
  void write(std::span<const std::byte> bytes);

  ByteSink sink_;
  std::uint64_t position_ = 0;
  std::vector<ZipEntry> entries_;
};

}  // namespace attention::io::detail
