// Files that the official library made, and valid ones put together by hand.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/parallel.hpp>
#include <attention/io/safetensors.hpp>

#include "support.hpp"

namespace attention::io::test {
namespace {

using testing::HasSubstr;

std::string_view name_of_array(const NamedArray& array) {
  return array.name;
}

/// The arrays of types.safetensors, in its order.
std::vector<NamedArray> one_of_each_type() {
  std::vector<NamedArray> arrays;
  for (const DType dtype :
       {DType::uint64, DType::int64, DType::float64, DType::float32, DType::uint32, DType::int32,
        DType::bfloat16, DType::float16, DType::uint16, DType::int16, DType::int8, DType::uint8,
        DType::boolean}) {
    arrays.push_back({.name = std::string(name_of(dtype)), .array = expected_array(dtype, {2, 3})});
  }
  return arrays;
}

TEST(ReadSafetensors, EveryType) {
  const std::filesystem::path path = data_file("types.safetensors");
  EXPECT_TRUE(same_arrays(read_safetensors(path).arrays, one_of_each_type()));
  EXPECT_TRUE(
      same_arrays(parse_safetensors(read_bytes(path), "memory").arrays, one_of_each_type()));
}

TEST(ReadSafetensors, EveryShape) {
  const std::vector<NamedArray> arrays = read_safetensors(data_file("shapes.safetensors")).arrays;
  EXPECT_TRUE(same_arrays(
      arrays,
      {{.name = "scalar", .array = expected_array(DType::float64, {})},
       {.name = "empty", .array = expected_array(DType::float32, {3, 0, 2})},
       {.name = "vector", .array = expected_array(DType::float32, {5})},
       {.name = "long", .array = expected_array(DType::int8, {0, 1, 1, 1000, 1000000, 1000000000})},
       {.name = "rank6", .array = expected_array(DType::int8, {1, 2, 1, 3, 1, 2})}}));
}

TEST(ReadSafetensors, EveryName) {
  const std::vector<NamedArray> arrays = read_safetensors(data_file("names.safetensors")).arrays;
  const auto count_of = [&](std::string_view name) {
    const auto found = std::ranges::find(arrays, name, name_of_array);
    return found == arrays.end() ? -1 : found->array.view().element_count();
  };
  EXPECT_EQ(count_of(""), 1);
  EXPECT_EQ(count_of("a\"b"), 3);
  EXPECT_EQ(count_of("a\\b"), 4);
  EXPECT_EQ(count_of("a/b"), 5);
  EXPECT_EQ(count_of("b\bf\fn\nr\rt\t"), 6);
  EXPECT_EQ(count_of(std::string_view("\0", 1)), 7);
  EXPECT_EQ(count_of("\x01\x1f"), 8);
  EXPECT_EQ(count_of("\x7f"), 9);
  EXPECT_EQ(count_of("gr\xC3\xB6\xC3\x9F\x65"), 10);
  EXPECT_EQ(count_of("\xEF\xBF\xBF"), 15);
  EXPECT_EQ(count_of("\xF0\x9F\x98\x80"), 16);
  EXPECT_EQ(count_of("\\u0041"), 22);
  EXPECT_EQ(arrays.size(), 22U);
}

TEST(ReadSafetensors, MetadataInTheirOrder) {
  const Safetensors one = read_safetensors(data_file("metadata.safetensors"));
  ASSERT_EQ(one.metadata.size(), 1U);
  EXPECT_EQ(one.metadata[0].key, "format");
  EXPECT_EQ(one.metadata[0].value, "pt");
  EXPECT_EQ(one.arrays.size(), 1U);

  const std::vector<MetadataEntry> several =
      read_safetensors(data_file("metadata_several.safetensors")).metadata;
  EXPECT_EQ(several.size(), 22U);
  for (const auto& [key, value] : several) {
    EXPECT_EQ(value, key + "!");
  }

  const Safetensors none = read_safetensors(data_file("no_arrays.safetensors"));
  EXPECT_TRUE(none.metadata.empty() && none.arrays.empty());
  EXPECT_EQ(read_safetensors(data_file("metadata_only.safetensors")).metadata.size(), 1U);
}

TEST(ReadSafetensors, TakesWhatJsonAllows) {
  const AnyTensor expected = Tensor<std::int8_t>({2, 1}, {7, 9});
  for (const char* header : {
           R"({"q":{"dtype":"I8","shape":[2,1],"data_offsets":[0,2]}})",
           R"({"q":{"data_offsets":[0,2],"shape":[2,1],"dtype":"I8"}})",
           "{ \"q\" :\t{\"dtype\"\n:\r\"I8\" , \"shape\": [ 2 , 1 ] ,\"data_offsets\":[0,2]} } "
           "\t\r\n",
           R"({"\u0071":{"dtyp\u0065":"\u0049\u0038","shape":[2,1],"data_offsets":[0,2]}})",
           R"({"__metadata__":{},"q":{"dtype":"I8","shape":[2,1],"data_offsets":[0,2]}})",
           R"({"q":{"dtype":"I8","shape":[2,1],"data_offsets":[0,2]},"__metadata__":{"a":"b"}})",
       }) {
    const std::vector<NamedArray> arrays =
        parse_safetensors(safetensors_file(header, "\7\11"), "memory").arrays;
    EXPECT_TRUE(same_arrays(arrays, {{.name = "q", .array = expected}})) << header;
  }
}

TEST(ReadSafetensors, ResolvesEscapes) {
  const auto name_of_header = [](const std::string& name) {
    const std::string header =
        "{\"" + name + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})";
    return parse_safetensors(safetensors_file(header, ""), "memory").arrays.at(0).name;
  };
  EXPECT_EQ(name_of_header(R"(\"\\\/\b\f\n\r\t)"), "\"\\/\b\f\n\r\t");
  EXPECT_EQ(name_of_header(R"(\u0000)"), std::string(1, '\0'));
  EXPECT_EQ(name_of_header(R"(\u007f\u0080)"), "\x7F\xC2\x80");
  EXPECT_EQ(name_of_header(R"(\u07ff\u0800)"), "\xDF\xBF\xE0\xA0\x80");
  EXPECT_EQ(name_of_header(R"(\ud7ff\uE000\uFFFF)"), "\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF");
  EXPECT_EQ(name_of_header(R"(\ud800\udc00\uDBFF\uDFFF)"), "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF");
  EXPECT_EQ(name_of_header(R"(a\u00f6z)"), "a\xC3\xB6z");
}

TEST(ReadSafetensors, BytesOfBoolsOtherThanZeroCountAsOne) {
  const Bytes bytes = safetensors_file(R"({"q":{"dtype":"BOOL","shape":[4],"data_offsets":[0,4]}})",
                                       std::string("\0\1\2\xff", 4));
  EXPECT_TRUE(same_array(parse_safetensors(bytes, "memory").arrays.at(0).array,
                         AnyTensor(Tensor<bool>({4}, {false, true, true, true}))));
}

TEST(ReadSafetensors, DataMayLieInAnyOrder) {
  const Bytes bytes =
      safetensors_file(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[3,5]},)"
                       R"("empty":{"dtype":"F64","shape":[0,7],"data_offsets":[3,3]},)"
                       R"("b":{"dtype":"I16","shape":[],"data_offsets":[0,2]},)"
                       R"("last":{"dtype":"F64","shape":[0],"data_offsets":[5,5]},)"
                       R"("c":{"dtype":"I8","shape":[1],"data_offsets":[2,3]}})",
                       "\1\2\3\4\5");
  EXPECT_TRUE(same_arrays(parse_safetensors(bytes, "memory").arrays,
                          {{.name = "a", .array = Tensor<std::uint8_t>({2}, {4, 5})},
                           {.name = "empty", .array = Tensor<double>({0, 7})},
                           {.name = "b", .array = Tensor<std::int16_t>({}, {0x0201})},
                           {.name = "last", .array = Tensor<double>({0})},
                           {.name = "c", .array = Tensor<std::int8_t>({1}, {3})}}));
}

TEST(ReadSafetensors, TheLimitCountsAllArraysTogether) {
  const std::filesystem::path path = data_file("shapes.safetensors");  // 8 + 20 + 12 bytes
  EXPECT_NO_THROW(read_safetensors(path, {.max_bytes = 40}));
  EXPECT_EQ(
      file_error_of([&] { read_safetensors(path, {.max_bytes = 39}); }),
      path.string() + ": the file has 40 bytes of elements, more than ReadOptions::max_bytes (39)");
}

TEST(ReadSafetensors, MessagesNameThePath) {
  const TemporaryFolder folder;
  EXPECT_EQ(file_error_of([&] { read_safetensors(folder / "none"); }),
            (folder / "none").string() + ": cannot open the file: No such file or directory");
  EXPECT_EQ(file_error_of([&] { read_safetensors_index(folder.path()); }),
            folder.path().string() + ": is not a regular file");
  EXPECT_THAT(file_error_of([] { parse_safetensors({}, "given name"); }),
              testing::StartsWith("given name: the file is not a safetensors file"));
}

TEST(SafetensorsIndex, SaysWhereEachArrayLies) {
  for (const char* name : {"types.safetensors", "shapes.safetensors", "names.safetensors",
                           "metadata_several.safetensors", "no_arrays.safetensors"}) {
    const std::filesystem::path path = data_file(name);
    const Bytes bytes = read_bytes(path);
    const Safetensors whole = read_safetensors(path);
    const SafetensorsIndex index = read_safetensors_index(path);
    EXPECT_EQ(index.metadata.size(), whole.metadata.size());
    ASSERT_EQ(index.arrays.size(), whole.arrays.size());
    for (std::size_t i = 0; i < whole.arrays.size(); ++i) {
      const SafetensorsEntry& entry = index.arrays[i];
      EXPECT_EQ(entry.name, whole.arrays[i].name);
      const AnyView view(bytes.data() + entry.offset, entry.dtype,
                         {.shape = entry.shape, .strides = row_major_strides(entry.shape)});
      EXPECT_TRUE(same_array(view, whole.arrays[i].array)) << entry.name;
      EXPECT_EQ(entry.bytes,
                view.element_count() * static_cast<std::int64_t>(size_of(entry.dtype)));
    }
  }
}

TEST(SafetensorsFile, ReadsArraysOneAtATime) {
  const SafetensorsFile file(data_file("types.safetensors"));
  const std::vector<NamedArray> expected = one_of_each_type();
  EXPECT_EQ(file.index().arrays.size(), expected.size());
  for (const auto& [name, array] : expected) {
    ASSERT_NE(file.find(name), nullptr) << name;
    EXPECT_EQ(file.find(name)->name, name);
    EXPECT_TRUE(same_array(file.read(name), array)) << name;
  }
  EXPECT_EQ(file.find("float3"), nullptr);
  EXPECT_EQ(file.find("zzz"), nullptr);
  EXPECT_THAT(file_error_of([&] { file.read("float3"); }),
              HasSubstr("types.safetensors: the file has no tensor 'float3'"));
  EXPECT_NO_THROW(file.read("float32", {.max_bytes = 24}));
  EXPECT_THAT(
      file_error_of([&] { file.read("float32", {.max_bytes = 23}); }),
      HasSubstr(
          "tensor 'float32' has 24 bytes of elements, more than ReadOptions::max_bytes (23)"));
}

TEST(SafetensorsFile, FindsEveryName) {
  SafetensorsFile opened(data_file("names.safetensors"));
  const SafetensorsFile file = std::move(opened);
  for (const SafetensorsEntry& entry : file.index().arrays) {
    EXPECT_EQ(file.find(entry.name), &entry);
  }
}

TEST(SafetensorsFile, KeepsTheFileThatAnotherReplaces) {
  const TemporaryFolder folder;
  const AnyTensor before = Tensor<float>({2}, {1, 2});
  const AnyTensor after = Tensor<double>({1}, {3});
  write_safetensors(folder / "a", std::vector<NamedView>{{.name = "q", .view = before}});
  const SafetensorsFile file(folder / "a");
  write_safetensors(folder / "a", std::vector<NamedView>{{.name = "q", .view = after}});
  EXPECT_TRUE(same_array(file.read("q"), before));
  EXPECT_TRUE(same_array(SafetensorsFile(folder / "a").read("q"), after));
}

TEST(SafetensorsFile, SeveralThreadsMayRead) {
  const SafetensorsFile file(data_file("types.safetensors"));
  const std::vector<NamedArray> expected = one_of_each_type();
  std::vector<char> same(expected.size() * 8);
  const auto read = [&](std::int64_t task, int /*worker*/) {
    const auto i = static_cast<std::size_t>(task);
    const auto& [name, array] = expected[i % expected.size()];
    same[i] = same_array(file.read(name), array) ? 1 : 0;
  };
  parallel_for(static_cast<std::int64_t>(same.size()), 4, read);
  EXPECT_THAT(same, testing::Each(1));
}

TEST(SafetensorsFile, LargerThanFourGibibytes) {
  // A file of which only the ends exist; all between them is zeros that nobody reads.
  const TemporaryFolder folder;
  const std::string header =
      R"({"large":{"dtype":"U8","shape":[5368709120],"data_offsets":[0,5368709120]},)"
      R"("tail":{"dtype":"I16","shape":[2],"data_offsets":[5368709120,5368709124]}})";
  const Bytes start = safetensors_file(header, "");
  write_bytes(folder / "a", start);
  const std::uint64_t tail = start.size() + 5368709120;
  std::filesystem::resize_file(folder / "a", tail);
  std::ofstream(folder / "a", std::ios::binary | std::ios::app) << std::string("\1\0\2\0", 4);

  const SafetensorsFile file(folder / "a");
  EXPECT_EQ(file.index().arrays.at(1).offset, static_cast<std::int64_t>(tail));
  EXPECT_TRUE(same_array(file.read("tail"), AnyTensor(Tensor<std::int16_t>({2}, {1, 2}))));
  EXPECT_THAT(file_error_of([&] { file.read("large", {.max_bytes = 1000}); }),
              HasSubstr("tensor 'large' has 5368709120 bytes of elements, more than"));
  EXPECT_THAT(file_error_of([&] { read_safetensors(folder / "a", {.max_bytes = 1000}); }),
              HasSubstr("the file has 5368709124 bytes of elements, more than"));
}

}  // namespace
}  // namespace attention::io::test
