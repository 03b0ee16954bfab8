#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/tensor.hpp>
#include <attention/reference/concat.hpp>

namespace attention {
namespace {

using ::testing::ElementsAre;

TEST(ReferenceConcat, ByHand) {
  const Tensor<float> a({2, 1}, {1, 2});
  const Tensor<float> b({2, 2}, {3, 4, 5, 6});
  const std::vector<TensorView<const float>> across = {a, b};
  Tensor<float> wide({2, 3});
  reference::concat<float>(wide, across, 1);
  EXPECT_THAT(wide.values(), ElementsAre(1, 3, 4, 2, 5, 6));
  const std::vector<TensorView<const float>> down = {b, b.view().reverse(0)};
  Tensor<float> tall({4, 2});
  reference::concat<float>(tall, down, 0);
  EXPECT_THAT(tall.values(), ElementsAre(3, 4, 5, 6, 5, 6, 3, 4));
}

}  // namespace
}  // namespace attention
