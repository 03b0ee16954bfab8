#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <attention/io/compression.hpp>

#include "support.hpp"

namespace attention::io::test {

/// A field of a zip record: where it is in the record, and its bytes.
struct Field {
  std::size_t offset;
  std::size_t size;
};

namespace local {
inline constexpr Field kSignature{.offset = 0, .size = 4};
inline constexpr Field kFlags{.offset = 6, .size = 2};
inline constexpr Field kMethod{.offset = 8, .size = 2};
inline constexpr Field kCrc{.offset = 14, .size = 4};
inline constexpr Field kPackedSize{.offset = 18, .size = 4};
inline constexpr Field kSize{.offset = 22, .size = 4};
inline constexpr Field kNameSize{.offset = 26, .size = 2};
inline constexpr Field kExtraSize{.offset = 28, .size = 2};
// In the extra field, after a name of five bytes.
inline constexpr Field kZip64SizeAfter5{.offset = 39, .size = 8};
inline constexpr Field kZip64PackedAfter5{.offset = 47, .size = 8};
}  // namespace local

namespace central {
inline constexpr Field kSignature{.offset = 0, .size = 4};
inline constexpr Field kFlags{.offset = 8, .size = 2};
inline constexpr Field kMethod{.offset = 10, .size = 2};
inline constexpr Field kCrc{.offset = 16, .size = 4};
inline constexpr Field kPackedSize{.offset = 20, .size = 4};
inline constexpr Field kSize{.offset = 24, .size = 4};
inline constexpr Field kNameSize{.offset = 28, .size = 2};
inline constexpr Field kExtraSize{.offset = 30, .size = 2};
inline constexpr Field kCommentSize{.offset = 32, .size = 2};
inline constexpr Field kDisk{.offset = 34, .size = 2};
inline constexpr Field kOffset{.offset = 42, .size = 4};
}  // namespace central

namespace end {
inline constexpr Field kSignature{.offset = 0, .size = 4};
inline constexpr Field kDisk{.offset = 4, .size = 2};
inline constexpr Field kDirectoryDisk{.offset = 6, .size = 2};
inline constexpr Field kEntriesHere{.offset = 8, .size = 2};
inline constexpr Field kEntries{.offset = 10, .size = 2};
inline constexpr Field kDirectorySize{.offset = 12, .size = 4};
inline constexpr Field kDirectoryOffset{.offset = 16, .size = 4};
inline constexpr Field kCommentSize{.offset = 20, .size = 2};
}  // namespace end

namespace end64 {
inline constexpr Field kSignature{.offset = 0, .size = 4};
inline constexpr Field kRecordSize{.offset = 4, .size = 8};
inline constexpr Field kDisk{.offset = 16, .size = 4};
inline constexpr Field kDirectoryDisk{.offset = 20, .size = 4};
inline constexpr Field kEntriesHere{.offset = 24, .size = 8};
inline constexpr Field kEntries{.offset = 32, .size = 8};
inline constexpr Field kDirectorySize{.offset = 40, .size = 8};
inline constexpr Field kDirectoryOffset{.offset = 48, .size = 8};
}  // namespace end64

namespace locator64 {
inline constexpr Field kSignature{.offset = 0, .size = 4};
inline constexpr Field kDisk{.offset = 4, .size = 4};
inline constexpr Field kRecordOffset{.offset = 8, .size = 8};
inline constexpr Field kDisks{.offset = 16, .size = 4};
}  // namespace locator64

/// Of the first member: its local header and its entry in the directory; and the records at the
/// end.
enum class Record : std::uint8_t { local, central, end64, locator64, end };

/// A small zip archive whose first member and end record can be falsified.
class ZipArchive {
 public:
  explicit ZipArchive(Bytes bytes);

  const Bytes& bytes() const noexcept { return bytes_; }
  std::uint64_t get(Record record, Field field) const;
  void set(Record record, Field field, std::uint64_t value);
  /// Renames the first member, to a name of the same length, in both places.
  void set_name(std::string_view name);
  /// Puts bytes between the members and the directory.
  void insert_before_directory(const Bytes& bytes);
  /// Adds the zip64 end records, and leaves their numbers to them in the other one.
  void add_zip64_end();

 private:
  std::size_t start_of(Record record) const;

  Bytes bytes_;
  std::size_t directory_ = 0;
};

/// An archive of two arrays, q (2, 3) of float32 and mask (3,) of bool, that falsified fields are
/// tried on.
ZipArchive small_archive(Compression compression = Compression::stored);

}  // namespace attention::io::test
