// Files that NumPy made, and valid ones put together by hand.

#include <bit>
#include <string>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/error.hpp>
#include <attention/io/npy.hpp>

#include "support.hpp"

namespace attention::io::test {
namespace {

using testing::HasSubstr;

using NumpyFile = std::tuple<const char*, DType, Shape>;

class NumpyFiles : public testing::TestWithParam<NumpyFile> {};

TEST_P(NumpyFiles, AreReadExactly) {
  const auto& [name, dtype, shape] = GetParam();
  const AnyTensor expected = expected_array(dtype, shape);
  const std::filesystem::path path = data_file(name);
  EXPECT_TRUE(same_array(read_npy(path), expected));
  EXPECT_TRUE(same_array(parse_npy(read_bytes(path), "memory"), expected));
}

INSTANTIATE_TEST_SUITE_P(
    Io, NumpyFiles,
    testing::Values(NumpyFile{"float16.npy", DType::float16, {2, 3, 4}},
                    NumpyFile{"float32.npy", DType::float32, {2, 3, 4}},
                    NumpyFile{"float64.npy", DType::float64, {2, 3, 4}},
                    NumpyFile{"bool.npy", DType::boolean, {2, 3, 4}},
                    NumpyFile{"int8.npy", DType::int8, {2, 3, 4}},
                    NumpyFile{"int16.npy", DType::int16, {2, 3, 4}},
                    NumpyFile{"int32.npy", DType::int32, {2, 3, 4}},
                    NumpyFile{"int64.npy", DType::int64, {2, 3, 4}},
                    NumpyFile{"uint8.npy", DType::uint8, {2, 3, 4}},
                    NumpyFile{"uint16.npy", DType::uint16, {2, 3, 4}},
                    NumpyFile{"uint32.npy", DType::uint32, {2, 3, 4}},
                    NumpyFile{"uint64.npy", DType::uint64, {2, 3, 4}},
                    NumpyFile{"big_endian_float16.npy", DType::float16, {2, 3}},
                    NumpyFile{"big_endian_float32.npy", DType::float32, {2, 3}},
                    NumpyFile{"big_endian_float64.npy", DType::float64, {2, 3}},
                    NumpyFile{"big_endian_int16.npy", DType::int16, {2, 3}},
                    NumpyFile{"big_endian_int32.npy", DType::int32, {2, 3}},
                    NumpyFile{"big_endian_int64.npy", DType::int64, {2, 3}},
                    NumpyFile{"big_endian_uint16.npy", DType::uint16, {2, 3}},
                    NumpyFile{"big_endian_uint32.npy", DType::uint32, {2, 3}},
                    NumpyFile{"big_endian_uint64.npy", DType::uint64, {2, 3}},
                    NumpyFile{"fortran_float32.npy", DType::float32, {2, 3, 4}},
                    NumpyFile{"fortran_big_endian_int16.npy", DType::int16, {3, 2}},
                    NumpyFile{"scalar.npy", DType::float64, {}},
                    NumpyFile{"vector.npy", DType::float32, {5}},
                    NumpyFile{"empty.npy", DType::float32, {3, 0, 2}},
                    NumpyFile{"rank6.npy", DType::int8, {1, 2, 1, 3, 1, 2}},
                    NumpyFile{"long_shape.npy", DType::int8, {0, 1, 1, 1000, 1000000, 1000000000}},
                    NumpyFile{"version2.npy", DType::int32, {2, 3}},
                    NumpyFile{"version3.npy", DType::int32, {2, 3}}),
    [](const auto& test) {
      const std::string name = std::get<0>(test.param);
      return name.substr(0, name.find('.'));
    });

TEST(ReadNpy, FortranOrderGivesColumnMajorStrides) {
  EXPECT_EQ(read_npy(data_file("fortran_float32.npy")).view().strides(), (Strides{1, 2, 6}));
}

TEST(ReadNpy, TheArrayOutlivesCopiesOfItsTensor) {
  AnyTensor copy;
  {
    const AnyTensor array = read_npy(data_file("fortran_float32.npy"));
    copy = array;
  }
  EXPECT_TRUE(same_array(copy, expected_array(DType::float32, {2, 3, 4})));
}

TEST(ReadNpy, BytesOfBoolsOtherThanZeroCountAsOne) {
  const AnyTensor array =
      parse_npy(npy_file("{'descr': '|b1', 'fortran_order': False, 'shape': (4,)}",
                         std::string("\0\1\2\xff", 4)),
                "memory");
  EXPECT_TRUE(same_array(array, AnyTensor(Tensor<bool>({4}, {false, true, true, true}))));
}

TEST(ReadNpy, TakesTheHeaderAsPythonDoes) {
  const AnyTensor expected = Tensor<std::uint8_t>({2, 1}, {7, 9});
  for (const char* dictionary : {
           "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1), }",
           "{'shape': (2, 1), 'fortran_order': False, 'descr': '|u1'}",
           R"({"descr": "|u1", "fortran_order": False, "shape": (2, 1)})",
           " { 'descr' :\t'|u1' ,\n'fortran_order':False,'shape':(2,1,),}\n\n",
           "{'descr': '<u1', 'fortran_order': False, 'shape': (2, 1), }",
           "{'descr': '>u1', 'fortran_order': False, 'shape': (2, 1), }",
           "{'descr': '=u1', 'fortran_order': False, 'shape': (2, 1), }",
           "{'descr': 'u1', 'fortran_order': False, 'shape': (2, 1), }",
           "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 1), }",
           "{'descr': '|u1', 'fortran_order': False, 'shape': (2L, 1L), }",
       }) {
    for (const int version : {1, 2, 3}) {
      EXPECT_TRUE(same_array(parse_npy(npy_file(dictionary, "\7\11", version), "memory"), expected))
          << dictionary << " version " << version;
    }
  }
}

TEST(ReadNpy, NativeOrderIsThisMachines) {
  const AnyTensor array =
      parse_npy(npy_file("{'descr': '=i4', 'fortran_order': False, 'shape': (1,)}",
                         std::endian::native == std::endian::little ? std::string("\1\0\0\0", 4)
                                                                    : std::string("\0\0\0\1", 4)),
                "memory");
  EXPECT_TRUE(same_array(array, AnyTensor(Tensor<std::int32_t>({1}, {1}))));
}

TEST(ReadNpy, TheLimitCountsTheElements) {
  const std::filesystem::path path = data_file("float32.npy");  // 96 bytes of elements
  EXPECT_NO_THROW(read_npy(path, {.max_bytes = 96}));
  EXPECT_THAT(file_error_of([&] { read_npy(path, {.max_bytes = 95}); }),
              HasSubstr("has 96 bytes of elements, more than ReadOptions::max_bytes leaves (95)"));
}

TEST(ReadNpy, MessagesNameThePath) {
  EXPECT_EQ(file_error_of([] { parse_npy({}, "given name"); }),
            "given name: the file is truncated inside its npy header: 0 bytes are there");
  const TemporaryFolder folder;
  EXPECT_EQ(file_error_of([&] { read_npy(folder / "none.npy"); }),
            (folder / "none.npy").string() + ": cannot open the file: No such file or directory");
  EXPECT_EQ(file_error_of([&] { read_npy(folder.path()); }),
            folder.path().string() + ": is not a regular file");
}

}  // namespace
}  // namespace attention::io::test
