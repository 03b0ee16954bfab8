// Archives that are damaged, malicious, or use what NumPy does not.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/io/detail/zip_writer.hpp>
#include <attention/io/npz.hpp>

#include "support.hpp"
#include "zip_archive.hpp"

namespace attention::io::test {
namespace {

using testing::HasSubstr;

std::string error_of(std::span<const std::byte> bytes) {
  return file_error_of([&] { parse_npz(bytes, "x.npz"); });
}

TEST(HostileNpz, NamesThatAreNotText) {
  for (const auto& [name, shown] : {std::pair{std::string("q\0npy", 5), "'q\\x00npy'"},
                                    std::pair{std::string("\xffqnpy", 5), "'\\xffqnpy'"}}) {
    ZipArchive archive = small_archive();
    archive.set_name(name);
    EXPECT_THAT(error_of(archive.bytes()),
                HasSubstr(std::string("npz member ") + shown + " has a name that is not UTF-8"));
  }
}

TEST(HostileNpz, MembersThatAreNotArrays) {
  ZipArchive archive = small_archive();
  archive.set_name("q.txt");
  EXPECT_THAT(error_of(archive.bytes()),
              HasSubstr("npz member 'q.txt' is not an array: its name does not end in '.npy'"));
}

TEST(HostileNpz, FoldersAreIgnored) {
  ZipArchive archive = small_archive();
  archive.set_name("q.np/");
  const std::vector<NamedArray> arrays = parse_npz(archive.bytes(), "x.npz");
  ASSERT_EQ(arrays.size(), 1U);
  EXPECT_EQ(arrays[0].name, "mask");
}

TEST(HostileNpz, ANameTwice) {
  const AnyTensor array = expected_array(DType::float32, {1});
  const std::vector<NamedView> views = {{.name = "a", .view = array}, {.name = "b", .view = array}};
  ZipArchive archive(serialise_npz(views));
  archive.set_name("b.npy");
  EXPECT_THAT(error_of(archive.bytes()), HasSubstr("npz member 'b.npy' is there twice"));
}

TEST(HostileNpz, BytesBeforeOrAfterTheArchive) {
  const Bytes good = small_archive().bytes();
  Bytes before = to_bytes("#!");
  before.insert(before.end(), good.begin(), good.end());
  EXPECT_THAT(error_of(before), HasSubstr("does not end where the end record begins"));
  Bytes after = good;
  after.push_back(std::byte{0});
  EXPECT_THAT(error_of(after), HasSubstr("no zip end record at its end"));
}

TEST(HostileNpz, ACommentIsAllowed) {
  ZipArchive archive = small_archive();
  archive.set(Record::end, end::kCommentSize, 65535);
  Bytes bytes = archive.bytes();
  bytes.resize(bytes.size() + 65535);
  EXPECT_EQ(error_of(bytes), "");
  bytes.resize(bytes.size() + 1);
  EXPECT_THAT(error_of(bytes), HasSubstr("no zip end record"));
}

TEST(HostileNpz, WrongElementsAreFoundByTheCrc) {
  Bytes bytes = small_archive().bytes();
  bytes[207 - 1] ^= std::byte{0x40};  // the last byte of the first member
  EXPECT_THAT(error_of(bytes), HasSubstr("npz member 'q.npy' is damaged: its CRC-32 is wrong"));
}

TEST(HostileNpz, ANpyHeaderThatDisagreesWithTheMember) {
  Bytes bytes = small_archive().bytes();
  const std::string shape = "(2, 3)";
  const auto at = std::ranges::search(bytes, to_bytes(shape)).begin();
  at[1] = std::byte{'9'};
  EXPECT_THAT(error_of(bytes), HasSubstr("npz member 'q.npy' is truncated: its header promises "
                                         "108 bytes of elements, 24 are there"));
}

/// Sets the promised size of the first member in all the places where it stands.
void set_size(ZipArchive& archive, std::uint64_t size) {
  archive.set(Record::central, central::kSize, size);
  archive.set(Record::local, local::kZip64SizeAfter5, size);
}

TEST(HostileNpz, ABombIsKnownByItsDirectory) {
  if (!deflate_available()) {
    GTEST_SKIP() << "this build has no zlib";
  }
  ZipArchive archive = small_archive(Compression::deflated);
  const std::uint64_t packed = archive.get(Record::central, central::kPackedSize);
  set_size(archive, 1032 * (packed + 1));
  EXPECT_THAT(error_of(archive.bytes()), HasSubstr("more than deflate can give (1032 for 1)"));
  // A little less passes there, and then the npy header tells that it is not true.
  set_size(archive, 1032 * packed);
  EXPECT_THAT(error_of(archive.bytes()), HasSubstr("after the 24 bytes of elements"));
}

TEST(HostileNpz, DeflateStreamsThatAreNotWhatTheDirectorySays) {
  if (!deflate_available()) {
    GTEST_SKIP() << "this build has no zlib";
  }
  const AnyTensor array = expected_array(DType::float64, {100});
  const auto make = [&] {
    const std::vector<NamedView> views = {{.name = "q", .view = array}};
    return ZipArchive(serialise_npz(views, Compression::deflated));
  };
  {
    ZipArchive archive = make();  // one byte less than the stream has
    const std::uint64_t packed = archive.get(Record::central, central::kPackedSize);
    archive.set(Record::central, central::kPackedSize, packed - 1);
    archive.set(Record::local, local::kZip64PackedAfter5, packed - 1);
    EXPECT_THAT(error_of(archive.bytes()), HasSubstr("npz member 'q.npy' is damaged: its deflate "
                                                     "stream is cut off"));
  }
  {
    ZipArchive archive = make();  // one byte more
    const std::uint64_t packed = archive.get(Record::central, central::kPackedSize);
    archive.insert_before_directory(Bytes(1));
    archive.set(Record::central, central::kPackedSize, packed + 1);
    archive.set(Record::local, local::kZip64PackedAfter5, packed + 1);
    EXPECT_THAT(error_of(archive.bytes()), HasSubstr("ends before its compressed size"));
  }
  {
    Bytes bytes = make().bytes();
    bytes[30 + 5 + 20] = std::byte{0x07};  // a block of the type that deflate does not have
    EXPECT_THAT(error_of(bytes), HasSubstr("does not decode (invalid block type)"));
  }
}

/// An archive whose one member, deflated, has this content and is said to have `size` bytes.
Bytes archive_with(const Bytes& content, std::uint64_t size) {
  Bytes bytes;
  const auto write = [&](std::span<const std::byte> more) {
    bytes.insert(bytes.end(), more.begin(), more.end());
  };
  const auto overwrite = [&](std::int64_t offset, std::span<const std::byte> other) {
    std::ranges::copy(other, bytes.begin() + offset);
  };
  detail::ZipWriter zip({.write = write, .overwrite = overwrite});
  zip.add("q.npy", Compression::deflated, [&](detail::ByteWriter out) { out(content); });
  zip.finish();
  ZipArchive archive(bytes);
  set_size(archive, size);
  return archive.bytes();
}

TEST(HostileNpz, ADeflateStreamThatEndsWithTheBufferButNotWithItsSection) {
  if (!deflate_available()) {
    GTEST_SKIP() << "this build has no zlib";
  }
  constexpr std::uint64_t kBuffer = 65536;  // of the reader
  // Noise does not shrink: among these sizes is one that gives exactly a buffer.
  for (std::int64_t size = kBuffer - 400; size < std::int64_t{kBuffer}; ++size) {
    Tensor<std::uint8_t> noise({size});
    std::uint32_t state = 1;
    for (std::uint8_t& value : noise.values()) {
      state = state * 1664525U + 1013904223U;
      value = static_cast<std::uint8_t>(state >> 24);
    }
    const std::vector<NamedView> views = {{.name = "q", .view = noise}};
    ZipArchive archive(serialise_npz(views, Compression::deflated));
    const std::uint64_t packed = archive.get(Record::central, central::kPackedSize);
    if (packed != kBuffer) {
      continue;
    }
    archive.insert_before_directory(Bytes(1));
    archive.set(Record::central, central::kPackedSize, packed + 1);
    archive.set(Record::local, local::kZip64PackedAfter5, packed + 1);
    EXPECT_THAT(error_of(archive.bytes()), HasSubstr("ends before its compressed size"));
    return;
  }
  FAIL() << "no size gave a stream of one buffer";
}

TEST(HostileNpz, DeflateStreamsOfAnotherSizeThanTheNpyFile) {
  if (!deflate_available()) {
    GTEST_SKIP() << "this build has no zlib";
  }
  const Bytes whole = serialise_npy(expected_array(DType::float64, {100}));
  EXPECT_EQ(error_of(archive_with(whole, whole.size())), "");
  const Bytes shorter(whole.begin(), whole.end() - 8);
  EXPECT_THAT(error_of(archive_with(shorter, whole.size())),
              HasSubstr("its deflate stream ends before the promised size"));
  Bytes longer = whole;
  longer.resize(whole.size() + 8);
  EXPECT_THAT(error_of(archive_with(longer, whole.size())),
              HasSubstr("its deflate stream goes on after the promised size"));
}

TEST(HostileNpz, CutAnywhereItIsAnError) {
  for (const char* name : {"stored.npz", "deflated.npz", "streamed.npz", "no_arrays.npz"}) {
    const Bytes good = read_bytes(data_file(name));
    for (std::size_t length = 0; length < good.size(); ++length) {
      EXPECT_NE(error_of(std::span(good).first(length)), "") << name << " cut to " << length;
    }
  }
}

TEST(HostileNpz, EveryChangeOfOneByteIsRejectedOrChangesNothing) {
  for (const char* name : {"stored.npz", "deflated.npz", "streamed.npz"}) {
    Bytes bytes = read_bytes(data_file(name));
    std::vector<NamedArray> original;
    const bool readable = file_error_of([&] { original = parse_npz(bytes, name); }).empty();
    if (!readable) {
      continue;  // deflated, without zlib
    }
    for (std::byte& byte : bytes) {
      const std::byte before = byte;
      for (const std::byte changed : changes_of(before)) {
        byte = changed;
        std::vector<NamedArray> found;
        if (!file_error_of([&] { found = parse_npz(bytes, name); }).empty()) {
          continue;
        }
        ASSERT_EQ(found.size(), original.size());
        for (std::size_t i = 0; i < found.size(); ++i) {
          ASSERT_EQ(found[i].name, original[i].name);
          ASSERT_TRUE(same_array(found[i].array, original[i].array));
        }
      }
      byte = before;
    }
  }
}

}  // namespace
}  // namespace attention::io::test
