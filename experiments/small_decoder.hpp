#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <attention/autograd/functions.hpp>
#include <attention/nn/embedding.hpp>
#include <attention/nn/linear.hpp>
#include <attention/nn/normalisation.hpp>
#include <attention/nn/transformer_block.hpp>

namespace attention::experiments {

struct SmallDecoderOptions {
  std::int64_t tokens = 7;
  std::int64_t positions = 8;
  std::int64_t blocks = 2;
  nn::TransformerBlockOptions block = {
      .attention = {.embed_dim = 8, .num_heads = 2},
      .feed_forward = {.hidden_dim = 16, .kind = nn::FeedForwardKind::gelu}};
};

/// Tokens and learned positions, blocks that look back, a norm and a linear map to the tokens. T is
/// float or double.
template <class T>
class SmallDecoder {
 public:
  SmallDecoder(const SmallDecoderOptions& options, random::Generator& generator)
      : tokens_(options.tokens, options.block.attention.embed_dim, generator),
        positions_(options.positions, options.block.attention.embed_dim, generator),
        norm_(options.block.attention.embed_dim),
        head_(options.block.attention.embed_dim, options.tokens, generator) {
    for (std::int64_t n = 0; n < options.blocks; ++n) {
      blocks_.emplace_back(options.block, generator);
    }
  }

  /// Tokens (B, L) -> logits (B, L, tokens) of the token after each. `dropout`: while training.
  autograd::Variable<T> logits(TensorView<const std::int64_t> tokens,
                               nn::DropoutCalls* dropout = nullptr,
                               const Execution& execution = {}) const {
    autograd::Variable<T> x =
        autograd::add(tokens_.forward(tokens, execution),
                      positions_.weight().slice(0, 0, tokens.size(1)), execution);
    for (const auto& block : blocks_) {
      x = block
              .forward(x, {.causal = true,
                           .need_weights = false,
                           .dropout = dropout,
                           .execution = execution})
              .output;
    }
    return head_.forward(norm_.forward(x, execution), {.execution = execution});
  }

  /// The mean cross entropy of targets (B, L); -100 does not count.
  autograd::Variable<T> loss(TensorView<const std::int64_t> tokens,
                             TensorView<const std::int64_t> targets,
                             nn::DropoutCalls* dropout = nullptr,
                             const Execution& execution = {}) const {
    return autograd::cross_entropy(logits(tokens, dropout, execution), targets,
                                   {.execution = execution});
  }

  nn::ParameterList<T> parameters() {
    nn::ParameterList<T> list;
    nn::append(list, "tokens", tokens_.parameters());
    nn::append(list, "positions", positions_.parameters());
    for (std::size_t n = 0; n < blocks_.size(); ++n) {
      nn::append(list, "blocks." + std::to_string(n), blocks_[n].parameters());
    }
    nn::append(list, "norm", norm_.parameters());
    nn::append(list, "head", head_.parameters());
    return list;
  }

 private:
  nn::BasicEmbedding<T> tokens_;
  nn::BasicEmbedding<T> positions_;
  std::vector<nn::BasicTransformerBlock<T>> blocks_;
  nn::BasicLayerNorm<T> norm_;
  nn::BasicLinear<T> head_;
};

}  // namespace attention::experiments
