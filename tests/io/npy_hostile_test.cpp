// Files that are damaged, malicious, or hold what attention does not read.

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/error.hpp>
#include <attention/io/npy.hpp>

#include "support.hpp"

namespace attention::io::test {
namespace {

using testing::HasSubstr;

std::string error_of(const Bytes& bytes) {
  return file_error_of([&] { parse_npy(bytes, "x.npy"); });
}

std::string header(const std::string& descr, const std::string& shape) {
  return "{'descr': " + descr + ", 'fortran_order': False, 'shape': " + shape + ", }";
}

/// The dictionary, the elements, and a part of the reason.
using Case = std::tuple<std::string, std::string, std::string>;

TEST(HostileNpy, EachHeaderIsRejectedForItsReason) {
  const std::string four(4, '\0');
  const std::vector<Case> cases = {
      {"", "", "expected '{' at byte 0 of the dictionary, found its end"},
      {"garbage", "", "expected '{' at byte 0 of the dictionary, found 'garbage'"},
      {"\xff\xfe{}", "", "found '\\xff\\xfe{}'"},
      {"{}", "", "has a header without the key 'descr'"},
      {"{'descr': '<f4', 'shape': (1,)}", four, "without the key 'fortran_order'"},
      {"{'descr': '<f4', 'fortran_order': False}", four, "without the key 'shape'"},
      {"{'descr': '<f4', 'descr': '<f4'}", four, "with the key 'descr' twice"},
      {"{'colour': 1}", four, "with the key 'colour', which npy does not have"},
      {"{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}", four, "expected True or False"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)", four, "expected '}'"},
      {header("'<f4'", "(1,)") + "x", four, "expected nothing after the dictionary"},
      {std::string("{'descr\0': '<f4'}", 17), four, "with the key 'descr\\x00'"},
      {"{'descr': '<f4", four, "expected a string that ends"},
      {"{descr: '<f4'}", four, "expected a string at byte 1"},
      {"{'descr' '<f4'}", four, "expected ':'"},
      {header("'<f4'", "[1]"), four, "expected '('"},
      {header("'<f4'", "1"), four, "expected '('"},
      {header("'<f4'", "(1)"), four, "expected ','"},
      {header("'<f4'", "(1 2)"), four, "expected ','"},
      {header("'<f4'", "(1, 1 2)"), four, "expected ')'"},
      {header("'<f4'", "(,)"), four, "expected an integer"},
      {header("'<f4'", "(1.5,)"), four, "expected ','"},
      {header("'<f4'", "('a',)"), four, "expected an integer"},
      {header("'<f4'", "(-1,)"), four, "has the shape (-1,): an extent must not be negative"},
      {header("'<f4'", "(-1, -1)"), four, "an extent must not be negative"},
      {header("'<f4'", "(0, -1)"), "", "an extent must not be negative"},
      {header("'<f4'", "(9223372036854775808,)"), four, "an extent that does not fit in 63 bits"},
      {header("'<f4'", "(2305843009213693952,)"), four, "whose size does not fit in 63 bits"},
      {header("'<f4'", "(4294967296, 4294967296)"), four, "whose size does not fit in 63 bits"},
      {header("'<f4'", "(0, 4294967296, 4294967296)"), "", "whose size does not fit in 63 bits"},
      {header("'<f4'", "(4611686018427387904, 0, 4)"), "", "whose size does not fit in 63 bits"},
      {header("'<f4'", "(1, 1, 1, 1, 1, 1, 1)"), four, "a shape of more than 6 dimensions"},
      {header("'<f4'", "(2305843009213693951,)"), four,
       "is truncated: its header promises 9223372036854775804 bytes of elements, 4 are there"},
      {header("'<f4'", "(2,)"), four,
       "is truncated: its header promises 8 bytes of elements, 4 are there"},
      {header("'<f4'", "()"), four + "x",
       "has 1 byte after the 4 bytes of elements that its header promises"},
      {header("'<f4'", "(0,)"), four, "has 4 bytes after the 0 bytes of elements"},
      {header("''", "(1,)"), four, "has the element type ''"},
      {header("'<'", "(1,)"), four, "has the element type '<'"},
      {header("'<f3'", "(1,)"), four, "'<f3' (not an element type of attention)"},
      {header("'<f44'", "(1,)"), four, "'<f44' (not an element type of attention)"},
      {header("'|b2'", "(1,)"), four, "'|b2' (not an element type of attention)"},
      {header("'<<f4'", "(1,)"), four, "has the element type '<<f4'"},
      {header("4", "(1,)"), four, "has the element type '4, "},
  };
  for (const auto& [dictionary, elements, reason] : cases) {
    for (const int version : {1, 2, 3}) {
      const std::string error = error_of(npy_file(dictionary, elements, version));
      EXPECT_THAT(error, HasSubstr(reason)) << dictionary << " version " << version;
      EXPECT_THAT(error, testing::StartsWith("x.npy: the file "));
    }
  }
}

TEST(HostileNpy, ElementTypesOfNumpyThatAttentionDoesNotHave) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"reject_object.npy", "has the element type '|O' (Python objects), which attention does not"},
      {"reject_complex.npy", "'<c8' (complex numbers)"},
      {"reject_bytes.npy", "'|S2' (strings)"},
      {"reject_string.npy", "'<U2' (strings)"},
      {"reject_datetime.npy", "'<M8[D]' (dates or times)"},
      {"reject_structured.npy", "'[('a', '<f4'), ('b', '<i4')]"},
      {"reject_raw.npy", "'|V2' (raw bytes)"},
      {"reject_longdouble.npy", "'<f16' (not an element type of attention)"},
  };
  for (const auto& [file, reason] : cases) {
    EXPECT_THAT(file_error_of([&, &name = file] { read_npy(data_file(name)); }), HasSubstr(reason))
        << file;
  }
}

TEST(HostileNpy, TheStartIsChecked) {
  const Bytes good = read_bytes(data_file("vector.npy"));
  const auto changed = [&](std::size_t at, int value) {
    Bytes bytes = good;
    bytes[at] = static_cast<std::byte>(value);
    return error_of(bytes);
  };
  EXPECT_THAT(changed(0, 'P'), HasSubstr("is not an npy file"));
  EXPECT_THAT(changed(6, 4), HasSubstr("has npy version 4.0; attention reads 1.0, 2.0 and 3.0"));
  EXPECT_THAT(changed(6, 0), HasSubstr("has npy version 0.0"));
  EXPECT_THAT(changed(7, 1), HasSubstr("has npy version 1.1"));
  EXPECT_THAT(changed(9, 0xFF), HasSubstr("it promises 65398 bytes of header, 138 are there"));
}

TEST(HostileNpy, AHeaderBeyondTheFileAllocatesNothing) {
  Bytes bytes = read_bytes(data_file("version2.npy"));
  for (std::size_t i = 8; i < 12; ++i) {
    bytes[i] = std::byte{0xFF};
  }
  EXPECT_THAT(error_of(bytes), HasSubstr("it promises 4294967295 bytes of header, 140 are there"));
}

TEST(HostileNpy, AHeaderOfMoreThan64KiBIsRejected) {
  const std::string good = header("'<f4'", "()");
  const std::string four(4, '\0');
  const auto padded = [&](std::size_t size) {
    return npy_file(good + std::string(size - good.size(), ' '), four, 2);
  };
  EXPECT_EQ(error_of(padded(65535)), "");
  EXPECT_THAT(error_of(padded(65536)), HasSubstr("attention reads at most 65535"));
}

TEST(HostileNpy, CutAnywhereItIsAnError) {
  for (const char* name : {"float32.npy", "fortran_big_endian_int16.npy", "version2.npy",
                           "version3.npy", "scalar.npy", "empty.npy"}) {
    const Bytes good = read_bytes(data_file(name));
    for (std::size_t length = 0; length < good.size(); ++length) {
      EXPECT_NE(error_of({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length)}), "")
          << name << " cut to " << length;
    }
    EXPECT_EQ(error_of(good), "");
  }
}

/// A changed file is rejected, or holds an array whose elements are the file's last bytes.
void check_changed_file(const Bytes& bytes) {
  constexpr std::ptrdiff_t kHeader = 128;  // of the files below
  AnyTensor array;
  if (!file_error_of([&] { array = parse_npy(bytes, "x.npy"); }).empty()) {
    return;
  }
  const auto count = static_cast<std::size_t>(array.view().element_count());
  ASSERT_EQ(count * size_of(array.dtype()), bytes.size() - kHeader);
  const bool swapped =
      std::find(bytes.begin(), bytes.begin() + kHeader, std::byte{'>'}) != bytes.begin() + kHeader;
  if (!swapped && array.dtype() != DType::boolean) {
    const Bytes again = serialise_npy(array);
    ASSERT_TRUE(std::equal(again.begin() + kHeader, again.end(), bytes.begin() + kHeader));
  }
}

TEST(HostileNpy, EveryChangeOfOneByteIsRejectedOrGivesTheFilesElements) {
  for (const char* name : {"vector.npy", "bool.npy", "rank6.npy", "version3.npy"}) {
    Bytes bytes = read_bytes(data_file(name));
    for (std::byte& byte : bytes) {
      const std::byte before = byte;
      for (const std::byte changed : changes_of(before)) {
        byte = changed;
        check_changed_file(bytes);
      }
      byte = before;
    }
  }
}

}  // namespace
}  // namespace attention::io::test
