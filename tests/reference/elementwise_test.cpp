#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/tensor.hpp>
#include <attention/reference/elementwise.hpp>

namespace attention {
namespace {

using ::testing::ElementsAre;

TEST(ReferenceElementwise, SumAndProductOfARowAndAColumn) {
  const Tensor<double> column({3, 1}, {1, 2, 3});
  const Tensor<double> row({2}, {10, 20});
  Tensor<double> out({3, 2});
  reference::add<double>(out, column, row);
  EXPECT_THAT(out.values(), ElementsAre(11, 21, 12, 22, 13, 23));
  reference::multiply<double>(out, column, row);
  EXPECT_THAT(out.values(), ElementsAre(10, 20, 20, 40, 30, 60));
  reference::scale<double>(out, out, -0.5);
  EXPECT_THAT(out.values(), ElementsAre(-5, -10, -10, -20, -15, -30));
}

TEST(ReferenceElementwise, SumsOfTheRepeatedDimensions) {
  const Tensor<double> x({2, 1, 3}, {1, 2, 3, 10, 20, 30});
  const auto summed = [&](const Shape& shape) {
    Tensor<double> out = Tensor<double>::filled(shape, 7);
    reference::sum_to<double>(out, x);
    return std::vector<double>(out.values().begin(), out.values().end());
  };
  EXPECT_THAT(summed({2, 1, 3}), ElementsAre(1, 2, 3, 10, 20, 30));
  EXPECT_THAT(summed({3}), ElementsAre(11, 22, 33));
  EXPECT_THAT(summed({1, 3}), ElementsAre(11, 22, 33));
  EXPECT_THAT(summed({2, 1, 1}), ElementsAre(6, 60));
  EXPECT_THAT(summed({}), ElementsAre(66));
  Tensor<double> empty = Tensor<double>::filled({2}, 7);
  reference::sum_to<double>(empty, Tensor<double>({0, 2}));
  EXPECT_THAT(empty.values(), ElementsAre(0, 0));
}

TEST(ReferenceElementwise, RoundsOnce) {
  const Tensor<float> x({3}, {0x1p24F, 1, 1});
  Tensor<float> sum(Shape{});
  reference::sum_to<float>(sum, x);
  EXPECT_EQ(sum(), 0x1p24F + 2);  // in float, adding 1 twice changes nothing
  Tensor<float> scaled({3});
  reference::scale<float>(scaled, x, 1.0 / 3);
  EXPECT_EQ(scaled(1), static_cast<float>(1.0 / 3));
}

}  // namespace
}  // namespace attention
