#include <cstdint>
#include <span>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/autograd/functions.hpp>

#include "drawn.hpp"

namespace attention::test {
namespace {

using autograd::Variable;
using Inputs = std::span<const Variable<double>>;

constexpr Activation kActivations[] = {Activation::none, Activation::relu, Activation::gelu,
                                       Activation::gelu_tanh, Activation::silu};

TEST(Gradients, OfLinear) {
  expect_gradients([](Inputs x) { return autograd::linear(x[0], x[1], x[2]); },
                   {drawn({2, 3, 5}, 1), drawn({4, 5}, 2), drawn({4}, 3)});
  expect_gradients([](Inputs x) { return autograd::linear(x[0], x[1]); },
                   {drawn({5}, 1), drawn({4, 5}, 2)});
  expect_gradients(
      [](Inputs x) {
        return autograd::linear(x[0].transpose(0, 2), x[1].transpose(0, 1).slice(1, 1, 2), x[2]);
      },
      {drawn({2, 3, 5}, 1), drawn({4, 4}, 2), drawn({4}, 3)});
  for (const Activation activation : kActivations) {
    expect_gradients(
        [&](Inputs x) { return autograd::linear(x[0], x[1], x[2], {.activation = activation}); },
        {drawn({3, 5}, 1), drawn({4, 5}, 2), drawn({4}, 3)});
  }
}

TEST(Gradients, OfLinearOnlyWhereWanted) {
  const auto weight = Variable<double>::parameter(drawn({4, 5}, 2));
  const Variable<double> x(drawn({3, 5}, 1));
  autograd::backward(autograd::sum_to(autograd::linear(x, weight), {}));
  EXPECT_FALSE(weight.grad().is_null());
  EXPECT_TRUE(x.grad().is_null());
}

TEST(Gradients, OfActivations) {
  for (const Activation activation : kActivations) {
    expect_gradients(
        [&](Inputs x) {
          return autograd::activation(x[0].transpose(0, 1), {.activation = activation});
        },
        {drawn({7, 9}, 4, 6)});
  }
}

TEST(Gradients, OfSoftmax) {
  expect_gradients([](Inputs x) { return autograd::softmax(x[0]); }, {drawn({2, 3, 7}, 5, 3)});
}

TEST(Gradients, OfLayerNorm) {
  expect_gradients([](Inputs x) { return autograd::layer_norm(x[0], x[1], x[2]); },
                   {drawn({2, 3, 6}, 6), drawn({6}, 7), drawn({6}, 8)});
  expect_gradients([](Inputs x) { return autograd::layer_norm(x[0]); }, {drawn({4, 6}, 6)});
  expect_gradients(
      [](Inputs x) {
        return autograd::layer_norm(x[0].transpose(0, 1), x[1], {}, {.epsilon = 0.1});
      },
      {drawn({6, 4}, 6), drawn({6}, 7)});
}

TEST(Gradients, OfRmsNorm) {
  expect_gradients([](Inputs x) { return autograd::rms_norm(x[0], x[1]); },
                   {drawn({2, 3, 6}, 6), drawn({6}, 7)});
  expect_gradients([](Inputs x) { return autograd::rms_norm(x[0]); }, {drawn({4, 6}, 6)});
}

TEST(Gradients, OfEmbedding) {
  const Tensor<std::int64_t> tokens({2, 3}, {4, 0, 4, 1, 4, 3});
  expect_gradients([&](Inputs x) { return autograd::embedding<double>(tokens.view(), x[0]); },
                   {drawn({5, 3}, 9)});
  const auto table = Variable<double>::parameter(drawn({5, 3}, 9));
  autograd::backward(autograd::sum_to(
      autograd::embedding<double>(tokens.view(), table, {.padding_index = 4}), {}));
  EXPECT_EQ(table.grad()(4, 0), 0);
  EXPECT_EQ(table.grad()(0, 0), 1);
}

TEST(Gradients, OfDropout) {
  expect_gradients(
      [](Inputs x) { return autograd::dropout(x[0], {.probability = 0.4, .seed = 3}); },
      {drawn({8, 9}, 10)});
}

TEST(Gradients, OfCrossEntropy) {
  const Tensor<std::int64_t> targets({2, 3}, {4, 0, -100, 1, 4, 3});
  for (const Reduction reduction : {Reduction::mean, Reduction::sum, Reduction::none}) {
    for (const double smoothing : {0.0, 0.1, 1.0}) {
      expect_gradients(
          [&](Inputs x) {
            return autograd::cross_entropy<double>(
                x[0], targets.view(), {.label_smoothing = smoothing, .reduction = reduction});
          },
          {drawn({2, 3, 5}, 11, 4)});
    }
  }
}

TEST(Gradients, OfElementsWithBroadcasting) {
  const auto shapes = std::vector<std::pair<Shape, Shape>>{
      {{2, 3, 4}, {2, 3, 4}}, {{2, 3, 4}, {4}}, {{3, 1}, {2, 1, 4}}, {{}, {3}}, {{2, 1}, {1, 1}}};
  for (const auto& [a, b] : shapes) {
    expect_gradients([](Inputs x) { return autograd::add(x[0], x[1]); },
                     {drawn(a, 12), drawn(b, 13)});
    expect_gradients([](Inputs x) { return autograd::multiply(x[0], x[1]); },
                     {drawn(a, 12), drawn(b, 13)});
  }
  expect_gradients([](Inputs x) { return autograd::scale(x[0], -2.5); }, {drawn({2, 3}, 12)});
  expect_gradients([](Inputs x) { return autograd::multiply(x[0], x[0]); }, {drawn({2, 3}, 12)});
}

TEST(Gradients, OfSums) {
  for (const Shape& shape : {Shape{}, Shape{4}, Shape{3, 1}, Shape{2, 1, 1}, Shape{2, 3, 4}}) {
    expect_gradients([&](Inputs x) { return autograd::sum_to(x[0], shape); },
                     {drawn({2, 3, 4}, 14)});
  }
}

TEST(Gradients, OfConcat) {
  expect_gradients(
      [](Inputs x) {
        const std::vector<Variable<double>> parts = {x[0], x[1], x[0].slice(1, 0, 1)};
        return autograd::concat<double>(parts, -2);
      },
      {drawn({2, 3, 4}, 15), drawn({2, 1, 4}, 16)});
}

TEST(Gradients, OfViews) {
  expect_gradients(
      [](Inputs x) {
        const Variable<double> y = autograd::scale(x[0], 2.0);
        return autograd::multiply(y.merge(0).split(1, 2).select(0, 4),
                                  y.permute({1, 2, 0}).slice(1, 1, 2).select(0, 0));
      },
      {drawn({2, 3, 4}, 17)});
}

/// What is computed without a tape is what is computed with one, to the bit.
TEST(Functions, GiveTheSameBitsWhetherRecordedOrNot) {
  const auto x = Variable<float>::parameter(Tensor<float>({3, 33}));
  const auto weight = Variable<float>::parameter(Tensor<float>({17, 33}));
  random::Generator generator(3);
  random::uniform(x.mutable_value(), -1, 1, generator);
  random::uniform(weight.mutable_value(), -1, 1, generator);
  for (const Activation activation : kActivations) {
    const auto compute = [&] {
      return autograd::linear(x, weight, {}, {.activation = activation});
    };
    const Variable<float> recorded = compute();
    const autograd::NoGrad guard;
    const Variable<float> plain = compute();
    EXPECT_FALSE(plain.requires_grad());
    for (std::int64_t n = 0; n < 3; ++n) {
      for (std::int64_t o = 0; o < 17; ++o) {
        EXPECT_EQ(recorded.value()(n, o), plain.value()(n, o));
      }
    }
  }
}

}  // namespace
}  // namespace attention::test
