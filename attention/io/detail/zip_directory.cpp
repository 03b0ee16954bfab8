#include <algorithm>
#include <string>

#include <attention/io/detail/zip_directory.hpp>
#include <attention/io/detail/zip_format.hpp>

namespace attention::io::detail {
namespace {

/// The offset of the end record: the last place where its signature stands and its comment reaches
/// exactly to the end of the file.
std::int64_t find_end_record(const ByteSource& source, const Origin& origin) {
  constexpr std::int64_t kMaxComment = 65535;
  const std::int64_t length = std::min(source.size, zip::kEndBytes + kMaxComment);
  const std::vector<std::byte> tail = read_bytes(source, source.size - length, length);
  for (std::int64_t at = length - zip::kEndBytes; at >= 0; --at) {
    const std::byte* const record = tail.data() + at;
    if (load_little_endian<std::uint32_t>(record) == zip::kEndSignature &&
        load_little_endian<std::uint16_t>(record + 20) == length - at - zip::kEndBytes) {
      return source.size - length + at;
    }
  }
  origin.fail("is not an npz file, or is truncated: no zip end record at its end");
}

/// Replaces what the end record says by what the zip64 record says, if there is one.
void read_zip64_place(const ByteSource& source, const Origin& origin, DirectoryPlace& place) {
  const std::int64_t locator_offset = place.end_records - zip::kLocator64Bytes;
  if (locator_offset < 0) {
    return;
  }
  const std::vector<std::byte> locator_bytes =
      read_bytes(source, locator_offset, zip::kLocator64Bytes);
  zip::Fields locator(locator_bytes);
  if (locator.u32() != zip::kLocator64Signature) {
    return;
  }
  const std::uint32_t record_disk = locator.u32();
  const std::uint64_t record_offset = locator.u64();
  check_single_disk(record_disk == 0 && locator.u32() <= 1, origin);
  const auto wrong = [] { return "is malformed: its zip64 end record is not where it must be"; };
  // Right before its locator, with nothing after its known fields: as every writer has it.
  const std::int64_t expected_offset = locator_offset - zip::kEnd64Bytes;
  origin.check(expected_offset >= 0 && record_offset == static_cast<std::uint64_t>(expected_offset),
               wrong);
  const std::vector<std::byte> record_bytes = read_bytes(source, expected_offset, zip::kEnd64Bytes);
  zip::Fields record(record_bytes);
  origin.check(record.u32() == zip::kEnd64Signature, wrong);
  origin.check(record.u64() == static_cast<std::uint64_t>(zip::kEnd64Bytes - 12), wrong);
  record.skip(4);  // versions
  const std::uint32_t disk = record.u32();
  const std::uint32_t directory_disk = record.u32();
  const std::uint64_t entries_here = record.u64();
  const DirectoryPlace wide{.entries = record.u64(),
                            .size = record.u64(),
                            .offset = record.u64(),
                            .end_records = expected_offset};
  check_single_disk(disk == 0 && directory_disk == 0 && entries_here == wide.entries, origin);
  origin.check((place.entries == zip::kSaturated16 || place.entries == wide.entries) &&
                   (place.size == zip::kSaturated32 || place.size == wide.size) &&
                   (place.offset == zip::kSaturated32 || place.offset == wide.offset),
               [] { return "is malformed: its two zip end records differ"; });
  place = wide;
}

}  // namespace

DirectoryPlace find_directory(const ByteSource& source, const Origin& origin) {
  DirectoryPlace place;
  place.end_records = find_end_record(source, origin);
  const std::vector<std::byte> bytes = read_bytes(source, place.end_records, zip::kEndBytes);
  zip::Fields record(bytes);
  record.skip(4);  // signature
  const std::uint16_t disk = record.u16();
  const std::uint16_t directory_disk = record.u16();
  const std::uint16_t entries_here = record.u16();
  place.entries = record.u16();
  check_single_disk(disk == 0 && directory_disk == 0 && entries_here == place.entries, origin);
  place.size = record.u32();
  place.offset = record.u32();
  read_zip64_place(source, origin, place);

  // So that there is one way to read the file: the directory ends where the end records begin.
  origin.check(lies_inside(place.offset, place.size, place.end_records) &&
                   place.offset + place.size == static_cast<std::uint64_t>(place.end_records),
               [&] {
                 return "is malformed: its zip directory (" + std::to_string(place.size) +
                        " bytes from " + std::to_string(place.offset) +
                        ") does not end where the end record begins (" +
                        std::to_string(place.end_records) + ")";
               });
  origin.check(place.entries <= place.size / static_cast<std::uint64_t>(zip::kCentralBytes), [&] {
    return "is malformed: a zip directory of " + std::to_string(place.size) +
           " bytes cannot hold " + std::to_string(place.entries) + " entries";
  });
  return place;
}

void check_single_disk(bool single, const Origin& origin) {
  origin.check(single, [] { return "is part of a zip archive on several disks"; });
}

std::vector<std::byte> read_bytes(const ByteSource& source, std::int64_t offset,
                                  std::int64_t length) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(length));
  source.read(offset, bytes);
  return bytes;
}

}  // namespace attention::io::detail
