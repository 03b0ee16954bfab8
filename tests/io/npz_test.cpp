// Archives that NumPy made, and those that attention writes.

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/error.hpp>
#include <attention/io/npz.hpp>

#include "support.hpp"

namespace attention::io::test {
namespace {

using testing::HasSubstr;

/// The arrays of make_test_data.py's npz files.
std::vector<NamedArray> numpys_arrays() {
  return {{.name = "q", .array = expected_array(DType::float32, {2, 3})},
          {.name = "mask", .array = expected_array(DType::boolean, {3, 1, 5})},
          {.name = "gr\xC3\xB6\xC3\x9F\x65", .array = expected_array(DType::int64, {})},
          {.name = "empty", .array = expected_array(DType::uint16, {0, 4})}};
}

void expect_same(const std::vector<NamedArray>& found, const std::vector<NamedArray>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].name, expected[i].name);
    EXPECT_TRUE(same_array(found[i].array, expected[i].array)) << found[i].name;
  }
}

TEST(ReadNpz, StoredByNumpy) {
  expect_same(read_npz(data_file("stored.npz")), numpys_arrays());
}

TEST(ReadNpz, NoArrays) {
  EXPECT_THAT(read_npz(data_file("no_arrays.npz")), testing::IsEmpty());
}

class DeflatedByNumpy : public testing::TestWithParam<const char*> {};

TEST_P(DeflatedByNumpy, IsReadOrSaysWhatToDo) {
  const std::filesystem::path path = data_file(GetParam());
  if (deflate_available()) {
    expect_same(read_npz(path), numpys_arrays());
  } else {
    EXPECT_THAT(file_error_of([&] { read_npz(path); }),
                HasSubstr("npz member 'q.npy' is deflated, and this build of attention has no "
                          "zlib: build attention with zlib, or save the file uncompressed"));
  }
}

INSTANTIATE_TEST_SUITE_P(ReadNpz, DeflatedByNumpy, testing::Values("deflated.npz", "streamed.npz"),
                         [](const auto& test) {
                           const std::string name = test.param;
                           return name.substr(0, name.find('.'));
                         });

TEST(ReadNpz, TheLimitCountsAllArraysTogether) {
  const std::filesystem::path path = data_file("stored.npz");  // 24 + 15 + 8 + 0 bytes
  EXPECT_NO_THROW(read_npz(path, {.max_bytes = 47}));
  EXPECT_THAT(file_error_of([&] { read_npz(path, {.max_bytes = 46}); }),
              HasSubstr("has 8 bytes of elements, more than ReadOptions::max_bytes leaves (7)"));
}

TEST(ReadArrays, TellsNpyFromNpzByContent) {
  const TemporaryFolder folder;
  write_bytes(folder / "archive.npy", read_bytes(data_file("stored.npz")));
  write_bytes(folder / "array.npz", read_bytes(data_file("float32.npy")));
  expect_same(read_arrays(folder / "archive.npy"), numpys_arrays());
  expect_same(read_arrays(folder / "array.npz"),
              {{.name = "array", .array = expected_array(DType::float32, {2, 3, 4})}});
  write_bytes(folder / "short", to_bytes("P"));
  EXPECT_THAT(file_error_of([&] { read_arrays(folder / "short"); }), HasSubstr("is truncated"));
  write_bytes(folder / "text", to_bytes("neither of the two"));
  EXPECT_THAT(file_error_of([&] { read_arrays(folder / "text"); }),
              HasSubstr("is not an npy file"));
}

TEST(WriteNpz, StoredGivesNumpysBytes) {
  const std::vector<NamedArray> arrays = numpys_arrays();
  const Bytes numpys = read_bytes(data_file("stored.npz"));
  EXPECT_EQ(serialise_npz(views_of(arrays)), numpys);
  const TemporaryFolder folder;
  write_npz(folder / "a.npz", views_of(arrays));
  EXPECT_EQ(read_bytes(folder / "a.npz"), numpys);
  EXPECT_EQ(serialise_npz({}), read_bytes(data_file("no_arrays.npz")));
  EXPECT_THAT(folder.names(), testing::ElementsAre("a.npz"));
}

class EachCompression : public testing::TestWithParam<Compression> {
 protected:
  void SetUp() override {
    if (GetParam() == Compression::deflated && !deflate_available()) {
      GTEST_SKIP() << "this build has no zlib";
    }
  }
};

INSTANTIATE_TEST_SUITE_P(WriteNpz, EachCompression,
                         testing::Values(Compression::stored, Compression::deflated),
                         [](const auto& test) {
                           return test.param == Compression::stored ? "stored" : "deflated";
                         });

TEST_P(EachCompression, EveryTypeComesBackInOrder) {
  std::vector<NamedArray> arrays;
  for (int code = 0; code <= static_cast<int>(DType::uint64); ++code) {
    const auto dtype = static_cast<DType>(code);
    if (dtype != DType::bfloat16) {
      arrays.push_back(
          {.name = std::string(name_of(dtype)), .array = expected_array(dtype, {3, 5})});
    }
  }
  arrays.push_back({.name = "folder/name with spaces.npy",
                    .array = expected_array(DType::int8, {2, 1, 2, 1, 2, 1})});
  arrays.push_back({.name = "", .array = expected_array(DType::float32, {})});
  const TemporaryFolder folder;
  write_npz(folder / "a.npz", views_of(arrays), GetParam());
  expect_same(read_npz(folder / "a.npz"), arrays);
  EXPECT_THAT(folder.names(), testing::ElementsAre("a.npz"));
}

TEST_P(EachCompression, LargeArraysPassThroughTheBuffersWhole) {
  // More than one piece of every buffer (64 KiB of deflate, 1 MiB of CRC), in parts hard and easy
  // to deflate, read as they lie and gathered from a transposed view.
  Tensor<std::uint32_t> tensor({700, 1000});
  std::uint32_t state = 1;
  for (std::int64_t i = 0; i < tensor.element_count(); ++i) {
    state = state * 1664525U + 1013904223U;
    tensor.data()[i] = i % 100000 < 50000 ? state : 0U;
  }
  const TensorView<const std::uint32_t> view = std::as_const(tensor).view();
  const std::vector<NamedView> views = {{.name = "a", .view = view},
                                        {.name = "b", .view = view.transpose(0, 1)}};
  const std::vector<NamedArray> found = parse_npz(serialise_npz(views, GetParam()), "memory");
  ASSERT_EQ(found.size(), 2U);
  EXPECT_TRUE(same_array(found[0].array, view));
  EXPECT_TRUE(same_array(found[1].array, view.transpose(0, 1)));
}

TEST(WriteNpz, DeflatedIsSmaller) {
  const AnyTensor zeros = Tensor<float>({1000});
  const std::vector<NamedView> views = {{.name = "a", .view = zeros}};
  if (deflate_available()) {
    EXPECT_LT(serialise_npz(views, Compression::deflated).size(), 400U);
  } else {
    try {
      serialise_npz(views, Compression::deflated);
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("serialise_npz: this build of attention has no zlib"));
    }
  }
}

TEST(WriteNpz, WhatCannotBeWrittenIsAnErrorAndTouchesNoFile) {
  const TemporaryFolder folder;
  const AnyTensor array = Tensor<float>({1});
  const auto error_of = [&](const std::vector<NamedView>& views) -> std::string {
    try {
      write_npz(folder / "a.npz", views);
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  };
  EXPECT_EQ(error_of({{.name = "q", .view = array}, {.name = "q", .view = array}}),
            "write_npz: names must differ; found 'q' twice");
  EXPECT_THAT(error_of({{.name = std::string("a\0b", 3), .view = array}}),
              HasSubstr("a name must be UTF-8 text without NUL; found 'a\\x00b'"));
  EXPECT_THAT(error_of({{.name = "\xC3", .view = array}}), HasSubstr("a name must be UTF-8"));
  EXPECT_THAT(error_of({{.name = std::string(65532, 'x'), .view = array}}),
              HasSubstr("a name must have at most 65531 bytes; found 65532 bytes"));
  EXPECT_THAT(error_of({{.name = "q", .view = AnyTensor(Tensor<bfloat16>({1}))}}),
              HasSubstr("npy has no bfloat16"));
  EXPECT_THAT(error_of({{.name = "q", .view = {}}}), HasSubstr("the array must be given"));
  EXPECT_THAT(folder.names(), testing::IsEmpty());
}

TEST(WriteNpz, TheLongestName) {
  const AnyTensor array = Tensor<float>({1});
  const std::string name(65531, 'x');
  const std::vector<NamedView> views = {{.name = name, .view = array}};
  EXPECT_EQ(parse_npz(serialise_npz(views), "memory").at(0).name, name);
}

TEST(WriteNpz, MoreArraysThanTheSmallEndRecordCounts) {
  const AnyTensor array = Tensor<std::uint8_t>({0});
  std::vector<NamedView> views(65536, NamedView{.name = "", .view = array});
  for (std::size_t i = 0; i < views.size(); ++i) {
    views[i].name = std::to_string(i);
  }
  for (const std::size_t count : {std::size_t{65535}, std::size_t{65536}}) {
    const std::vector<NamedArray> found =
        parse_npz(serialise_npz(std::span(views).first(count)), "memory");
    ASSERT_EQ(found.size(), count);
    EXPECT_EQ(found.back().name, std::to_string(count - 1));
  }
}

TEST(Npz, AFullDiskLeavesTheOldFiles) {
  const TemporaryFolder folder;
  const AnyTensor array = Tensor<float>({100000});
  const std::vector<NamedView> views = {{.name = "a", .view = array}};
  write_bytes(folder / "a.npz", to_bytes("old"));
  std::string npz_error;
  std::string npy_error;
  {
    const FileSizeLimit limit(4096);
    npz_error = file_error_of([&] { write_npz(folder / "a.npz", views); });
    npy_error = file_error_of([&] { write_npy(folder / "a.npy", array); });
  }
  EXPECT_THAT(npz_error, testing::HasSubstr("cannot write the temporary file: File too large"));
  EXPECT_THAT(npy_error, testing::HasSubstr("cannot write the temporary file: File too large"));
  EXPECT_THAT(folder.names(), testing::ElementsAre("a.npz"));
  EXPECT_EQ(read_bytes(folder / "a.npz"), to_bytes("old"));
}

}  // namespace
}  // namespace attention::io::test
