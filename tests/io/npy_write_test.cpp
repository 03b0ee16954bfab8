#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/error.hpp>
#include <attention/io/npy.hpp>

#include "support.hpp"

namespace attention::io::test {
namespace {

using testing::HasSubstr;

constexpr DType kWritable[] = {DType::float32, DType::float64, DType::float16, DType::boolean,
                               DType::int8,    DType::int16,   DType::int32,   DType::int64,
                               DType::uint8,   DType::uint16,  DType::uint32,  DType::uint64};

TEST(WriteNpy, GivesNumpysBytes) {
  const TemporaryFolder folder;
  const auto check = [&](const std::string& name, DType dtype, const Shape& shape) {
    const AnyTensor array = expected_array(dtype, shape);
    const Bytes numpys = read_bytes(data_file(name));
    EXPECT_EQ(serialise_npy(array), numpys) << name;
    write_npy(folder / name, array);
    EXPECT_EQ(read_bytes(folder / name), numpys) << name;
  };
  for (const DType dtype : kWritable) {
    check(std::string(name_of(dtype)) + ".npy", dtype, {2, 3, 4});
  }
  check("scalar.npy", DType::float64, {});
  check("vector.npy", DType::float32, {5});
  check("empty.npy", DType::float32, {3, 0, 2});
  check("rank6.npy", DType::int8, {1, 2, 1, 3, 1, 2});
  check("long_shape.npy", DType::int8, {0, 1, 1, 1000, 1000000, 1000000000});
}

TEST(WriteNpy, EveryTypeAndRankComesBack) {
  const Shape shapes[] = {{}, {1}, {0}, {7}, {2, 3}, {2, 0, 3}, {1, 2, 3, 4}, {2, 1, 2, 1, 2, 1}};
  const TemporaryFolder folder;
  for (const DType dtype : kWritable) {
    for (const Shape& shape : shapes) {
      const AnyTensor array = expected_array(dtype, shape);
      write_npy(folder / "a.npy", array);
      EXPECT_TRUE(same_array(read_npy(folder / "a.npy"), array))
          << name_of(dtype) << to_string(shape);
    }
  }
  EXPECT_THAT(folder.names(), testing::ElementsAre("a.npy"));
}

TEST(WriteNpy, SpecialNumbersKeepTheirBits) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const AnyTensor array = Tensor<float>(
      {5}, {nan, -infinity, -0.0F, std::numeric_limits<float>::denorm_min(), infinity});
  EXPECT_TRUE(same_array(parse_npy(serialise_npy(array), "memory"), array));
}

TEST(WriteNpy, ViewsOfAnyStrides) {
  const auto check = [](const TensorView<const float>& view) {
    const AnyTensor copy = Tensor<float>::copy_of(view);
    EXPECT_EQ(serialise_npy(view), serialise_npy(copy)) << to_string(view.strides());
    EXPECT_TRUE(same_array(parse_npy(serialise_npy(view), "memory"), copy));
  };
  const AnyTensor array = expected_array(DType::float32, {2, 3, 4});
  const TensorView<const float> view = array.as<float>();
  check(view.transpose(0, 2));
  check(view.reverse(1));
  check(view.reverse(0).reverse(2));
  check(view.slice(2, 1, 2));
  check(view.select(1, 2).unsqueeze(0).broadcast_to({3, 2, 4}));
  check(view.slice(1, 0, 0).transpose(0, 1));
}

TEST(WriteNpy, LongStridedViewsPassThroughTheBlockWhole) {
  // 65536 bytes are gathered at a time: just under, equal to, just over, and several of them.
  for (const std::int64_t rows : {8191, 8192, 8193, 30000}) {
    Tensor<double> tensor({2, rows});
    for (std::int64_t i = 0; i < tensor.element_count(); ++i) {
      tensor.data()[i] = static_cast<double>(i);
    }
    const TensorView<const double> column = tensor.view().transpose(0, 1).slice(1, 1, 1);
    const TensorView<const double> turned = tensor.view().transpose(0, 1);
    for (const auto& view : {column.reverse(0), turned}) {
      EXPECT_TRUE(same_array(parse_npy(serialise_npy(view), "memory"), view)) << rows;
    }
  }
}

TEST(WriteNpy, WhatNpyDoesNotHaveIsAnErrorAndTouchesNoFile) {
  const TemporaryFolder folder;
  const auto error_of = [&](const AnyView& array) -> std::string {
    try {
      write_npy(folder / "a.npy", array);
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  };
  EXPECT_EQ(error_of(AnyTensor(Tensor<bfloat16>({2, 1}))),
            "write_npy: npy has no bfloat16: convert the array to float32 first; found bfloat16 "
            "(2, 1)");
  EXPECT_THAT(error_of(AnyView()), HasSubstr("write_npy: the array must be given"));
  EXPECT_THAT(
      error_of(AnyView(nullptr, DType::float32,
                       Layout{.shape = {0, std::int64_t{1} << 62, 4}, .strides = {0, 0, 0}})),
      HasSubstr("the number of bytes must fit in 63 bits"));
  EXPECT_THAT(folder.names(), testing::IsEmpty());
}

}  // namespace
}  // namespace attention::io::test
