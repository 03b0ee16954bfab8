#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/error.hpp>
#include <attention/nn/linear.hpp>

namespace attention::nn {
namespace {

TEST(Linear, ComputesAnAffineMap) {
  Linear layer(2, 3);
  const Parameters parameters = layer.parameters();
  ASSERT_EQ(parameters.size(), 2U);
  EXPECT_EQ(parameters[0].name, "weight");
  EXPECT_EQ(parameters[1].name, "bias");
  for (int o = 0; o < 3; ++o) {
    parameters[0].value(o, 0) = static_cast<float>(o);
    parameters[0].value(o, 1) = 1.0F;
    parameters[1].value(o) = 10.0F;
  }
  const Tensor<float> x({1, 1, 2}, {2.0F, 5.0F});
  const Tensor<float> out = layer.forward(x);
  EXPECT_EQ(out.shape(), (Shape{1, 1, 3}));
  EXPECT_THAT(out.values(), testing::ElementsAre(15.0F, 17.0F, 19.0F));
}

TEST(Linear, LeavesOutTheBiasAndItsDraws) {
  random::Generator with(1);
  random::Generator without(1);
  const Linear a(4, 2, with);
  const Linear b(4, 2, without, {.bias = false});
  EXPECT_EQ(b.parameters().size(), 1U);
  EXPECT_EQ(a.parameters()[0].value(1, 3), b.parameters()[0].value(1, 3));
  with.manual_seed(1);
  for (int draw = 0; draw < 8; ++draw) {
    with.next_u32();
  }
  EXPECT_EQ(with.next_u32(), without.next_u32());
  const Tensor<float> zeros({3, 4});
  EXPECT_THAT(b.forward(zeros).values(), testing::Each(0.0F));
}

TEST(Linear, SaysWhatDoesNotFit) {
  const Linear layer(4, 2);
  const Tensor<float> x({3, 5});
  EXPECT_THROW(layer.forward(x), Error);
  EXPECT_THROW(Linear(-1, 2), Error);
}

}  // namespace
}  // namespace attention::nn
