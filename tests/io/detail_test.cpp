// The parts that are not for users: CRC-32, names, zip64.

#include <algorithm>
#include <bit>
#include <iterator>
#include <map>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <attention/io/detail/bytes.hpp>
#include <attention/io/detail/crc32.hpp>
#include <attention/io/detail/elements.hpp>
#include <attention/io/detail/input_file.hpp>
#include <attention/io/detail/npy_stream.hpp>
#include <attention/io/detail/zip_reader.hpp>
#include <attention/io/detail/zip_writer.hpp>

#include "support.hpp"

namespace attention::io::detail {
namespace {

using test::Bytes;
using test::to_bytes;

TEST(Crc32, KnownValues) {
  EXPECT_EQ(crc32(0, {}), 0U);
  EXPECT_EQ(crc32(0, to_bytes("123456789")), 0xCBF43926U);
  EXPECT_EQ(crc32(0, to_bytes("The quick brown fox jumps over the lazy dog")), 0x414FA339U);
}

TEST(Crc32, PiecesGiveTheSameAsTheWhole) {
  Bytes bytes;
  for (int i = 0; i < 100; ++i) {
    bytes.push_back(static_cast<std::byte>((i * 37) & 0xFF));
  }
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    const std::span<const std::byte> all(bytes);
    EXPECT_EQ(crc32(crc32(0, all.first(cut)), all.subspan(cut)), crc32(0, all)) << cut;
  }
}

TEST(IsUtf8, TellsWellFormedText) {
  for (const char* text :
       {"", "abc", "\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
        "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF", "a\xC3\xB6z"}) {
    EXPECT_TRUE(is_utf8(text)) << text;
  }
  for (const char* text : {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2z", "\xE0\x9F\xBF",
                           "\xE0\xA0", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80",
                           "\xF0\x90\x80", "\xF5\x80\x80\x80", "\xFF", "\xE0\xA0z", "a\xC3"}) {
    EXPECT_FALSE(is_utf8(text)) << in_quotes(text);
  }
}

TEST(InQuotes, IsShortAndPrintable) {
  EXPECT_EQ(in_quotes("q.npy"), "'q.npy'");
  EXPECT_EQ(in_quotes(std::string("\x1b[1m\0\xff", 6)), "'\\x1b[1m\\x00\\xff'");
  EXPECT_EQ(in_quotes(std::string(60, 'x')), "'" + std::string(60, 'x') + "'");
  EXPECT_EQ(in_quotes(std::string(61, 'x')), "'" + std::string(60, 'x') + "...'");
}

TEST(InputFile, AFileThatShrinksIsAnError) {
  const test::TemporaryFolder folder;
  test::write_bytes(folder / "a", to_bytes("0123456789"));
  const InputFile file(folder / "a");
  std::filesystem::resize_file(folder / "a", 5);
  Bytes bytes(10);
  EXPECT_EQ(test::file_error_of([&] { file.read(0, bytes); }),
            (folder / "a").string() + ": became shorter while it was read");
}

TEST(InputFile, OnlyRegularFilesAreRead) {
  // A pipe that nobody writes to: opening it must not wait.
  const test::TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(test::file_error_of([&] { const InputFile file(folder / "pipe"); }),
              testing::HasSubstr("pipe: is not a regular file"));
}

TEST(ReadNpyStream, MemoryThatTheSystemDoesNotGiveIsAFileError) {
  const Bytes header =
      test::npy_file("{'descr': '<f4', 'fortran_order': False, 'shape': (25,)}", "");
  std::size_t at = 0;
  const auto read = [&](std::span<std::byte> out) {
    if (at == header.size()) {
      throw std::bad_alloc();
    }
    std::ranges::copy(std::span(header).subspan(at, out.size()), out.begin());
    at += out.size();
  };
  const auto body = [&] {
    read_npy_stream({.size = static_cast<std::int64_t>(header.size()) + 100, .read = read},
                    {.path = "x.npy", .subject = "the file"}, 100);
  };
  EXPECT_EQ(test::file_error_of(body),
            "x.npy: the file needs 100 bytes of memory, which the system does not give");
}

TEST(Elements, ComeBackInEitherByteOrder) {
  const AnyTensor array = test::expected_array(DType::int32, {2, 3});
  for (const AnyView& view : {array.view(), AnyView(array.as<std::int32_t>().transpose(0, 1))}) {
    for (const std::endian order : {std::endian::little, std::endian::big}) {
      Bytes bytes;
      write_elements(view, order, [&](std::span<const std::byte> more) {
        bytes.insert(bytes.end(), more.begin(), more.end());
      });
      const std::string first(order == std::endian::little ? "\xFD\xFF\xFF\xFF"
                                                           : "\xFF\xFF\xFF\xFD");
      EXPECT_EQ(Bytes(bytes.begin(), bytes.begin() + 4), to_bytes(first));  // -3
      const auto read = [&](std::span<std::byte> out) { std::ranges::copy(bytes, out.begin()); };
      const StoredElements stored{.dtype = DType::int32, .shape = view.shape(), .order = order};
      const Origin origin{.path = "x", .subject = "the file"};
      EXPECT_TRUE(test::same_array(read_elements(stored, read, origin), view));
    }
  }
}

/// A member of a large archive, stored, whose contents nobody looks at.
ZipEntry stored(const char* name, std::uint64_t size, std::uint64_t header_offset) {
  return {.name = name, .size = size, .compressed_size = size, .header_offset = header_offset};
}

/// An archive of which only the records exist; all between them is zeros.
class SparseArchive {
 public:
  explicit SparseArchive(const std::vector<ZipEntry>& entries) {
    std::uint64_t end = 0;
    for (const ZipEntry& entry : entries) {
      const Bytes& header = pieces_[entry.header_offset] = zip_local_header(entry);
      end = entry.header_offset + header.size() + entry.size;
    }
    pieces_[end] = zip_directory(entries, end);
    size_ = end + pieces_[end].size();
  }

  std::vector<ZipMember> directory() const {
    const auto read = [&](std::int64_t offset, std::span<std::byte> out) {
      for (std::size_t i = 0; i < out.size(); ++i) {
        out[i] = byte_at(static_cast<std::uint64_t>(offset) + i);
      }
    };
    return read_zip_directory({.size = static_cast<std::int64_t>(size_), .read = read},
                              {.path = "sparse.npz", .subject = "the file"});
  }

 private:
  std::byte byte_at(std::uint64_t offset) const {
    const auto piece = std::prev(pieces_.upper_bound(offset));
    const std::uint64_t at = offset - piece->first;
    return at < piece->second.size() ? piece->second[at] : std::byte{0};
  }

  std::map<std::uint64_t, Bytes> pieces_;
  std::uint64_t size_ = 0;
};

TEST(Zip64, SizesAndOffsetsAroundTheLimits) {
  constexpr std::uint64_t kHeader = 30 + 1 + 20;  // with a name of one letter
  // Around the number from which zip64 fields are written, and around the one that stands for "in
  // the zip64 field": for the size of the first member, for the offset of the second, for the
  // offset of the directory.
  std::vector<std::uint64_t> sizes = {std::uint64_t{1} << 50};
  for (const std::uint64_t limit : {0x7FFFFFFFULL, 0xFFFFFFFFULL}) {
    for (const std::uint64_t before : {std::uint64_t{0}, kHeader, 2 * kHeader + 5}) {
      for (const std::uint64_t step : {0, 1, 2}) {
        sizes.push_back(limit - before + step - 1);
      }
    }
  }
  for (const std::uint64_t size : sizes) {
    const std::vector<ZipEntry> written = {stored("a", size, 0), stored("b", 5, size + kHeader)};
    const std::vector<ZipMember> members = SparseArchive(written).directory();
    ASSERT_EQ(members.size(), 2U);
    for (std::size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(members[i].name, written[i].name);
      EXPECT_EQ(members[i].size, static_cast<std::int64_t>(written[i].size));
      EXPECT_EQ(members[i].compressed_size, static_cast<std::int64_t>(written[i].size));
      EXPECT_EQ(members[i].header_offset, static_cast<std::int64_t>(written[i].header_offset));
      EXPECT_EQ(members[i].data_offset,
                static_cast<std::int64_t>(written[i].header_offset + kHeader));
    }
  }
}

TEST(Zip64, SizesAndOffsetsThatAreNone) {
  for (const auto& [size, header_offset] :
       {std::pair{~std::uint64_t{0}, std::uint64_t{0}}, std::pair{std::uint64_t{1} << 63, 0UL},
        std::pair{0UL, ~std::uint64_t{0}}, std::pair{1UL, ~std::uint64_t{0}}}) {
    const std::vector<ZipEntry> entries = {stored("a", size, header_offset)};
    Bytes bytes = zip_local_header(entries[0]);
    const Bytes directory = zip_directory(entries, bytes.size());
    bytes.insert(bytes.end(), directory.begin(), directory.end());
    const auto read = [&](std::int64_t offset, std::span<std::byte> out) {
      std::ranges::copy(std::span(bytes).subspan(static_cast<std::size_t>(offset), out.size()),
                        out.begin());
    };
    EXPECT_THAT(test::file_error_of([&] {
                  read_zip_directory(
                      {.size = static_cast<std::int64_t>(bytes.size()), .read = read},
                      {.path = "x.npz", .subject = "the file"});
                }),
                testing::HasSubstr("do not lie before the zip directory"));
  }
}

TEST(Zip64, TheFieldsAreThereOnlyWhereANumberAsksForThem) {
  constexpr std::uint64_t kLimit = 0x7FFFFFFF;
  const auto size_of_directory = [](std::uint64_t size, std::uint64_t header_offset,
                                    std::uint64_t directory_offset) {
    const std::vector<ZipEntry> entries = {stored("a", size, header_offset)};
    return zip_directory(entries, directory_offset).size();
  };
  constexpr std::size_t kPlain = 46 + 1 + 22;
  EXPECT_EQ(size_of_directory(kLimit, kLimit, kLimit), kPlain);
  EXPECT_EQ(size_of_directory(kLimit + 1, 0, 0), kPlain + 4 + 8 + 8);
  EXPECT_EQ(size_of_directory(0, kLimit + 1, 0), kPlain + 4 + 8);
  EXPECT_EQ(size_of_directory(0, 0, kLimit + 1), kPlain + 56 + 20);
  const std::vector<ZipEntry> grown = {
      {.name = "a", .size = kLimit, .compressed_size = kLimit + 1, .header_offset = 0}};
  EXPECT_EQ(zip_directory(grown, 0).size(), kPlain + 4 + 8 + 8);
}

}  // namespace
}  // namespace attention::io::detail
