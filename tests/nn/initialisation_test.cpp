#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/error.hpp>
#include <attention/core/tensor.hpp>
#include <attention/nn/initialisation.hpp>

/// The bits that PyTorch draws are in tests/golden; here are the rules.
namespace attention::nn {
namespace {

TEST(TorchLinear, DrawsTheWeightFirstAndStaysInItsBound) {
  random::Generator generator(7);
  Tensor<float> weight({5, 16});
  Tensor<float> bias({5});
  torch_linear(weight, bias, generator);
  for (const float value : weight.values()) {
    EXPECT_LE(std::abs(value), 0.25F);
  }
  random::Generator again(7);
  Tensor<float> alone({5, 16});
  torch_linear(alone, {}, again);
  EXPECT_EQ(alone(4, 15), weight(4, 15));
}

TEST(TorchLinear, GivesAZeroBiasWithoutInputs) {
  random::Generator generator(7);
  Tensor<float> weight({2, 0});
  Tensor<float> bias = Tensor<float>::filled({2}, 9.0F);
  torch_linear(weight, bias, generator);
  EXPECT_THAT(bias.values(), testing::Each(0.0F));
}

TEST(TorchLinear, RefusesShapesThatDoNotFit) {
  random::Generator generator(7);
  Tensor<float> weight({2, 3});
  Tensor<float> bias({3});
  EXPECT_THROW(torch_linear(weight, bias, generator), Error);
  EXPECT_THROW(torch_linear(bias, {}, generator), Error);
}

}  // namespace
}  // namespace attention::nn
