#include <algorithm>
#include <utility>

#include <attention/io/detail/crc32.hpp>
#include <attention/io/detail/deflate.hpp>
#include <attention/io/detail/zip_format.hpp>
#include <attention/io/detail/zip_writer.hpp>

namespace attention::io::detail {
namespace {

constexpr std::uint16_t kVersion = 45;         // 4.5: zip64
constexpr std::uint16_t kMadeBy = 3 << 8;      // Unix
constexpr std::uint16_t kTime = 0;             // 00:00
constexpr std::uint16_t kDate = (1 << 5) | 1;  // 1980-01-01: no file depends on when it is written
constexpr std::uint32_t kAttributes = 0600 << 16;  // Unix permissions

std::uint16_t flags_of(std::string_view name) {
  bool ascii = true;
  for (const char c : name) {
    ascii = ascii && static_cast<unsigned char>(c) < 0x80;
  }
  return ascii ? std::uint16_t{0} : zip::kUtf8Flag;
}

std::uint16_t method_of(Compression compression) {
  return compression == Compression::stored ? zip::kStored : zip::kDeflated;
}

/// From here on zip64 fields are written, as Python's zipfile does: half of what 32 bits hold.
constexpr std::uint64_t kZip64Limit = 0x7FFFFFFF;

std::uint32_t saturated(std::uint64_t value) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(value, zip::kSaturated32));
}

void append_central_header(std::vector<std::byte>& bytes, const ZipEntry& entry) {
  const bool is_large = entry.size > kZip64Limit || entry.compressed_size > kZip64Limit;
  const bool is_far = entry.header_offset > kZip64Limit;
  std::vector<std::byte> zip64;
  if (is_large) {
    append_little_endian(zip64, entry.size);
    append_little_endian(zip64, entry.compressed_size);
  }
  if (is_far) {
    append_little_endian(zip64, entry.header_offset);
  }
  const std::size_t extra_size = zip64.empty() ? 0 : 4 + zip64.size();
  append_little_endian(bytes, zip::kCentralSignature);
  append_little_endian(bytes, static_cast<std::uint16_t>(kMadeBy | kVersion));
  append_little_endian(bytes, kVersion);
  append_little_endian(bytes, flags_of(entry.name));
  append_little_endian(bytes, method_of(entry.compression));
  append_little_endian(bytes, kTime);
  append_little_endian(bytes, kDate);
  append_little_endian(bytes, entry.crc);
  append_little_endian(bytes, is_large ? zip::kSaturated32 : saturated(entry.compressed_size));
  append_little_endian(bytes, is_large ? zip::kSaturated32 : saturated(entry.size));
  append_little_endian(bytes, static_cast<std::uint16_t>(entry.name.size()));
  append_little_endian(bytes, static_cast<std::uint16_t>(extra_size));
  append_little_endian(bytes, std::uint16_t{0});  // no comment
  append_little_endian(bytes, std::uint16_t{0});  // on the first disk
  append_little_endian(bytes, std::uint16_t{0});  // no internal attributes
  append_little_endian(bytes, kAttributes);
  append_little_endian(bytes, is_far ? zip::kSaturated32 : saturated(entry.header_offset));
  append_text(bytes, entry.name);
  if (!zip64.empty()) {
    append_little_endian(bytes, zip::kZip64Extra);
    append_little_endian(bytes, static_cast<std::uint16_t>(zip64.size()));
    bytes.insert(bytes.end(), zip64.begin(), zip64.end());
  }
}

void append_end_records(std::vector<std::byte>& bytes, std::uint64_t entries,
                        std::uint64_t directory_offset) {
  const std::uint64_t directory_size = bytes.size();
  if (entries > zip::kSaturated16 || directory_offset > kZip64Limit ||
      directory_size > kZip64Limit) {
    append_little_endian(bytes, zip::kEnd64Signature);
    append_little_endian(bytes, static_cast<std::uint64_t>(zip::kEnd64Bytes - 12));  // what follows
    append_little_endian(bytes, kVersion);          // made by, which here is without the system
    append_little_endian(bytes, kVersion);          // needed
    append_little_endian(bytes, std::uint32_t{0});  // this disk
    append_little_endian(bytes, std::uint32_t{0});  // the directory's disk
    append_little_endian(bytes, entries);           // on this disk
    append_little_endian(bytes, entries);
    append_little_endian(bytes, directory_size);
    append_little_endian(bytes, directory_offset);

    append_little_endian(bytes, zip::kLocator64Signature);
    append_little_endian(bytes, std::uint32_t{0});  // the record's disk
    append_little_endian(bytes, directory_offset + directory_size);
    append_little_endian(bytes, std::uint32_t{1});  // disks
  }
  const auto few = static_cast<std::uint16_t>(std::min<std::uint64_t>(entries, zip::kSaturated16));
  append_little_endian(bytes, zip::kEndSignature);
  append_little_endian(bytes, std::uint16_t{0});  // this disk
  append_little_endian(bytes, std::uint16_t{0});  // the directory's disk
  append_little_endian(bytes, few);               // on this disk
  append_little_endian(bytes, few);
  append_little_endian(bytes, saturated(directory_size));
  append_little_endian(bytes, saturated(directory_offset));
  append_little_endian(bytes, std::uint16_t{0});  // no comment
}

}  // namespace

std::vector<std::byte> zip_local_header(const ZipEntry& entry) {
  std::vector<std::byte> bytes;
  append_little_endian(bytes, zip::kLocalSignature);
  append_little_endian(bytes, kVersion);
  append_little_endian(bytes, flags_of(entry.name));
  append_little_endian(bytes, method_of(entry.compression));
  append_little_endian(bytes, kTime);
  append_little_endian(bytes, kDate);
  append_little_endian(bytes, entry.crc);
  append_little_endian(bytes, zip::kSaturated32);
  append_little_endian(bytes, zip::kSaturated32);
  append_little_endian(bytes, static_cast<std::uint16_t>(entry.name.size()));
  append_little_endian(bytes, std::uint16_t{20});  // of the extra field below
  append_text(bytes, entry.name);
  append_little_endian(bytes, zip::kZip64Extra);
  append_little_endian(bytes, std::uint16_t{16});
  append_little_endian(bytes, entry.size);
  append_little_endian(bytes, entry.compressed_size);
  return bytes;
}

std::vector<std::byte> zip_directory(std::span<const ZipEntry> entries,
                                     std::uint64_t directory_offset) {
  std::vector<std::byte> bytes;
  for (const ZipEntry& entry : entries) {
    append_central_header(bytes, entry);
  }
  append_end_records(bytes, entries.size(), directory_offset);
  return bytes;
}

void ZipWriter::add(std::string_view name, Compression compression,
                    FunctionRef<void(ByteWriter)> produce) {
  ZipEntry entry{.name = std::string(name), .compression = compression, .header_offset = position_};
  write(zip_local_header(entry));  // the sizes are not known yet: this keeps their place
  const std::uint64_t data_offset = position_;
  const auto write_data = [&](std::span<const std::byte> bytes) { write(bytes); };
  const auto produce_counted = [&](ByteWriter next) {
    const auto count = [&](std::span<const std::byte> bytes) {
      entry.crc = crc32(entry.crc, bytes);
      entry.size += bytes.size();
      next(bytes);
    };
    produce(count);
  };
  if (compression == Compression::stored) {
    produce_counted(write_data);
  } else {
    deflate(produce_counted, write_data);
  }
  entry.compressed_size = position_ - data_offset;
  sink_.overwrite(static_cast<std::int64_t>(entry.header_offset), zip_local_header(entry));
  entries_.push_back(std::move(entry));
}

void ZipWriter::finish() {
  write(zip_directory(entries_, position_));
}

void ZipWriter::write(std::span<const std::byte> bytes) {
  sink_.write(bytes);
  position_ += bytes.size();
}

}  // namespace attention::io::detail
