// Files that are damaged, malicious, or hold what attention does not read.

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/io/detail/safetensors_header.hpp>
#include <attention/io/safetensors.hpp>

#include "fuzz_entry.hpp"
#include "support.hpp"

namespace attention::io::test {
namespace {

using testing::HasSubstr;

std::string error_of(std::span<const std::byte> bytes) {
  return file_error_of([&] { parse_safetensors(bytes, "x"); });
}

TEST(HostileSafetensors, FilesThatAreSomethingElse) {
  EXPECT_EQ(error_of({}),
            "x: the file is not a safetensors file: it has 0 bytes, fewer than the "
            "length of a header takes");
  EXPECT_THAT(error_of(to_bytes("1234567")), HasSubstr("it has 7 bytes, fewer than"));
  EXPECT_THAT(error_of(read_bytes(data_file("stored.npz"))),
              HasSubstr("the file is not a safetensors file: it would have a header of "));
  EXPECT_THAT(error_of(read_bytes(data_file("vector.npy"))), HasSubstr("is not a safetensors"));
}

TEST(HostileSafetensors, TheLengthOfTheHeader) {
  const auto with_length = [](std::uint64_t length) {
    Bytes bytes = safetensors_file("{}", "");
    for (std::size_t i = 0; i < 8; ++i) {
      bytes[i] = static_cast<std::byte>((length >> (8 * i)) & 0xFFU);
    }
    return error_of(bytes);
  };
  EXPECT_EQ(with_length(2), "");
  EXPECT_THAT(with_length(0), HasSubstr("has a header that does not begin with '{'"));
  EXPECT_THAT(with_length(1), HasSubstr("expected a string at byte 1 of its JSON, found its end"));
  EXPECT_EQ(with_length(3),
            "x: the file is truncated inside its header: it promises 3 bytes of "
            "header, 2 are there");
  EXPECT_THAT(with_length(100'000'000), HasSubstr("it promises 100000000 bytes of header, 2 are"));
  for (const std::uint64_t length :
       {std::uint64_t{100'000'001}, std::uint64_t{1} << 32, std::uint64_t{1} << 63,
        ~std::uint64_t{0}, ~std::uint64_t{7}}) {
    EXPECT_EQ(with_length(length),
              "x: the file is not a safetensors file: it would have a header "
              "of " +
                  std::to_string(length) + " bytes, and the format allows 100000000");
  }
}

TEST(HostileSafetensors, ALengthBeyondTheFileReadsAndAllocatesNothing) {
  const Bytes bytes = safetensors_file(std::string(99, '{'), "");
  std::vector<std::size_t> reads;
  const auto read = [&](std::int64_t offset, std::span<std::byte> out) {
    reads.push_back(out.size());
    std::ranges::copy(std::span(bytes).subspan(static_cast<std::size_t>(offset), out.size()),
                      out.begin());
  };
  const detail::Origin origin{.path = "x", .subject = "the file"};
  EXPECT_THAT(
      file_error_of([&] { detail::read_safetensors_header({.size = 106, .read = read}, origin); }),
      HasSubstr("it promises 99 bytes of header, 98 are there"));
  EXPECT_THAT(reads, testing::ElementsAre(8));
}

/// A header, and a part of the reason for which a file with it, and `data` zeros behind it, is
/// rejected.
using Case = std::pair<std::string, std::string>;

void expect_rejected(const std::vector<Case>& cases, std::size_t data = 0) {
  for (const auto& [header, reason] : cases) {
    const std::string error = error_of(safetensors_file(header, std::string(data, '\0')));
    EXPECT_THAT(error, HasSubstr(reason)) << header.substr(0, 200);
    EXPECT_THAT(error, testing::StartsWith("x: ")) << header.substr(0, 200);
  }
}

TEST(HostileSafetensors, KeysThatAreMissingTwiceOrUnknown) {
  const std::string good = R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  const auto tensor = [](const std::string& members) { return R"({"q":{)" + members + "}}"; };
  expect_rejected({
      {tensor(""), "tensor 'q' has no dtype"},
      {tensor(R"("shape":[0],"data_offsets":[0,0])"), "tensor 'q' has no dtype"},
      {tensor(R"("dtype":"U8","data_offsets":[0,0])"), "tensor 'q' has no shape"},
      {tensor(R"("dtype":"U8","shape":[0])"), "tensor 'q' has no data_offsets"},
      {tensor(R"("dtype":"U8","dtype":"U8")"), "tensor 'q' has the key 'dtype' twice"},
      {tensor(R"("dtype":"U8","\u0064type":"U8")"), "tensor 'q' has the key 'dtype' twice"},
      {tensor(R"("shape":[],"shape":[])"), "tensor 'q' has the key 'shape' twice"},
      {tensor(R"("data_offsets":[0,0],"data_offsets":[0,0])"), "has the key 'data_offsets' twice"},
      {tensor(R"("Dtype":"U8")"), "has the key 'Dtype', which safetensors does not have"},
      {tensor(R"("":"U8")"), "tensor 'q' has the key '', which safetensors does not have"},
      {R"({"a":)" + good + R"(,"b":)" + good + R"(,"a":)" + good + "}",
       "the file has the tensor 'a' twice"},
      {R"({"a":)" + good + R"(,"\u0061":)" + good + "}", "the file has the tensor 'a' twice"},
      {R"({"q":[]})", "expected '{' at byte 5"},
      {R"({"q":null})", "expected '{' at byte 5"},
      {R"({"q":"F32"})", "expected '{' at byte 5"},
  });
}

TEST(HostileSafetensors, Metadata) {
  const auto metadata = [](const std::string& value) {
    return R"({"__metadata__":)" + value + "}";
  };
  expect_rejected({
      {metadata("null"), "expected '{' at byte 16"},
      {metadata("[]"), "expected '{' at byte 16"},
      {metadata("\"a\""), "expected '{' at byte 16"},
      {metadata(R"({"a":1})"), "expected a string at byte 21"},
      {metadata(R"({"a":null})"), "expected a string at byte 21"},
      {metadata(R"({"a":{}})"), "expected a string at byte 21"},
      {metadata(R"({"a":["b"]})"), "expected a string at byte 21"},
      {metadata(R"({"a":"b",})"), "expected a string at byte 25"},
      {metadata(R"({"a":"b","c":"d","a":"b"})"), "the file has metadata with the key 'a' twice"},
      {metadata(R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]})"), "expected a string"},
      {R"({"__metadata__":{},"__metadata__":{}})", "the file has the key '__metadata__' twice"},
      {R"({"__metadata__":{},"\u005f_metadata__":{}})", "has the key '__metadata__' twice"},
  });
}

TEST(HostileSafetensors, ElementTypes) {
  for (const char* code :
       {"F4", "F6_E2M3", "F6_E3M2", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ",
        "C64", "F128", "f32", "float32", "F3", "F322", " F32", ""}) {
    const std::string name = code;
    expect_rejected(
        {{safetensors_header("\"" + name + "\"", "[1]", "[0,4]"),
          "tensor 'q' has the element type '" + name + "', which attention does not read"}},
        4);
  }
  expect_rejected(
      {{safetensors_header("5", "[1]", "[0,4]"), "expected a string at byte 14"},
       {safetensors_header("null", "[1]", "[0,4]"), "expected a string at byte 14"},
       {safetensors_header("[\"F32\"]", "[1]", "[0,4]"), "expected a string at byte 14"}},
      4);
  for (const auto& [file, code] : {std::pair{"reject_float8.safetensors", "'F8_E4M3'"},
                                   std::pair{"reject_complex.safetensors", "'C64'"}}) {
    for (const bool whole : {false, true}) {
      EXPECT_THAT(file_error_of([&, &name = file] {
                    if (whole) {
                      read_safetensors(data_file(name));
                    } else {
                      read_safetensors_index(data_file(name));
                    }
                  }),
                  HasSubstr("tensor 'q' has the element type " + std::string(code)));
    }
  }
}

TEST(HostileSafetensors, Shapes) {
  const std::string too_large = "whose size does not fit in 63 bits";
  expect_rejected(
      {
          {safetensors_header("\"F32\"", "[1,1,1,1,1,1,1]", "[0,4]"),
           "tensor 'q' has a shape of more than 6 dimensions, which attention does not read"},
          {safetensors_header("\"F32\"", "[0,0,0,0,0,0,0,0]", "[0,0]"), "more than 6 dimensions"},
          {safetensors_header("\"F32\"", "[2305843009213693952]", "[0,4]"),
           "tensor 'q' has the shape (2305843009213693952,), " + too_large},
          {safetensors_header("\"U8\"", "[4294967296,4294967296]", "[0,0]"), too_large},
          {safetensors_header("\"U8\"", "[0,4294967296,4294967296]", "[0,0]"), too_large},
          {safetensors_header("\"U8\"", "[4294967296,4294967296,0]", "[0,0]"), too_large},
          {safetensors_header("\"F32\"", "1", "[0,4]"), "expected '[' at byte 28"},
          {safetensors_header("\"F32\"", "{}", "[0,4]"), "expected '[' at byte 28"},
          {safetensors_header("\"F32\"", "null", "[0,4]"), "expected '[' at byte 28"},
          {safetensors_header("\"F32\"", "\"[1]\"", "[0,4]"), "expected '[' at byte 28"},
      },
      4);
}

TEST(HostileSafetensors, OffsetsOfOneTensor) {
  const auto with = [](const std::string& offsets) {
    return safetensors_header("\"F32\"", "[2]", offsets);
  };
  const std::string two = "tensor 'q' has data_offsets that are not two numbers";
  expect_rejected(
      {
          {with("[]"), two},
          {with("[0]"), two},
          {with("[0,8,8]"), two},
          {with("8"), "expected '['"},
          {with("{\"begin\":0}"), "expected '['"},
          {with("[8,0]"), "tensor 'q' has the data_offsets [8, 0), which end before they begin"},
          {with("[0,4]"),
           "tensor 'q' has the data_offsets [0, 4), 4 bytes, but its float32 elements "
           "of the shape (2,) take 8"},
          {with("[0,9]"), "[0, 9), 9 bytes, but its float32 elements of the shape (2,) take 8"},
          {with("[0,0]"), "[0, 0), 0 bytes, but"},
          {with("[0,9223372036854775807]"), "9223372036854775807 bytes, but"},
          {with("[9223372036854775799,9223372036854775807]"), "but the file has 8 bytes of data"},
          {with("[1,9]"),
           "tensor 'q' has the data_offsets [1, 9), but the file has 8 bytes of data: "
           "it is truncated or malformed"},
          {safetensors_header("\"F32\"", "[]", "[0,0]"), "elements of the shape () take 4"},
          {safetensors_header("\"F32\"", "[0]", "[0,8]"), "elements of the shape (0,) take 0"},
          {safetensors_header("\"F32\"", "[0]", "[9,9]"), "but the file has 8 bytes of data"},
          {safetensors_header("\"F32\"", "[0]", "[4,4]"),
           "tensor 'q' begins at byte 4 of the data, but no tensor has the bytes from 0"},
          {safetensors_header("\"F32\"", "[1]", "[4,8]"), "but no tensor has the bytes from 0"},
          {safetensors_header("\"F32\"", "[1]", "[0,4]"),
           "the file has 4 bytes after its last tensor"},
          {"{}", "the file has 8 bytes after its last tensor"},
      },
      8);
}

/// The header of tensors a, b, c ... of bytes, with these data_offsets.
std::string header_of_ranges(const std::vector<std::pair<int, int>>& ranges) {
  std::string header;
  char name = 'a';
  for (const auto& [begin, end] : ranges) {
    header.append(header.empty() ? "{" : ",").append("\"").append(1, name++).append("\":");
    header.append(R"({"dtype":"U8","shape":[)").append(std::to_string(end - begin));
    header.append(R"(],"data_offsets":[)").append(std::to_string(begin)).append(",");
    header.append(std::to_string(end)).append("]}");
  }
  return header + "}";
}

TEST(HostileSafetensors, OffsetsThatOverlapOrLeaveHoles) {
  EXPECT_EQ(
      error_of(safetensors_file(header_of_ranges({{4, 8}, {0, 0}, {0, 4}, {8, 8}}), "12345678")),
      "");
  expect_rejected(
      {
          {header_of_ranges({{0, 8}, {0, 8}}),
           "tensor 'b' begins at byte 0 of the data, but another tensor ends at 8"},
          {header_of_ranges({{0, 5}, {4, 8}}),
           "tensor 'b' begins at byte 4 of the data, but another"},
          {header_of_ranges({{4, 8}, {0, 5}}),
           "tensor 'a' begins at byte 4 of the data, but another"},
          {header_of_ranges({{0, 8}, {2, 4}}),
           "tensor 'b' begins at byte 2 of the data, but another"},
          {header_of_ranges({{0, 8}, {4, 4}}),
           "tensor 'b' begins at byte 4 of the data, but another"},
          {header_of_ranges({{0, 3}, {4, 8}}),
           "tensor 'b' begins at byte 4 of the data, but no tensor has the bytes from 3"},
          {header_of_ranges({{0, 3}, {3, 7}}), "the file has 1 byte after its last tensor"},
          {header_of_ranges({{0, 4}, {4, 9}}),
           "tensor 'b' has the data_offsets [4, 9), but the file"},
      },
      8);
}

TEST(HostileSafetensors, CutAnywhereOrLongerItIsAnError) {
  for (const char* name : {"types.safetensors", "shapes.safetensors", "names.safetensors",
                           "metadata.safetensors", "no_arrays.safetensors"}) {
    Bytes bytes = read_bytes(data_file(name));
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      EXPECT_NE(error_of(std::span(bytes).first(length)), "") << name << " cut to " << length;
    }
    EXPECT_EQ(error_of(bytes), "");
    bytes.push_back(std::byte{0});
    EXPECT_THAT(error_of(bytes), HasSubstr("the file has 1 byte after its last tensor")) << name;
  }
}

TEST(HostileSafetensors, EveryChangeOfOneByteIsRejectedOrGivesAValidFile) {
  for (const char* name : {"types.safetensors", "shapes.safetensors", "metadata.safetensors"}) {
    Bytes bytes = read_bytes(data_file(name));
    for (std::byte& byte : bytes) {
      const std::byte before = byte;
      for (const std::byte changed : changes_of(before)) {
        byte = changed;
        ASSERT_NO_THROW(try_safetensors(bytes));
      }
      byte = before;
    }
  }
}

TEST(HostileSafetensors, ManyTensorsTakeNoLongerThanTheyMust) {
  std::string header = "{";
  for (int i = 0; i < 100000; ++i) {
    header.append(i > 0 ? ",\"" : "\"").append(std::to_string(i));
    header.append(R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})");
  }
  EXPECT_EQ(parse_safetensors(safetensors_file(header + "}", ""), "x").arrays.size(), 100000U);
}

}  // namespace
}  // namespace attention::io::test
