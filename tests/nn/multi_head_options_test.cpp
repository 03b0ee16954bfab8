#include <cmath>
#include <cstdint>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/error.hpp>
#include <attention/nn/multi_head_attention.hpp>

#include "tests/support/message_of.hpp"

namespace attention::nn {
namespace {

using test::message_of;
using testing::AllOf;
using testing::ElementsAreArray;
using testing::HasSubstr;

constexpr std::int64_t kBatch = 2;
constexpr std::int64_t kQueries = 3;
constexpr std::int64_t kKeys = 5;
constexpr std::int64_t kEmbedding = 8;
constexpr std::int64_t kHeads = 2;

Tensor<float> drawn(const Shape& shape, std::uint64_t seed) {
  random::Generator generator(seed);
  Tensor<float> tensor(shape);
  random::normal(tensor, 0.0, 1.0, generator);
  return tensor;
}

MultiHeadAttention module_of(MultiHeadAttentionOptions options = {}) {
  random::Generator generator(1);
  options.embed_dim = kEmbedding;
  options.num_heads = kHeads;
  return MultiHeadAttention(options, generator);
}

class MultiHeadOptions : public testing::Test {
 protected:
  AttentionOutput forward(const MultiHeadAttention& module,
                          const MultiHeadForwardOptions& options) const {
    return module.forward(query, key, value, options);
  }

  const Tensor<float> query = drawn({kBatch, kQueries, kEmbedding}, 1);
  const Tensor<float> key = drawn({kBatch, kKeys, kEmbedding}, 2);
  const Tensor<float> value = drawn({kBatch, kKeys, kEmbedding}, 3);
};

TEST_F(MultiHeadOptions, AMaskOfPaddedKeysBlocksThemForAllQueriesAndHeads) {
  const Tensor<bool> padded({kBatch, kKeys}, {false, false, false, true, true,  //
                                              true, false, false, false, false});
  const auto weights =
      forward(module_of(), {.key_padding_mask = Mask::block(padded)}).attention_weights;
  for (std::int64_t h = 0; h < kHeads; ++h) {
    for (std::int64_t i = 0; i < kQueries; ++i) {
      for (std::int64_t b = 0; b < kBatch; ++b) {
        for (std::int64_t j = 0; j < kKeys; ++j) {
          EXPECT_EQ(weights(b, h, i, j) == 0.0F, padded(b, j));
        }
      }
    }
  }
}

TEST_F(MultiHeadOptions, MasksOfEveryKindJoin) {
  const Tensor<bool> keep({kQueries, kKeys}, {true, true, false, true, true,  //
                                              true, false, true, true, true,  //
                                              true, true, true, true, false});
  const Tensor<float> bias({kBatch, 1, 1, kKeys},
                           {0, 1, 0, -1, -INFINITY, 0.5F, 0, -INFINITY, 2, 0});
  const Tensor<float> bias_of_keys({kBatch, kKeys},
                                   {0, 1, 0, -1, -INFINITY, 0.5F, 0, -INFINITY, 2, 0});
  // The same by hand, as one additive mask.
  Tensor<float> joined({kBatch, 1, kQueries, kKeys});
  for (std::int64_t b = 0; b < kBatch; ++b) {
    for (std::int64_t i = 0; i < kQueries; ++i) {
      for (std::int64_t j = 0; j < kKeys; ++j) {
        joined(b, 0, i, j) = keep(i, j) ? bias(b, 0, 0, j) : -INFINITY;
      }
    }
  }
  const MultiHeadAttention module = module_of();
  const AttentionOutput expected = forward(module, {.mask = Mask::add(std::as_const(joined))});
  const AttentionOutput found =
      forward(module, {.mask = Mask::keep(keep), .key_padding_mask = Mask::add(bias_of_keys)});
  EXPECT_THAT(found.output.values(), ElementsAreArray(expected.output.values()));
  EXPECT_THAT(found.attention_weights.values(),
              ElementsAreArray(expected.attention_weights.values()));
}

TEST_F(MultiHeadOptions, CausalLeavesAppendedKeysVisible) {
  const MultiHeadAttention module = module_of({.add_bias_kv = true, .add_zero_attn = true});
  const auto weights = forward(module, {.causal = true}).attention_weights;
  ASSERT_EQ(weights.shape(), (Shape{kBatch, kHeads, kQueries, kKeys + 2}));
  for (std::int64_t i = 0; i < kQueries; ++i) {
    for (std::int64_t j = 0; j < kKeys + 2; ++j) {
      EXPECT_EQ(weights(0, 0, i, j) == 0.0F, j > i && j < kKeys) << i << " " << j;
    }
  }
}

TEST_F(MultiHeadOptions, CausalIsTheLowerTriangle) {
  Tensor<bool> triangle({kQueries, kKeys});
  for (std::int64_t i = 0; i < kQueries; ++i) {
    for (std::int64_t j = 0; j <= i; ++j) {
      triangle(i, j) = true;
    }
  }
  const MultiHeadAttention module = module_of();
  EXPECT_THAT(forward(module, {.causal = true}).output.values(),
              ElementsAreArray(
                  forward(module, {.mask = Mask::keep(std::as_const(triangle))}).output.values()));
}

TEST_F(MultiHeadOptions, ARowThatSeesNothingGivesTheBiasOfTheOutputLayer) {
  const Tensor<bool> all({kBatch, kKeys},
                         {true, true, true, true, true, false, false, false, false, false});
  const MultiHeadAttention module = module_of();
  const AttentionOutput result = forward(module, {.key_padding_mask = Mask::block(all)});
  const auto parameters = module.parameters();
  ASSERT_EQ(parameters[7].name, "W_o.bias");
  for (std::int64_t e = 0; e < kEmbedding; ++e) {
    EXPECT_EQ(result.output(0, 0, e), parameters[7].value(e));
  }
  EXPECT_EQ(result.attention_weights(0, 0, 0, 0), 0.0F);
}

TEST_F(MultiHeadOptions, WeightsByHeadAveragedOrNone) {
  const MultiHeadAttention module = module_of();
  const AttentionOutput each = forward(module, {});
  const AttentionOutput mean = forward(module, {.average_weights = true});
  const AttentionOutput none = forward(module, {.need_weights = false});
  EXPECT_TRUE(none.attention_weights.is_null());
  EXPECT_THAT(none.output.values(), ElementsAreArray(each.output.values()));
  ASSERT_EQ(mean.attention_weights.shape(), (Shape{kBatch, kQueries, kKeys}));
  EXPECT_FLOAT_EQ(mean.attention_weights(1, 2, 4),
                  (each.attention_weights(1, 0, 2, 4) + each.attention_weights(1, 1, 2, 4)) / 2);
}

TEST_F(MultiHeadOptions, LengthFirstAndWithoutABatch) {
  const AttentionOutput expected = forward(module_of(), {});
  const MultiHeadAttention module = module_of({.batch_first = false});
  const AttentionOutput length_first = module.forward(
      query.view().transpose(0, 1), key.view().transpose(0, 1), value.view().transpose(0, 1));
  ASSERT_EQ(length_first.output.shape(), (Shape{kQueries, kBatch, kEmbedding}));
  EXPECT_EQ(length_first.output(2, 1, 3), expected.output(1, 2, 3));
  EXPECT_THAT(length_first.attention_weights.values(),
              ElementsAreArray(expected.attention_weights.values()));
  const AttentionOutput alone =
      module.forward(query.view().select(0, 1), key.view().select(0, 1), value.view().select(0, 1));
  ASSERT_EQ(alone.output.shape(), (Shape{kQueries, kEmbedding}));
  ASSERT_EQ(alone.attention_weights.shape(), (Shape{kHeads, kQueries, kKeys}));
  EXPECT_EQ(alone.output(2, 3), expected.output(1, 2, 3));
}

TEST_F(MultiHeadOptions, ParametersAreOneMemoryUnderTwoNames) {
  MultiHeadAttention packed = module_of({.add_bias_kv = true});
  const auto torch = packed.torch_parameters();
  ASSERT_EQ(torch[0].name, "in_proj_weight");
  ASSERT_EQ(torch[0].value.shape(), (Shape{3 * kEmbedding, kEmbedding}));
  packed.parameters()[2].value(0, 0) = 42;  // W_k.weight
  EXPECT_EQ(torch[0].value(kEmbedding, 0), 42);
  EXPECT_EQ(torch.back().name, "bias_v");
  EXPECT_EQ(torch.back().value.shape(), (Shape{1, 1, kEmbedding}));
  const MultiHeadAttention split = module_of({.kdim = 5});
  EXPECT_EQ(split.torch_parameters()[0].name, "q_proj_weight");
  EXPECT_EQ(split.torch_parameters()[1].value.shape(), (Shape{kEmbedding, 5}));
}

TEST_F(MultiHeadOptions, SaysWhatIsWrong) {
  const MultiHeadAttention module = module_of();
  const Tensor<bool> other_padding({kBatch, kKeys + 1});
  EXPECT_THAT(
      message_of([&] { forward(module, {.key_padding_mask = Mask::block(other_padding)}); }),
      AllOf(HasSubstr("key_padding_mask must have the shape (B, S)"), HasSubstr("(2, 6)")));
  const Tensor<bool> other_mask({kQueries, kKeys + 1});
  EXPECT_THAT(message_of([&] { forward(module, {.mask = Mask::keep(other_mask)}); }),
              AllOf(HasSubstr("mask must broadcast to (B, H, L, S)"), HasSubstr("(3, 6)")));
  const MultiHeadAttention length_first = module_of({.batch_first = false});
  EXPECT_THAT(message_of([&] {
                length_first.forward(drawn({kQueries, kBatch, kEmbedding + 1}, 1), key, value);
              }),
              HasSubstr("query must have the shape (L, B, E)"));
}

}  // namespace
}  // namespace attention::nn
