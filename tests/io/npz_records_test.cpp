// Archives of which one record lies: each field that the reader looks at, in each of zip's records.

#include <cstdint>
#include <string>
#include <tuple>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/io/npz.hpp>

#include "support.hpp"
#include "zip_archive.hpp"

namespace attention::io::test {
namespace {

using testing::HasSubstr;

std::string error_of(std::span<const std::byte> bytes) {
  return file_error_of([&] { parse_npz(bytes, "x.npz"); });
}

/// One field of one record of a good archive, set to a value, and why that is wrong.
using Change = std::tuple<const char*, Record, Field, std::uint64_t, const char*>;

class ChangedField : public testing::TestWithParam<Change> {};

TEST_P(ChangedField, IsRejectedForItsReason) {
  const auto& [name, record, field, value, reason] = GetParam();
  ZipArchive archive = small_archive();
  archive.set(record, field, value);
  EXPECT_THAT(error_of(archive.bytes()), HasSubstr(reason)) << name;
}

constexpr const char* kDiffers = "npz member 'q.npy' is malformed: its local header differs";
constexpr const char* kTwoEnds = "does not end where the end record begins";

INSTANTIATE_TEST_SUITE_P(
    HostileNpz, ChangedField,
    testing::Values(
        Change{"local_signature", Record::local, local::kSignature, 0, kDiffers},
        Change{"local_method", Record::local, local::kMethod, 8, kDiffers},
        Change{"local_flags", Record::local, local::kFlags, 1, kDiffers},
        Change{"local_crc", Record::local, local::kCrc, 1, kDiffers},
        Change{"local_name_size", Record::local, local::kNameSize, 4, kDiffers},
        Change{"local_name_long", Record::local, local::kNameSize, 65535, "run into what lies"},
        Change{"local_extra_long", Record::local, local::kExtraSize, 65535, "run into what lies"},
        Change{"local_extra_short", Record::local, local::kExtraSize, 19,
               "an extra field does not fit its record"},
        Change{"local_extra_none", Record::local, local::kExtraSize, 0,
               "its zip64 field is missing or too short"},
        Change{"local_zip64_size", Record::local, local::kZip64SizeAfter5, 153, kDiffers},
        Change{"local_zip64_packed", Record::local, local::kZip64PackedAfter5, 153, kDiffers},
        Change{"local_size", Record::local, local::kSize, 151, kDiffers},
        Change{"central_signature", Record::central, central::kSignature, 0,
               "an entry of its zip directory has no signature"},
        Change{"central_flags_encrypted", Record::central, central::kFlags, 0x01, "is encrypted"},
        Change{"central_flags_strong", Record::central, central::kFlags, 0x40, "is encrypted"},
        Change{"central_flags_masked", Record::central, central::kFlags, 0x2000, "is encrypted"},
        Change{"central_flags_patch", Record::central, central::kFlags, 0x20, "patched data"},
        Change{"central_flags_differ", Record::central, central::kFlags, 0x08, kDiffers},
        Change{"central_method", Record::central, central::kMethod, 12,
               "npz member 'q.npy' has the compression method 12"},
        Change{"central_crc", Record::central, central::kCrc, 1, kDiffers},
        Change{"central_packed_size", Record::central, central::kPackedSize, 151,
               "it is stored, with 151 bytes for 152"},
        Change{"central_size", Record::central, central::kSize, 153,
               "it is stored, with 152 bytes for 153"},
        Change{"central_size_saturated", Record::central, central::kSize, 0xFFFFFFFF,
               "its zip64 field is missing or too short"},
        Change{"central_offset_saturated", Record::central, central::kOffset, 0xFFFFFFFF,
               "its zip64 field is missing or too short"},
        Change{"central_disk", Record::central, central::kDisk, 1, "on several disks"},
        Change{"central_offset_inside", Record::central, central::kOffset, 1, kDiffers},
        Change{"central_offset_beyond", Record::central, central::kOffset, 0xFFFFFFF0,
               "do not lie before the zip directory"},
        Change{"central_offset_of_the_other", Record::central, central::kOffset, 207,
               "run into what lies behind them"},
        Change{"central_name_size", Record::central, central::kNameSize, 4, "no signature"},
        Change{"central_name_long", Record::central, central::kNameSize, 65535, "cut off inside"},
        Change{"central_extra_long", Record::central, central::kExtraSize, 65535, "cut off inside"},
        Change{"central_comment_long", Record::central, central::kCommentSize, 65535,
               "cut off inside"},
        Change{"central_comment_over_the_next", Record::central, central::kCommentSize, 44,
               "cut off inside"},
        Change{"end_signature", Record::end, end::kSignature, 0, "no zip end record at its end"},
        Change{"end_disk", Record::end, end::kDisk, 1, "on several disks"},
        Change{"end_directory_disk", Record::end, end::kDirectoryDisk, 1, "on several disks"},
        Change{"end_entries_here", Record::end, end::kEntriesHere, 1, "on several disks"},
        Change{"end_size_small", Record::end, end::kDirectorySize, 10, kTwoEnds},
        Change{"end_size_large", Record::end, end::kDirectorySize, 0xFFFFFFFF, kTwoEnds},
        Change{"end_offset_zero", Record::end, end::kDirectoryOffset, 0, kTwoEnds},
        Change{"end_offset_large", Record::end, end::kDirectoryOffset, 0xFFFFFFFF, kTwoEnds},
        Change{"end_comment", Record::end, end::kCommentSize, 1, "no zip end record at its end"}),
    [](const auto& test) { return std::string(std::get<0>(test.param)); });

class ChangedZip64Field : public testing::TestWithParam<Change> {};

TEST_P(ChangedZip64Field, IsRejectedForItsReason) {
  const auto& [name, record, field, value, reason] = GetParam();
  ZipArchive archive = small_archive();
  archive.add_zip64_end();
  ASSERT_EQ(error_of(archive.bytes()), "");
  archive.set(record, field, value);
  EXPECT_THAT(error_of(archive.bytes()), HasSubstr(reason)) << name;
}

constexpr const char* kMisplaced = "its zip64 end record is not where it must be";
constexpr const char* kEndsDiffer = "its two zip end records differ";

INSTANTIATE_TEST_SUITE_P(
    HostileNpz, ChangedZip64Field,
    testing::Values(
        Change{"signature", Record::end64, end64::kSignature, 0, kMisplaced},
        Change{"record_size", Record::end64, end64::kRecordSize, 45, kMisplaced},
        Change{"disk", Record::end64, end64::kDisk, 1, "on several disks"},
        Change{"directory_disk", Record::end64, end64::kDirectoryDisk, 1, "on several disks"},
        Change{"entries_here", Record::end64, end64::kEntriesHere, 1, "on several disks"},
        Change{"directory_size", Record::end64, end64::kDirectorySize, ~std::uint64_t{0}, kTwoEnds},
        Change{"directory_offset", Record::end64, end64::kDirectoryOffset, ~std::uint64_t{0},
               kTwoEnds},
        Change{"locator_signature", Record::locator64, locator64::kSignature, 0, kTwoEnds},
        Change{"locator_disk", Record::locator64, locator64::kDisk, 1, "on several disks"},
        Change{"locator_disks", Record::locator64, locator64::kDisks, 2, "on several disks"},
        Change{"record_offset", Record::locator64, locator64::kRecordOffset, 0, kMisplaced},
        Change{"record_far_away", Record::locator64, locator64::kRecordOffset, ~std::uint64_t{0},
               kMisplaced},
        Change{"small_size_differs", Record::end, end::kDirectorySize, 1, kEndsDiffer},
        Change{"small_offset_differs", Record::end, end::kDirectoryOffset, 1, kEndsDiffer}),
    [](const auto& test) { return std::string(std::get<0>(test.param)); });

TEST(HostileNpz, Zip64NumbersOfEntries) {
  ZipArchive archive = small_archive();
  archive.add_zip64_end();
  archive.set(Record::end, end::kEntriesHere, 1);
  archive.set(Record::end, end::kEntries, 1);
  EXPECT_THAT(error_of(archive.bytes()), HasSubstr(kEndsDiffer));
  archive.set(Record::end, end::kEntriesHere, 2);
  archive.set(Record::end, end::kEntries, 2);
  EXPECT_EQ(error_of(archive.bytes()), "");  // the same number in both, as some writers have it
  archive.set(Record::end, end::kEntriesHere, 0xFFFF);
  archive.set(Record::end, end::kEntries, 0xFFFF);
  archive.set(Record::end64, end64::kEntriesHere, ~std::uint64_t{0});
  archive.set(Record::end64, end64::kEntries, ~std::uint64_t{0});
  EXPECT_THAT(error_of(archive.bytes()), HasSubstr("cannot hold 18446744073709551615 entries"));
}

TEST(HostileNpz, AZip64DirectoryPlaceThatOverflows) {
  ZipArchive archive = small_archive();
  archive.add_zip64_end();
  const std::uint64_t end_of_directory = archive.get(Record::end64, end64::kDirectoryOffset) +
                                         archive.get(Record::end64, end64::kDirectorySize);
  archive.set(Record::end64, end64::kDirectoryOffset, ~std::uint64_t{0});
  archive.set(Record::end64, end64::kDirectorySize, end_of_directory + 1);
  EXPECT_THAT(error_of(archive.bytes()), HasSubstr(kTwoEnds));
}

TEST(HostileNpz, AZip64LocatorWithoutRoomForItsRecord) {
  // An end record and a locator, and nothing else: the record would begin before the file.
  ZipArchive archive((serialise_npz({})));
  archive.add_zip64_end();
  archive.set(Record::locator64, locator64::kRecordOffset, ~std::uint64_t{0} - 55);  // -56
  const Bytes& bytes = archive.bytes();
  EXPECT_THAT(error_of(std::span(bytes).subspan(56)), HasSubstr(kMisplaced));
}

TEST(HostileNpz, WrongNumbersOfEntries) {
  for (const auto& [count, reason] :
       {std::pair{1, "bytes after its 1 entries"}, std::pair{3, "cannot hold 3 entries"},
        std::pair{65535, "cannot hold 65535 entries"}}) {
    ZipArchive archive = small_archive();
    archive.set(Record::end, end::kEntriesHere, static_cast<std::uint64_t>(count));
    archive.set(Record::end, end::kEntries, static_cast<std::uint64_t>(count));
    EXPECT_THAT(error_of(archive.bytes()), HasSubstr(reason));
  }
}

}  // namespace
}  // namespace attention::io::test
