#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include <attention/autograd/variable.hpp>
#include <attention/core/export.hpp>
#include <attention/core/random.hpp>
#include <attention/nn/dropout.hpp>
#include <attention/nn/feed_forward.hpp>
#include <attention/nn/multi_head_attention.hpp>
#include <attention/nn/normalisation.hpp>
#include <attention/nn/parameter.hpp>

namespace attention::nn {

enum class NormKind : std::uint8_t { layer_norm, rms_norm };

/// Where a residual connection normalises.
enum class NormPlace : std::uint8_t {
  pre,   // x + part(norm(x))
  post,  // norm(x + part(x)), as in the paper of 2017
};

struct TransformerBlockOptions {
  MultiHeadAttentionOptions attention = {};
  /// embed_dim is that of attention.
  FeedForwardOptions feed_forward = {};
  NormKind norm = NormKind::layer_norm;
  NormPlace place = NormPlace::pre;
  NormalisationOptions normalisation = {};
  /// Of what each part adds, while training. (Of the weights: attention.dropout.)
  double dropout = 0;
};

/// Self-attention and a feed-forward network, each in a residual connection: with
/// MultiHeadForwardOptions::causal a block of a decoder, without one of an encoder.
///
///   pre:   h = x + attention(norm_1(x)),   out = h + feed_forward(norm_2(h))
///   post:  h = norm_1(x + attention(x)),   out = norm_2(h + feed_forward(h))
///
/// T is float or double. Parameters, drawn in this order: attention., feed_forward., norm_1.,
/// norm_2.
///
/// Source: Vaswani et al. 2017, section 3.1; Xiong et al. 2020, "On layer normalization in the
/// transformer architecture".
template <class T>
class ATTENTION_API BasicTransformerBlock {
 public:
  /// Throws Error as its parts do, and when dropout does not lie in [0, 1].
  explicit BasicTransformerBlock(const TransformerBlockOptions& options,
                                 random::Generator& generator = random::default_generator());

  /// x as BasicMultiHeadAttention::forward takes it, (B, L, E) -> output of the same shape, and the
  /// weights if options.need_weights.
  RecordedAttention<T> forward(const autograd::Variable<T>& x,
                               const MultiHeadForwardOptions& options) const;

  const TransformerBlockOptions& options() const noexcept { return options_; }
  ParameterList<T> parameters();
  ParameterList<const T> parameters() const;

 private:
  using Norm = std::variant<BasicLayerNorm<T>, BasicRMSNorm<T>>;
  static Norm norm_of(const TransformerBlockOptions& options);

  TransformerBlockOptions options_;
  BasicMultiHeadAttention<T> attention_;
  BasicFeedForward<T> feed_forward_;
  Norm norm_1_;
  Norm norm_2_;
};

using TransformerBlock = BasicTransformerBlock<float>;

}  // namespace attention::nn
