#include <algorithm>
#include <numeric>
#include <unordered_set>
#include <utility>

#include <attention/io/detail/crc32.hpp>
#include <attention/io/detail/deflate.hpp>
#include <attention/io/detail/zip_directory.hpp>
#include <attention/io/detail/zip_format.hpp>
#include <attention/io/detail/zip_reader.hpp>

namespace attention::io::detail {
namespace {

/// The contents of the zip64 extra field; empty when there is none.
std::span<const std::byte> zip64_extra(std::span<const std::byte> extra, const Origin& origin) {
  zip::Fields fields(extra);
  std::span<const std::byte> result;
  while (fields.left() > 0) {
    const auto malformed = [] { return "is malformed: an extra field does not fit its record"; };
    origin.check(fields.left() >= 4, malformed);
    const std::uint16_t id = fields.u16();
    const std::size_t length = fields.u16();
    origin.check(length <= fields.left(), malformed);
    const std::span<const std::byte> contents = fields.bytes(length);
    if (id == zip::kZip64Extra && result.empty()) {
      result = contents;
    }
  }
  return result;
}

/// A 32-bit field, or the next of the zip64 extra field where it is saturated.
std::uint64_t widened(std::uint32_t value, zip::Fields& zip64, const Origin& origin) {
  if (value != zip::kSaturated32) {
    return value;
  }
  origin.check(zip64.left() >= sizeof(std::uint64_t),
               [] { return "is malformed: its zip64 field is missing or too short"; });
  return zip64.u64();
}

/// What the directory and the local header both say about a member.
struct Description {
  std::uint16_t flags = 0;
  std::uint16_t method = 0;
  std::uint32_t crc = 0;
  std::uint64_t compressed_size = 0;
  std::uint64_t size = 0;
};

Origin origin_of_member(const Origin& origin, std::string_view name) {
  return {.path = origin.path, .subject = "npz member " + in_quotes(name)};
}

Compression compression_of(const Description& member, const Origin& origin) {
  origin.check((member.flags & zip::kEncryptedFlags) == 0, [] { return "is encrypted"; });
  origin.check((member.flags & zip::kPatchFlag) == 0, [] { return "is compressed patched data"; });
  origin.check(member.method == zip::kStored || member.method == zip::kDeflated, [&] {
    return "has the compression method " + std::to_string(member.method) +
           "; attention reads stored (0) and deflated (8)";
  });
  return member.method == zip::kStored ? Compression::stored : Compression::deflated;
}

void check_sizes(const Description& member, const Origin& origin) {
  if (member.method == zip::kStored) {
    origin.check(member.size == member.compressed_size, [&] {
      return "is malformed: it is stored, with " + std::to_string(member.compressed_size) +
             " bytes for " + std::to_string(member.size);
    });
    return;
  }
  // Division, so that nothing overflows; a stream of n bytes gives less than 1032 (n + 1).
  origin.check(member.size / std::uint64_t{kMaxInflation} <= member.compressed_size, [&] {
    return "claims " + std::to_string(member.size) + " bytes from " +
           std::to_string(member.compressed_size) +
           " deflated ones, more than deflate can give (1032 for 1)";
  });
}

/// One record of the directory with its description, which the local header must repeat.
struct Entry {
  ZipMember member;
  Description description;
};

Entry read_entry(zip::Fields& directory, std::int64_t directory_offset, const Origin& origin) {
  const auto cut_off = [] { return "is malformed: its zip directory is cut off inside an entry"; };
  origin.check(directory.left() >= static_cast<std::size_t>(zip::kCentralBytes), cut_off);
  origin.check(directory.u32() == zip::kCentralSignature,
               [] { return "is malformed: an entry of its zip directory has no signature"; });
  Entry entry;
  Description& description = entry.description;
  directory.skip(4);  // versions
  description.flags = directory.u16();
  description.method = directory.u16();
  directory.skip(4);  // time and date
  description.crc = directory.u32();
  const std::uint32_t compressed_size = directory.u32();
  const std::uint32_t size = directory.u32();
  const std::size_t name_size = directory.u16();
  const std::size_t extra_size = directory.u16();
  const std::size_t comment_size = directory.u16();
  const std::uint16_t disk = directory.u16();
  directory.skip(6);  // attributes
  const std::uint32_t offset = directory.u32();
  origin.check(name_size + extra_size + comment_size <= directory.left(), cut_off);
  const std::string_view name = directory.text(name_size);
  const std::span<const std::byte> extra = directory.bytes(extra_size);
  directory.skip(comment_size);

  const Origin member_origin = origin_of_member(origin, name);
  member_origin.check(is_utf8(name) && name.find('\0') == std::string_view::npos,
                      [] { return "has a name that is not UTF-8 text, or with a NUL in it"; });
  check_single_disk(disk == 0, origin);
  zip::Fields zip64(zip64_extra(extra, member_origin));
  description.size = widened(size, zip64, member_origin);
  description.compressed_size = widened(compressed_size, zip64, member_origin);
  const std::uint64_t header_offset = widened(offset, zip64, member_origin);
  entry.member.compression = compression_of(description, member_origin);
  check_sizes(description, member_origin);
  // find_data checks the rest; here, that the numbers are offsets and sizes at all.
  member_origin.check(
      lies_inside(header_offset, description.compressed_size, directory_offset), [&] {
        return "is malformed: " + std::to_string(description.compressed_size) + " bytes from " +
               std::to_string(header_offset) + " do not lie before the zip directory (" +
               std::to_string(directory_offset) + ")";
      });
  entry.member.name = name;
  entry.member.crc = description.crc;
  entry.member.header_offset = static_cast<std::int64_t>(header_offset);
  entry.member.compressed_size = static_cast<std::int64_t>(description.compressed_size);
  entry.member.size = static_cast<std::int64_t>(description.size);
  return entry;
}

/// Reads the local header, which ends where the data begins, and checks that it repeats the
/// directory's entry and that header and data end before `limit`, where something else begins.
std::int64_t find_data(const ByteSource& source, const Entry& entry, std::int64_t limit,
                       const Origin& origin) {
  const ZipMember& member = entry.member;
  const auto differs = [] {
    return "is malformed: its local header differs from the zip directory";
  };
  const std::vector<std::byte> bytes = read_bytes(source, member.header_offset, zip::kLocalBytes);
  zip::Fields header(bytes);
  origin.check(header.u32() == zip::kLocalSignature, differs);
  header.skip(2);  // version
  Description local;
  local.flags = header.u16();
  local.method = header.u16();
  header.skip(4);  // time and date
  local.crc = header.u32();
  const std::uint32_t compressed_size = header.u32();
  const std::uint32_t size = header.u32();
  const std::size_t name_size = header.u16();
  const std::size_t extra_size = header.u16();
  const std::int64_t rest_offset = member.header_offset + zip::kLocalBytes;
  const auto rest_size = static_cast<std::int64_t>(name_size + extra_size);
  const std::int64_t available = limit - rest_offset - rest_size;
  origin.check(available >= member.compressed_size, [&] {
    return "is malformed: its " + std::to_string(member.compressed_size) +
           " bytes run into what lies behind them (" + std::to_string(limit) + ")";
  });
  const std::vector<std::byte> rest_bytes = read_bytes(source, rest_offset, rest_size);
  zip::Fields rest(rest_bytes);
  origin.check(rest.text(name_size) == member.name, differs);
  zip::Fields zip64(zip64_extra(rest.bytes(extra_size), origin));
  origin.check(local.method == entry.description.method && local.flags == entry.description.flags,
               differs);
  // With the descriptor flag, the local header was written before the sizes were known.
  if ((local.flags & zip::kDescriptorFlag) == 0) {
    local.size = widened(size, zip64, origin);
    local.compressed_size = widened(compressed_size, zip64, origin);
    origin.check(local.crc == member.crc && local.size == entry.description.size &&
                     local.compressed_size == entry.description.compressed_size,
                 differs);
  }
  return rest_offset + rest_size;
}

void check_unique(const std::vector<Entry>& entries, const Origin& origin) {
  std::unordered_set<std::string_view> names;
  for (const Entry& entry : entries) {
    origin_of_member(origin, entry.member.name).check(names.insert(entry.member.name).second, [] {
      return "is there twice";
    });
  }
}

/// Finds every member's data. In the order of their offsets, each must end before the next begins.
void find_all_data(const ByteSource& source, std::vector<Entry>& entries,
                   std::int64_t directory_offset, const Origin& origin) {
  std::vector<std::size_t> order(entries.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return entries[i].member.header_offset; });
  for (std::size_t i = 0; i < order.size(); ++i) {
    Entry& entry = entries[order[i]];
    const std::int64_t limit =
        i + 1 < order.size() ? entries[order[i + 1]].member.header_offset : directory_offset;
    entry.member.data_offset =
        find_data(source, entry, limit, origin_of_member(origin, entry.member.name));
  }
}

}  // namespace

std::vector<ZipMember> read_zip_directory(const ByteSource& source, const Origin& origin) {
  const DirectoryPlace place = find_directory(source, origin);
  const auto directory_offset = static_cast<std::int64_t>(place.offset);
  const std::vector<std::byte> bytes =
      read_bytes(source, directory_offset, static_cast<std::int64_t>(place.size));
  zip::Fields directory(bytes);
  std::vector<Entry> entries;
  entries.reserve(place.entries);
  for (std::uint64_t n = 0; n < place.entries; ++n) {
    entries.push_back(read_entry(directory, directory_offset, origin));
  }
  origin.check(directory.left() == 0, [&] {
    return "is malformed: its zip directory has " + std::to_string(directory.left()) +
           " bytes after its " + std::to_string(place.entries) + " entries";
  });
  check_unique(entries, origin);
  find_all_data(source, entries, directory_offset, origin);
  std::vector<ZipMember> members;
  members.reserve(entries.size());
  for (Entry& entry : entries) {
    if (!entry.member.name.ends_with('/')) {
      members.push_back(std::move(entry.member));
    }
  }
  return members;
}

void read_zip_member(const ByteSource& source, const ZipMember& member, const Origin& origin,
                     FunctionRef<void(const ByteStream&)> consume) {
  constexpr std::size_t kPiece = std::size_t{1} << 20;  // so that the CRC finds the bytes in cache
  std::uint32_t crc = 0;
  const auto consume_checked = [&](const ByteStream& in) {
    const auto read = [&](std::span<std::byte> out) {
      while (!out.empty()) {
        const std::span<std::byte> piece = out.first(std::min(out.size(), kPiece));
        in.read(piece);
        crc = crc32(crc, piece);
        out = out.subspan(piece.size());
      }
    };
    consume({.size = member.size, .read = read});
  };
  if (member.compression == Compression::deflated) {
    inflate(source,
            {.offset = member.data_offset,
             .compressed_size = member.compressed_size,
             .size = member.size},
            origin, consume_checked);
  } else {
    std::int64_t at = member.data_offset;
    const auto read = [&](std::span<std::byte> out) {
      source.read(at, out);
      at += static_cast<std::int64_t>(out.size());
    };
    consume_checked({.size = member.size, .read = read});
  }
  origin.check(crc == member.crc, [] { return "is damaged: its CRC-32 is wrong"; });
}

}  // namespace attention::io::detail
