// What attention writes: the official library's bytes, whatever the arrays.

#include <algorithm>
#include <bit>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/random.hpp>
#include <attention/io/safetensors.hpp>

#include "support.hpp"
#include "tests/support/message_of.hpp"

namespace attention::io::test {
namespace {

using ::attention::test::message_of;
using testing::HasSubstr;

constexpr int kTypes = static_cast<int>(DType::uint64) + 1;

std::string_view name_of_array(const NamedArray& array) {
  return array.name;
}

/// Reads what is written, and sorts it by name.
Safetensors written_and_read(const std::vector<NamedView>& arrays,
                             const std::vector<MetadataEntry>& metadata = {}) {
  Safetensors result = parse_safetensors(serialise_safetensors(arrays, metadata), "memory");
  std::ranges::sort(result.arrays, {}, name_of_array);
  return result;
}

AnyTensor written_and_read(const AnyView& view) {
  return written_and_read({{.name = "q", .view = view}}).arrays.at(0).array;
}

TEST(WriteSafetensors, GivesTheOfficialBytesWhateverTheOrder) {
  const TemporaryFolder folder;
  for (const char* name :
       {"types.safetensors", "shapes.safetensors", "names.safetensors", "no_arrays.safetensors",
        "metadata.safetensors", "metadata_only.safetensors", "metadata_several.safetensors"}) {
    const Bytes official = read_bytes(data_file(name));
    Safetensors file = read_safetensors(data_file(name));
    for (int turn = 0; turn < 3; ++turn) {
      const std::vector<NamedView> views = views_of(file.arrays);
      EXPECT_EQ(serialise_safetensors(views, file.metadata), official) << name;
      write_safetensors(folder / name, views, file.metadata);
      EXPECT_EQ(read_bytes(folder / name), official) << name;
      if (turn == 0) {
        std::ranges::reverse(file.arrays);
      } else {
        std::ranges::sort(file.arrays, {}, name_of_array);
      }
    }
  }
  EXPECT_EQ(folder.names().size(), 7U);
}

TEST(WriteSafetensors, SpecialNumbersKeepTheirBits) {
  const float infinity = std::numeric_limits<float>::infinity();
  const AnyTensor floats =
      Tensor<float>({6}, {std::bit_cast<float>(0x7FC12345U), std::bit_cast<float>(0xFF800001U),
                          -infinity, -0.0F, std::numeric_limits<float>::denorm_min(), infinity});
  EXPECT_TRUE(same_array(written_and_read(floats), floats));
  const AnyTensor doubles = Tensor<double>({2}, {std::bit_cast<double>(0x7FF0000000000001U), -0.0});
  EXPECT_TRUE(same_array(written_and_read(doubles), doubles));
  const AnyTensor halves =
      Tensor<bfloat16>({2}, {bfloat16::from_bits(0xFF81), bfloat16::from_bits(0x8000)});
  EXPECT_TRUE(same_array(written_and_read(halves), halves));
}

TEST(WriteSafetensors, ViewsOfAnyStrides) {
  const auto check = [](const TensorView<const float>& view) {
    const AnyTensor copy = Tensor<float>::copy_of(view);
    EXPECT_TRUE(same_array(written_and_read(view), copy)) << to_string(view.strides());
  };
  const AnyTensor array = expected_array(DType::float32, {2, 3, 4});
  const TensorView<const float> view = array.as<float>();
  check(view.transpose(0, 2));
  check(view.reverse(1));
  check(view.slice(2, 1, 2));
  check(view.select(1, 2).unsqueeze(0).broadcast_to({3, 2, 4}));
  check(view.slice(1, 0, 0).transpose(0, 1));
}

/// A tensor of drawn type, shape and bits.
AnyTensor drawn_array(random::Generator& generator) {
  const auto dtype = static_cast<DType>(generator.next_u32() % kTypes);
  Shape shape;
  for (std::uint32_t rank = generator.next_u32() % (kMaxRank + 1); rank > 0; --rank) {
    shape.push_back(generator.next_u32() % 4);
  }
  return visit(dtype, [&]<class T>() -> AnyTensor {
    Tensor<T> tensor(shape);
    for (std::byte& byte : std::as_writable_bytes(tensor.values())) {
      const std::uint32_t bits = generator.next_u32();
      byte = static_cast<std::byte>(std::is_same_v<T, bool> ? bits & 1U : bits & 0xFFU);
    }
    return tensor;
  });
}

/// Text of drawn code points of all lengths in UTF-8; JSON's own characters more often than others.
std::string drawn_text(random::Generator& generator) {
  const std::vector<std::string> kPieces = {"\"",
                                            "\\",
                                            "/",
                                            "\n",
                                            "u",
                                            "\x1F",
                                            "\x7F",
                                            "{",
                                            "a",
                                            "\xC3\xB6",
                                            "\xE2\x80\xA8",
                                            "\xF0\x9F\x98\x80"};
  std::string text;
  for (std::uint32_t length = generator.next_u32() % 9; length > 0; --length) {
    text += generator.next_u32() % 8 == 0 ? std::string(1, '\0')
                                          : kPieces[generator.next_u32() % kPieces.size()];
  }
  return text;
}

TEST(WriteSafetensors, DrawnFilesComeBack) {
  random::Generator generator(1);
  for (int round = 0; round < 300; ++round) {
    std::vector<NamedArray> arrays;
    std::vector<MetadataEntry> metadata;
    for (std::uint32_t count = generator.next_u32() % 8; count > 0; --count) {
      const std::string key = std::to_string(count);
      arrays.push_back({.name = drawn_text(generator) + key, .array = drawn_array(generator)});
      metadata.push_back({.key = key + drawn_text(generator), .value = drawn_text(generator)});
    }
    const Bytes bytes = serialise_safetensors(views_of(arrays), metadata);
    const TemporaryFolder folder;
    write_safetensors(folder / "a", views_of(arrays), metadata);
    ASSERT_EQ(read_bytes(folder / "a"), bytes);
    for (const SafetensorsEntry& entry : read_safetensors_index(folder / "a").arrays) {
      EXPECT_EQ(entry.offset % static_cast<std::int64_t>(size_of(entry.dtype)), 0) << "aligned";
    }

    const Safetensors found = written_and_read(views_of(arrays), metadata);
    std::ranges::sort(arrays, {}, name_of_array);
    EXPECT_TRUE(same_arrays(found.arrays, arrays)) << "round " << round;
    ASSERT_EQ(found.metadata.size(), metadata.size());
    for (std::size_t i = 0; i < metadata.size(); ++i) {
      EXPECT_EQ(found.metadata[i].key, metadata[i].key);
      EXPECT_EQ(found.metadata[i].value, metadata[i].value);
    }
  }
}

TEST(WriteSafetensors, WhatCannotBeWrittenIsAnErrorAndTouchesNoFile) {
  const TemporaryFolder folder;
  const AnyTensor array = Tensor<float>({1});
  const auto error_of = [&](const std::vector<NamedView>& views,
                            const std::vector<MetadataEntry>& metadata = {}) {
    return message_of([&] { write_safetensors(folder / "a", views, metadata); });
  };
  EXPECT_EQ(error_of({{.name = "q", .view = array},
                      {.name = "k", .view = array},
                      {.name = "q", .view = array}}),
            "write_safetensors: names must differ; found 'q' twice");
  EXPECT_EQ(error_of({{.name = "\xC3", .view = array}}),
            "write_safetensors: a name must be UTF-8 text; found '\\xc3'");
  EXPECT_THAT(error_of({{.name = "\xED\xA0\x80", .view = array}}), HasSubstr("must be UTF-8"));
  EXPECT_EQ(error_of({{.name = "__metadata__", .view = array}}),
            "write_safetensors: the format keeps this name for the metadata: give another; found "
            "'__metadata__'");
  EXPECT_THAT(error_of({{.name = "q", .view = {}}}),
              HasSubstr("write_safetensors: the array must be given"));
  const AnyView wide(nullptr, DType::float32,
                     Layout{.shape = {0, std::int64_t{1} << 62, 4}, .strides = {0, 0, 0}});
  EXPECT_THAT(error_of({{.name = "q", .view = wide}}),
              HasSubstr("the number of bytes must fit in 63 bits"));
  const AnyView huge(array.view().data(), DType::uint8,
                     Layout{.shape = {std::int64_t{1} << 62}, .strides = {0}});
  EXPECT_THAT(
      error_of({{.name = "a", .view = huge}, {.name = "b", .view = huge}}),
      HasSubstr("the number of bytes of all arrays must fit in 63 bits; found more at 'b'"));
  EXPECT_THAT(error_of({}, {{.key = "\xFF", .value = ""}}),
              HasSubstr("keys and values of metadata must be UTF-8 text; found '\\xff'"));
  EXPECT_THAT(error_of({}, {{.key = "", .value = "\x80"}}),
              HasSubstr("keys and values of metadata must be UTF-8 text; found '\\x80'"));
  EXPECT_THAT(error_of({}, {{.key = "k", .value = "1"}, {.key = "k", .value = "2"}}),
              HasSubstr("keys of metadata must differ; found 'k' twice"));
  EXPECT_THAT(folder.names(), testing::IsEmpty());
}

TEST(WriteSafetensors, TheLongestHeader) {
  constexpr std::size_t kLongest = 100'000'000;
  const std::size_t rest = std::string_view(R"({"__metadata__":{"":""}})").size();
  const auto write = [&](std::size_t length) {
    const std::vector<MetadataEntry> metadata = {
        {.key = "", .value = std::string(length - rest, 'x')}};
    return serialise_safetensors({}, metadata);
  };
  EXPECT_EQ(parse_safetensors(write(kLongest), "memory").metadata.at(0).value.size(),
            kLongest - rest);
  EXPECT_EQ(message_of([&] { write(kLongest + 1); }),
            "serialise_safetensors: the header must have at most 100000000 bytes; found 100000008 "
            "bytes");
}

TEST(WriteSafetensors, AFullDiskLeavesTheOldFile) {
  const TemporaryFolder folder;
  const AnyTensor array = Tensor<float>({100000});
  const std::vector<NamedView> views = {{.name = "a", .view = array}};
  write_bytes(folder / "a", to_bytes("old"));
  std::string error;
  {
    const FileSizeLimit limit(4096);
    error = file_error_of([&] { write_safetensors(folder / "a", views); });
  }
  EXPECT_THAT(error, HasSubstr("cannot write the temporary file: File too large"));
  EXPECT_THAT(folder.names(), testing::ElementsAre("a"));
  EXPECT_EQ(read_bytes(folder / "a"), to_bytes("old"));
}

}  // namespace
}  // namespace attention::io::test
