#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/autograd/functions.hpp>
#include <attention/autograd/gradcheck.hpp>
#include <attention/nn/embedding.hpp>
#include <attention/nn/feed_forward.hpp>
#include <attention/nn/multi_head_attention.hpp>
#include <attention/nn/normalisation.hpp>
#include <attention/nn/transformer_block.hpp>

#include "../support/message_of.hpp"

namespace attention::nn {
namespace {

using autograd::Variable;
using test::message_of;
using testing::ElementsAre;
using testing::HasSubstr;

template <class T>
Tensor<T> drawn(const Shape& shape, std::uint64_t seed) {
  random::Generator generator(seed);
  Tensor<T> tensor(shape);
  random::uniform(tensor, -1, 1, generator);
  return tensor;
}

/// The gradients of a layer's parameters and of the inputs agree with central differences. Values
/// of zero (biases, padding) are drawn first, so that nothing hides in them.
void expect_gradients(const ParameterList<double>& parameters,
                      const std::vector<Variable<double>>& inputs,
                      const std::function<Variable<double>()>& function) {
  std::vector<Variable<double>> all = inputs;
  std::uint64_t seed = 100;
  for (const Parameter<double>& parameter : parameters) {
    random::Generator generator(++seed);
    random::uniform(parameter.value, -0.7, 0.7, generator);
    all.push_back(parameter.variable);
  }
  const autograd::GradcheckResult result = autograd::gradcheck(function, all, {.elements = 24});
  EXPECT_TRUE(result.agrees) << result.to_string() << " of " << inputs.size()
                             << " inputs and then parameters";
}

Variable<double> input(const Shape& shape, std::uint64_t seed) {
  return Variable<double>::parameter(drawn<double>(shape, seed));
}

template <class T>
void expect_same_bits(TensorView<const T> a, TensorView<const T> b) {
  ASSERT_EQ(a.shape(), b.shape());
  const Tensor<T> dense_a = Tensor<T>::copy_of(a);
  const Tensor<T> dense_b = Tensor<T>::copy_of(b);
  EXPECT_EQ(std::memcmp(dense_a.data(), dense_b.data(), dense_a.values().size_bytes()), 0);
}

struct AttentionCase {
  std::string name;
  MultiHeadAttentionOptions options;
};

std::vector<AttentionCase> attention_cases() {
  return {
      {"plain", {.embed_dim = 6, .num_heads = 2}},
      {"grouped", {.embed_dim = 8, .num_heads = 4, .num_kv_heads = 2}},
      {"one group, other sizes",
       {.embed_dim = 8, .num_heads = 2, .kdim = 5, .vdim = 3, .num_kv_heads = 1}},
      {"no bias", {.embed_dim = 6, .num_heads = 3, .bias = false}},
      {"appended", {.embed_dim = 6, .num_heads = 2, .add_bias_kv = true, .add_zero_attn = true}},
      {"appended, grouped",
       {.embed_dim = 8, .num_heads = 4, .num_kv_heads = 1, .add_bias_kv = true}},
      {"length first", {.embed_dim = 6, .num_heads = 2, .batch_first = false}}};
}

/// Query, key and value for a module of any options: B 2, L 3, S 4.
template <class T, class Module>
std::vector<Tensor<T>> inputs_for(const Module& module) {
  std::vector<Tensor<T>> result;
  const std::int64_t features[] = {module.embed_dim(), module.kdim(), module.vdim()};
  for (int n = 0; n < 3; ++n) {
    const std::int64_t length = n == 0 ? 3 : 4;
    result.push_back(drawn<T>(module.options().batch_first ? Shape{2, length, features[n]}
                                                           : Shape{length, 2, features[n]},
                              static_cast<std::uint64_t>(n + 1)));
  }
  return result;
}

TEST(MultiHeadGradients, OfEveryParameterAndInput) {
  const Tensor<bool> padding({2, 4}, {false, false, false, true, false, true, true, true});
  for (const AttentionCase& one : attention_cases()) {
    SCOPED_TRACE(one.name);
    random::Generator generator(7);
    BasicMultiHeadAttention<double> module(one.options, generator);
    std::vector<Variable<double>> x;
    for (Tensor<double>& tensor : inputs_for<double>(module)) {
      x.push_back(Variable<double>::parameter(std::move(tensor)));
    }
    const auto check = [&](const MultiHeadForwardOptions& options) {
      expect_gradients(module.parameters(), x,
                       [&] { return module.forward(x[0], x[1], x[2], options).output; });
    };
    check({});
    check({.key_padding_mask = Mask::block(padding), .causal = true, .scale = 0.8});
  }
}

TEST(MultiHeadGradients, OfSelfAttentionWithoutABatch) {
  random::Generator generator(7);
  BasicMultiHeadAttention<double> module({.embed_dim = 6, .num_heads = 2}, generator);
  const Variable<double> x = input({4, 6}, 1);
  expect_gradients(module.parameters(), {x},
                   [&] { return module.forward(x, x, x, {.causal = true}).output; });
}

TEST(MultiHeadGradients, WithDropout) {
  random::Generator generator(7);
  BasicMultiHeadAttention<double> module({.embed_dim = 6, .num_heads = 2, .dropout = 0.4},
                                         generator);
  const Variable<double> x = input({2, 4, 6}, 1);
  expect_gradients(module.parameters(), {x}, [&] {
    DropoutCalls calls = {.seed = 3};
    return module.forward(x, x, x, {.dropout = &calls}).output;
  });
}

TEST(MultiHeadGradients, OfTorchParametersAreThoseOfParameters) {
  random::Generator generator(7);
  BasicMultiHeadAttention<double> module({.embed_dim = 6, .num_heads = 2}, generator);
  const Variable<double> x = input({2, 4, 6}, 1);
  autograd::backward(
      autograd::sum_to(module.forward(x, x, x, MultiHeadForwardOptions{}).output, {}));
  const auto ours = module.parameters();
  const auto torch = module.torch_parameters();
  EXPECT_EQ(torch[0].name, "in_proj_weight");
  EXPECT_EQ(ours[2].name, "W_k.weight");
  expect_same_bits<double>(torch[0].variable.grad().slice(0, 6, 6), ours[2].variable.grad());
}

TEST(MultiHeadAttention, GivesTheSameBitsOnTheTape) {
  const Tensor<bool> keep(
      {3, 4}, {true, false, true, true, false, false, false, false, true, true, true, false});
  for (const AttentionCase& one : attention_cases()) {
    SCOPED_TRACE(one.name);
    random::Generator generator(7);
    MultiHeadAttentionOptions options = one.options;
    options.dropout = 0.3;
    const MultiHeadAttention module(options, generator);
    const std::vector<Tensor<float>> x = inputs_for<float>(module);
    for (const bool average : {false, true}) {
      DropoutCalls calls = {.seed = 5};
      DropoutCalls same_calls = calls;
      MultiHeadForwardOptions call = {
          .mask = Mask::keep(keep), .average_weights = average, .dropout = &calls};
      const AttentionOutput plain = module.forward(x[0], x[1], x[2], call);
      call.dropout = &same_calls;
      const auto recorded =
          module.forward(Variable<float>(x[0]), Variable<float>(x[1]), Variable<float>(x[2]), call);
      expect_same_bits<float>(plain.output, recorded.output.value());
      expect_same_bits<float>(plain.attention_weights, recorded.attention_weights);
    }
  }
}

TEST(MultiHeadAttention, SharesKeysAmongHeads) {
  random::Generator generator(7);
  BasicMultiHeadAttention<double> grouped({.embed_dim = 8, .num_heads = 4, .num_kv_heads = 2},
                                          generator);
  BasicMultiHeadAttention<double> whole({.embed_dim = 8, .num_heads = 4}, generator);
  const auto from = grouped.parameters();
  const auto to = whole.parameters();
  EXPECT_EQ(from[2].value.shape(), (Shape{4, 8}));
  for (std::size_t n = 0; n < from.size(); ++n) {
    const TensorView<double>& a = from[n].value;
    const TensorView<double>& b = to[n].value;
    for (std::int64_t row = 0; row < b.size(0); ++row) {
      // Head h of D = 2 rows takes those of head h / 2.
      const std::int64_t source = a.size(0) == b.size(0) ? row : row / 4 * 2 + row % 2;
      if (b.rank() == 1) {
        b(row) = a(source);
      }
      for (std::int64_t i = 0; b.rank() == 2 && i < b.size(1); ++i) {
        b(row, i) = a(source, i);
      }
    }
  }
  const Tensor<double> x = drawn<double>({2, 3, 8}, 4);
  const auto a = grouped.forward(x, x, x);
  const auto b = whole.forward(x, x, x);
  for (std::size_t n = 0; n < a.output.values().size(); ++n) {
    EXPECT_NEAR(a.output.values()[n], b.output.values()[n], 1e-14);
  }
}

TEST(MultiHeadAttention, SaysWhatIsWrongWithGroups) {
  EXPECT_THAT(
      message_of([] { MultiHeadAttention({.embed_dim = 8, .num_heads = 4, .num_kv_heads = 3}); }),
      HasSubstr("num_heads must be divisible by num_kv_heads; found embed_dim 8, num_heads "
                "4, num_kv_heads 3"));
  EXPECT_THAT(
      message_of([] {
        MultiHeadAttention({.embed_dim = 8, .num_heads = 4, .num_kv_heads = 2}).torch_parameters();
      }),
      HasSubstr("num_kv_heads must be num_heads where torch's names are wanted"));
  EXPECT_THAT(
      message_of([] { MultiHeadAttention({.embed_dim = 8, .num_heads = 4, .dropout = 1.5}); }),
      HasSubstr("dropout must lie in [0, 1]"));
}

TEST(FeedForwardGradients, OfEveryKind) {
  for (const FeedForwardKind kind : {FeedForwardKind::relu, FeedForwardKind::gelu,
                                     FeedForwardKind::gelu_tanh, FeedForwardKind::swiglu}) {
    random::Generator generator(7);
    BasicFeedForward<double> layer({.embed_dim = 5, .hidden_dim = 9, .kind = kind, .dropout = 0.2},
                                   generator);
    const Variable<double> x = input({2, 3, 5}, 1);
    expect_gradients(layer.parameters(), {x}, [&] {
      DropoutCalls calls = {.seed = 3};
      return layer.forward(x, &calls);
    });
  }
}

TEST(FeedForward, IsItsFormula) {
  random::Generator generator(7);
  BasicFeedForward<double> layer({.embed_dim = 2, .kind = FeedForwardKind::swiglu}, generator);
  const auto parameters = layer.parameters();
  std::vector<std::string> names;
  for (const auto& parameter : parameters) {
    names.push_back(parameter.name);
  }
  EXPECT_THAT(names, ElementsAre("W_1.weight", "W_1.bias", "W_3.weight", "W_3.bias", "W_2.weight",
                                 "W_2.bias"));
  EXPECT_EQ(parameters[0].value.shape(), (Shape{8, 2}));
  const Tensor<double> x({2}, {0.3, -0.6});
  const Variable<double> out = layer.forward(Variable<double>(x));
  for (std::int64_t e = 0; e < 2; ++e) {
    double expected = parameters[5].value(e);
    for (std::int64_t h = 0; h < 8; ++h) {
      const auto map = [&](std::size_t n) {
        return parameters[n].value(h, 0) * x(0) + parameters[n].value(h, 1) * x(1) +
               parameters[n + 1].value(h);
      };
      const double a = map(0);
      expected += parameters[4].value(e, h) * (a / (1 + std::exp(-a))) * map(2);
    }
    EXPECT_NEAR(out.value()(e), expected, 1e-14);
  }
}

TransformerBlockOptions block_options(NormKind norm, NormPlace place) {
  return {.attention = {.embed_dim = 6, .num_heads = 2, .dropout = 0.1},
          .feed_forward = {.hidden_dim = 7, .kind = FeedForwardKind::gelu},
          .norm = norm,
          .place = place,
          .dropout = 0.2};
}

TEST(TransformerBlockGradients, OfEveryKind) {
  for (const NormKind norm : {NormKind::layer_norm, NormKind::rms_norm}) {
    for (const NormPlace place : {NormPlace::pre, NormPlace::post}) {
      random::Generator generator(7);
      BasicTransformerBlock<double> block(block_options(norm, place), generator);
      const Variable<double> x = input({2, 4, 6}, 1);
      expect_gradients(block.parameters(), {x}, [&] {
        DropoutCalls calls = {.seed = 3};
        return block.forward(x, {.causal = true, .dropout = &calls}).output;
      });
    }
  }
}

TEST(TransformerBlock, PutsNormsWhereItSays) {
  for (const NormPlace place : {NormPlace::pre, NormPlace::post}) {
    random::Generator generator(7);
    const BasicTransformerBlock<double> block(block_options(NormKind::layer_norm, place),
                                              generator);
    random::Generator same(7);
    const BasicMultiHeadAttention<double> attention(block.options().attention, same);
    const BasicFeedForward<double> feed_forward(block.options().feed_forward, same);
    const BasicLayerNorm<double> norm(6);
    const Variable<double> x(drawn<double>({2, 4, 6}, 1));
    const MultiHeadForwardOptions call = {.need_weights = false};
    const auto attend = [&](const Variable<double>& y) {
      return attention.forward(y, y, y, call).output;
    };
    using autograd::add;
    Variable<double> expected;
    if (place == NormPlace::pre) {
      const auto h = add(x, attend(norm.forward(x)));
      expected = add(h, feed_forward.forward(norm.forward(h)));
    } else {
      const auto h = norm.forward(add(x, attend(x)));
      expected = norm.forward(add(h, feed_forward.forward(h)));
    }
    expect_same_bits<double>(block.forward(x, call).output.value(), expected.value());
  }
}

TEST(TransformerBlock, DropsOnlyWhileTraining) {
  random::Generator generator(7);
  const BasicTransformerBlock<double> block(block_options(NormKind::layer_norm, NormPlace::pre),
                                            generator);
  const Variable<double> x(drawn<double>({2, 4, 6}, 1));
  const auto forward = [&](DropoutCalls* calls) {
    return block.forward(x, {.dropout = calls}).output.value()(1, 2, 3);
  };
  DropoutCalls calls = {.seed = 9};
  const double evaluated = forward(nullptr);
  const double first = forward(&calls);
  EXPECT_EQ(calls.next, 3U);  // weights, and what both parts add
  const double second = forward(&calls);
  calls.next = 0;
  EXPECT_EQ(forward(&calls), first);
  EXPECT_NE(first, second);
  EXPECT_NE(first, evaluated);
}

TEST(Normalisation, BeginsAsTorchDoes) {
  LayerNorm layer(3);
  RMSNorm rms(3);
  const auto parameters = layer.parameters();
  EXPECT_EQ(parameters[0].name, "weight");
  EXPECT_EQ(parameters[0].value(2), 1);
  EXPECT_EQ(parameters[1].value(2), 0);
  EXPECT_EQ(rms.parameters().size(), 1U);
  EXPECT_EQ(LayerNorm(3, {.bias = false}).parameters().size(), 1U);
  EXPECT_THAT(message_of([] { LayerNorm(3, {.epsilon = -1}); }),
              HasSubstr("nn::LayerNorm: epsilon must not be negative"));
  EXPECT_THAT(message_of([] { RMSNorm(-3); }), HasSubstr("features must not be negative"));
}

TEST(Embedding, KeepsItsPaddingAtZero) {
  random::Generator generator(7);
  BasicEmbedding<double> layer(4, 3, generator, {.padding_index = 2});
  const Tensor<std::int32_t> tokens({2, 2}, {2, 1, 1, 3});
  const Variable<double> out = layer.forward(tokens.view());
  EXPECT_EQ(out.shape(), (Shape{2, 2, 3}));
  EXPECT_EQ(out.value()(0, 0, 1), 0);
  EXPECT_NE(out.value()(0, 1, 1), 0);
  autograd::backward(autograd::sum_to(out, {}));
  EXPECT_EQ(layer.parameters()[0].variable.grad()(2, 0), 0);
  EXPECT_EQ(layer.parameters()[0].variable.grad()(1, 0), 2);
  EXPECT_THAT(
      message_of([] { Embedding(4, 3, random::default_generator(), {.padding_index = 4}); }),
      HasSubstr("padding_index must lie in [0, tokens); found padding_index 4, tokens 4"));
}

TEST(Layers, AreCopiedDeeply) {
  random::Generator generator(7);
  BasicTransformerBlock<double> block(block_options(NormKind::rms_norm, NormPlace::pre), generator);
  BasicTransformerBlock<double> copy = block;
  const auto ours = block.parameters();
  const auto theirs = copy.parameters();
  ASSERT_EQ(ours.size(), theirs.size());
  for (std::size_t n = 0; n < ours.size(); ++n) {
    EXPECT_NE(ours[n].value.data(), theirs[n].value.data()) << ours[n].name;
    expect_same_bits<double>(ours[n].value, theirs[n].value);
  }
  const auto& constant = std::as_const(block).parameters();
  EXPECT_TRUE(constant[0].variable.is_null());
  EXPECT_EQ(constant[0].value.data(), ours[0].value.data());
}

}  // namespace
}  // namespace attention::nn
