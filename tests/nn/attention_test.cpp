#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/error.hpp>
#include <attention/nn/attention.hpp>
#include <attention/ops/sdpa.hpp>

#include "tests/support/message_of.hpp"

namespace attention::nn {
namespace {

using test::message_of;
using testing::AllOf;
using testing::HasSubstr;

Tensor<float> drawn(const Shape& shape, std::uint64_t seed) {
  random::Generator generator(seed);
  Tensor<float> tensor(shape);
  random::normal(tensor, 0.0, 1.0, generator);
  return tensor;
}

/// 1 on and below the diagonal.
template <class T>
Tensor<T> lower_triangle(std::int64_t size) {
  Tensor<T> mask({size, size});
  for (std::int64_t i = 0; i < size; ++i) {
    for (std::int64_t j = 0; j <= i; ++j) {
      mask(i, j) = T{1};
    }
  }
  return mask;
}

void expect_exactly_zero_above_the_diagonal(const TensorView<const float>& weights) {
  for (std::int64_t i = 0; i < weights.size(0); ++i) {
    float sum = 0;
    for (std::int64_t j = 0; j < weights.size(1); ++j) {
      sum += weights(i, j);
      if (j > i) {
        EXPECT_EQ(weights(i, j), 0.0F) << i << " " << j;
      } else {
        EXPECT_GT(weights(i, j), 0.0F) << i << " " << j;
      }
    }
    EXPECT_NEAR(sum, 1.0F, 1e-6F);
  }
}

// The two tests of the original.

TEST(MultiHeadAttention, OutputAndWeightShapes) {
  const MultiHeadAttention attention(8, 2);
  const Tensor<float> x = drawn({2, 4, 8}, 1);
  const AttentionOutput result = attention.forward(x, x, x);
  EXPECT_EQ(result.output.shape(), (Shape{2, 4, 8}));
  EXPECT_EQ(result.attention_weights.shape(), (Shape{2, 2, 4, 4}));
}

TEST(MultiHeadAttention, ALowerTriangularMaskLeavesExactlyZeroAboveTheDiagonal) {
  const MultiHeadAttention attention(8, 2);
  const Tensor<float> x = drawn({2, 4, 8}, 2);
  const AttentionOutput result = attention.forward(x, x, x, lower_triangle<float>(4));
  for (std::int64_t b = 0; b < 2; ++b) {
    for (std::int64_t h = 0; h < 2; ++h) {
      expect_exactly_zero_above_the_diagonal(
          result.attention_weights.view().select(0, b).select(0, h));
    }
  }
}

TEST(ScaledDotProductAttention, TakesTwoThreeAndFourDimensions) {
  const ScaledDotProductAttention attention;
  const Tensor<float> q = drawn({2, 3, 4, 8}, 1);
  const Tensor<float> k = drawn({2, 3, 5, 8}, 2);
  const Tensor<float> v = drawn({2, 3, 5, 6}, 3);
  const AttentionOutput four = attention.forward(q, k, v);
  EXPECT_EQ(four.output.shape(), (Shape{2, 3, 4, 6}));
  EXPECT_EQ(four.attention_weights.shape(), (Shape{2, 3, 4, 5}));
  const AttentionOutput three =
      attention.forward(q.view().select(0, 1), k.view().select(0, 1), v.view().select(0, 1));
  EXPECT_EQ(three.output.shape(), (Shape{3, 4, 6}));
  EXPECT_EQ(three.output(2, 3, 5), four.output(1, 2, 3, 5));
  const AttentionOutput two =
      attention.forward(q.view().select(0, 1).select(0, 2), k.view().select(0, 1).select(0, 2),
                        v.view().select(0, 1).select(0, 2));
  EXPECT_EQ(two.attention_weights.shape(), (Shape{4, 5}));
  EXPECT_EQ(two.attention_weights(3, 4), four.attention_weights(1, 2, 3, 4));
}

TEST(ScaledDotProductAttention, ScaleReplacesTheDefault) {
  const ScaledDotProductAttention attention;
  const Tensor<float> q = drawn({3, 4}, 4);
  const AttentionOutput by_default = attention.forward(q, q, q);
  const AttentionOutput by_hand = attention.forward(q, q, q, {}, {.scale = 0.5});
  const AttentionOutput flat = attention.forward(q, q, q, {}, {.scale = 0.0});
  EXPECT_EQ(by_default.attention_weights(0, 1), by_hand.attention_weights(0, 1));
  EXPECT_FLOAT_EQ(flat.attention_weights(2, 1), 1.0F / 3.0F);
}

TEST(ModuleMask, MeansTheSameInEveryElementTypeAndShape) {
  const MultiHeadAttention attention(8, 2);
  const Tensor<float> x = drawn({2, 3, 8}, 5);
  const AttentionOutput expected = attention.forward(x, x, x, lower_triangle<float>(3));
  const auto expect_same = [&](const AnyView& mask) {
    const AttentionOutput result = attention.forward(x, x, x, mask);
    EXPECT_THAT(result.output.values(), testing::ElementsAreArray(expected.output.values()));
  };
  expect_same(lower_triangle<double>(3));
  expect_same(lower_triangle<bool>(3));
  expect_same(lower_triangle<std::uint8_t>(3));
  expect_same(lower_triangle<std::int32_t>(3));
  expect_same(lower_triangle<std::int64_t>(3));
  const Tensor<bool> triangle = lower_triangle<bool>(3);
  expect_same(triangle.view().broadcast_to({2, 3, 3}));
  expect_same(triangle.view().unsqueeze(0));
  expect_same(triangle.view().broadcast_to({2, 1, 3, 3}));
  expect_same(triangle.view().broadcast_to({2, 2, 3, 3}));
}

TEST(ModuleMask, OfRankThreeHasTheBatchFirst) {
  const MultiHeadAttention attention(8, 2);
  const Tensor<float> x = drawn({2, 3, 8}, 6);
  Tensor<bool> mask = Tensor<bool>::filled({2, 3, 3}, true);
  for (std::int64_t i = 0; i < 3; ++i) {
    mask(1, i, 2) = false;
  }
  const AttentionOutput result = attention.forward(x, x, x, mask);
  for (std::int64_t h = 0; h < 2; ++h) {
    EXPECT_GT(result.attention_weights(0, h, 1, 2), 0.0F);
    EXPECT_EQ(result.attention_weights(1, h, 1, 2), 0.0F);
  }
  // A padding mask (B, 1, 1, S) says the same.
  const AttentionOutput padded =
      attention.forward(x, x, x, mask.view().slice(1, 0, 1).unsqueeze(1));
  EXPECT_THAT(padded.output.values(), testing::ElementsAreArray(result.output.values()));
}

TEST(ModuleMask, AFullyMaskedRowGivesZeroWeights) {
  const ScaledDotProductAttention attention;
  const Tensor<float> q = drawn({2, 4}, 7);
  const Tensor<bool> mask({2, 2}, {false, false, true, false});
  const AttentionOutput result = attention.forward(q, q, q, mask);
  EXPECT_EQ(result.attention_weights(0, 0), 0.0F);
  EXPECT_EQ(result.attention_weights(0, 1), 0.0F);
  EXPECT_EQ(result.attention_weights(1, 0), 1.0F);
  EXPECT_EQ(result.output(0, 3), 0.0F);
}

TEST(ModuleMask, NamesTheFirstValueThatIsNeitherZeroNorOne) {
  const ScaledDotProductAttention attention;
  const Tensor<float> q = drawn({2, 4}, 8);
  Tensor<float> mask = Tensor<float>::filled({2, 2}, 1.0F);
  mask(1, 0) = -std::numeric_limits<float>::infinity();
  EXPECT_THAT(
      message_of([&] { attention.forward(q, q, q, mask); }),
      AllOf(
          HasSubstr("nn::ScaledDotProductAttention: mask must hold only 0 (blocked) and 1 (kept)"),
          HasSubstr("found -inf at (1, 0)")));
  mask(0, 1) = 0.5F;
  EXPECT_THAT(message_of([&] { attention.forward(q, q, q, mask); }),
              HasSubstr("found 0.5 at (0, 1)"));
  mask(0, 0) = std::nanf("");
  EXPECT_THAT(message_of([&] { attention.forward(q, q, q, mask); }),
              HasSubstr("found nan at (0, 0)"));
}

TEST(ModuleMask, OfAnotherShapeIsAnErrorThatShowsBoth) {
  const MultiHeadAttention attention(8, 2);
  const Tensor<float> x = drawn({2, 3, 8}, 9);
  for (const Shape& shape :
       {Shape{3}, Shape{3, 4}, Shape{3, 3, 3}, Shape{2, 3, 3, 3}, Shape{1, 2, 2, 3, 3}}) {
    EXPECT_THAT(
        message_of([&] { attention.forward(x, x, x, Tensor<bool>(shape)); }),
        AllOf(HasSubstr("nn::MultiHeadAttention: mask must have the shape"),
              HasSubstr("mask " + to_string(shape)), HasSubstr("(B, H, L, S) = (2, 2, 3, 3)")));
  }
}

TEST(MultiHeadAttention, CrossAttentionWithOtherKeyAndValueSizes) {
  const MultiHeadAttention attention({.embed_dim = 12, .num_heads = 3, .kdim = 5, .vdim = 7});
  const AttentionOutput result =
      attention.forward(drawn({2, 4, 12}, 1), drawn({2, 6, 5}, 2), drawn({2, 6, 7}, 3));
  EXPECT_EQ(result.output.shape(), (Shape{2, 4, 12}));
  EXPECT_EQ(result.attention_weights.shape(), (Shape{2, 3, 4, 6}));
}

TEST(MultiHeadAttention, NamesItsParametersInDrawOrder) {
  MultiHeadAttention attention({.embed_dim = 12, .num_heads = 3, .kdim = 5, .vdim = 7});
  std::vector<std::string> described;
  for (const auto& parameter : attention.parameters()) {
    described.push_back(parameter.name + " " + to_string(parameter.value.shape()));
  }
  EXPECT_THAT(described,
              testing::ElementsAre("W_q.weight (12, 12)", "W_q.bias (12,)", "W_k.weight (12, 5)",
                                   "W_k.bias (12,)", "W_v.weight (12, 7)", "W_v.bias (12,)",
                                   "W_o.weight (12, 12)", "W_o.bias (12,)"));
  const MultiHeadAttention without({.embed_dim = 12, .num_heads = 3, .bias = false});
  EXPECT_EQ(without.parameters().size(), 4U);
}

TEST(MultiHeadAttention, TheParametersAreTheModulesOwn) {
  MultiHeadAttention attention(4, 1);
  for (const auto& parameter : attention.parameters()) {
    for_each_offset(
        parameter.value.shape(),
        [&](std::int64_t offset) { parameter.value.data()[offset] = 0.0F; },
        parameter.value.strides());
  }
  const Tensor<float> x = drawn({1, 3, 4}, 3);
  const AttentionOutput result = attention.forward(x, x, x);
  EXPECT_THAT(result.output.values(), testing::Each(0.0F));
  EXPECT_FLOAT_EQ(result.attention_weights(0, 0, 1, 1), 1.0F / 3.0F);
}

TEST(MultiHeadAttention, HeadsAreSlicesOfTheEmbedding) {
  random::Generator generator(3);
  MultiHeadAttention attention(8, 2, generator);
  const Tensor<float> x = drawn({1, 5, 8}, 4);
  const AttentionOutput result = attention.forward(x, x, x);
  // Head 1 by hand: features 4..7 of the projected query and key.
  const auto parameters = attention.parameters();
  const auto project = [&](std::size_t layer, std::int64_t token, std::int64_t feature) {
    auto sum = static_cast<double>(parameters[2 * layer + 1].value(feature));
    for (std::int64_t i = 0; i < 8; ++i) {
      sum += static_cast<double>(x(0, token, i)) *
             static_cast<double>(parameters[2 * layer].value(feature, i));
    }
    return sum;
  };
  for (std::int64_t i = 0; i < 5; ++i) {
    std::vector<double> exponentials(5);
    double total = 0;
    for (std::int64_t j = 0; j < 5; ++j) {
      double score = 0;
      for (std::int64_t d = 4; d < 8; ++d) {
        score += project(0, i, d) * project(1, j, d);
      }
      exponentials[static_cast<std::size_t>(j)] = std::exp(score / 2.0);
      total += exponentials[static_cast<std::size_t>(j)];
    }
    for (std::int64_t j = 0; j < 5; ++j) {
      EXPECT_NEAR(result.attention_weights(0, 1, i, j),
                  exponentials[static_cast<std::size_t>(j)] / total, 1e-6);
    }
  }
}

TEST(MultiHeadAttention, HeadsThatDoNotDivideAreAnErrorThatNamesBoth) {
  EXPECT_THAT(message_of([] { MultiHeadAttention(10, 3); }),
              AllOf(HasSubstr("embed_dim must be divisible by num_heads"),
                    HasSubstr("embed_dim 10, num_heads 3")));
  EXPECT_THAT(message_of([] { MultiHeadAttention(0, 1); }), HasSubstr("must be positive"));
  EXPECT_THAT(message_of([] { MultiHeadAttention(8, 0); }), HasSubstr("must be positive"));
  EXPECT_THAT(message_of([] { MultiHeadAttention({.embed_dim = 8, .num_heads = 2, .kdim = 0}); }),
              HasSubstr("kdim 0, vdim 8"));
}

TEST(Modules, SayWhichInputDoesNotFit) {
  const MultiHeadAttention module(8, 2);
  const Tensor<float> x = drawn({2, 3, 8}, 1);
  const Tensor<float> narrow = drawn({2, 3, 7}, 1);
  const Tensor<float> short_batch = drawn({1, 3, 8}, 1);
  const Tensor<float> longer = drawn({2, 4, 8}, 1);
  EXPECT_THAT(message_of([&] { module.forward(narrow, x, x); }),
              HasSubstr("query must have the shape (B, L, E)"));
  EXPECT_THAT(message_of([&] { module.forward(x, narrow, x); }),
              HasSubstr("key must have the shape (B, S, kdim)"));
  EXPECT_THAT(message_of([&] { module.forward(x, x, narrow); }),
              HasSubstr("value must have the shape (B, S, vdim)"));
  EXPECT_THAT(message_of([&] { module.forward(x, short_batch, x); }),
              HasSubstr("one batch size B"));
  EXPECT_THAT(message_of([&] { module.forward(x, longer, x); }), HasSubstr("one length S"));
  const ScaledDotProductAttention attention;
  EXPECT_THAT(message_of([&] { attention.forward(x, x.view().select(0, 0), x); }),
              HasSubstr("one rank"));
  EXPECT_THAT(message_of([&] { attention.forward(x, short_batch, x); }),
              HasSubstr("the same B and H"));
  EXPECT_THAT(message_of([&] { attention.forward(x, longer, x); }), HasSubstr("one length S"));
  EXPECT_THAT(message_of([&] { attention.forward(x, narrow, narrow); }),
              HasSubstr("one head size D"));
}

TEST(Modules, RunOnThePathAskedFor) {
  const MultiHeadAttention module(8, 2);
  const Tensor<float> x = drawn({2, 3, 8}, 1);
  const AttentionOutput blocked = module.forward(x, x, x, {}, {.execution = {.path = Path::fused}});
  const AttentionOutput reference =
      module.forward(x, x, x, {}, {.execution = {.path = Path::reference}});
  for (std::int64_t i = 0; i < 48; ++i) {
    EXPECT_NEAR(blocked.output.data()[i], reference.output.data()[i], 1e-6);
  }
}

}  // namespace
}  // namespace attention::nn
