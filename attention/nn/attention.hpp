#pragma once

#include <cstdint>
#include <optional>

#include <attention/core/execution.hpp>
#include <attention/core/export.hpp>
#include <attention/core/random.hpp>
#include <attention/core/tensor.hpp>
#include <attention/nn/linear.hpp>
#include <attention/nn/parameter.hpp>

namespace attention::nn {

/// What the attention modules return: the pair that the tutorials' modules return.
struct AttentionOutput {
  Tensor<float> output;
  /// After the softmax. A row sums to 1, or to 0 if it sees no key.
  Tensor<float> attention_weights;
};

struct ForwardOptions {
  /// Multiplies q k^T; 1 / sqrt(D) unless given.
  std::optional<double> scale = {};
  Execution execution = {};
};

/// Scaled dot-product attention as a module: softmax(q k^T / sqrt(D)) v, and the weights beside it.
///
/// See also: sdpa, which it calls; docs/semantics.md.
class ATTENTION_API ScaledDotProductAttention {
 public:
  /// Shapes: query (L, D), (B, L, D) or (B, H, L, D); key (..., S, D), value (..., S, Dv) of the
  /// same rank -> output
  /// (..., L, Dv), attention_weights (..., L, S).
  ///
  /// mask: of any element type, 0 blocks and 1 keeps. Of shape (L, S), (B, L, S) (one for all
  /// heads) or (B, H, L, S); extents of 1 repeat. Null: nothing is blocked.
  ///
  /// A fully masked row gives output 0 and weights 0.
  ///
  /// Throws Error when shapes do not fit, or when the mask holds a value other than 0 and 1 (the
  /// message names the first; an additive mask would mean the opposite).
  AttentionOutput forward(TensorView<const float> query, TensorView<const float> key,
                          TensorView<const float> value, const AnyView& mask = {},
                          const ForwardOptions& options = {}) const;
};

struct MultiHeadAttentionOptions {
  std::int64_t embed_dim = 0;
  std::int64_t num_heads = 1;
  /// The size of the keys' and values' features; embed_dim unless given.
  std::optional<std::int64_t> kdim = {};
  std::optional<std::int64_t> vdim = {};
  /// Whether the four projections have a bias.
  bool bias = true;
};

/// Multi-head attention, batch first: project, split into H heads of E / H, attend in each, join,
/// project.
///
///   head_h = sdpa(query W_q_h, key W_k_h, value W_v_h),  output = concat(head_0 ... head_{H-1})
///   W_o
///
/// Parameters, in draw order: W_q.weight (E, E), W_q.bias (E), W_k.weight (E, kdim), W_k.bias,
/// W_v.weight (E, vdim), W_v.bias, W_o.weight (E, E), W_o.bias. The same seed gives the bits of
/// four torch.nn.Linear made in this order.
///
/// Source: Vaswani et al. 2017, section 3.2.2. See also: ScaledDotProductAttention.
class ATTENTION_API MultiHeadAttention {
 public:
  /// Throws Error unless num_heads divides embed_dim, or when a size is not positive.
  MultiHeadAttention(std::int64_t embed_dim, std::int64_t num_heads,
                     random::Generator& generator = random::default_generator());
  explicit MultiHeadAttention(const MultiHeadAttentionOptions& options,
                              random::Generator& generator = random::default_generator());

  /// Shapes: query (B, L, E), key (B, S, kdim), value (B, S, vdim) -> output (B, L, E),
  /// attention_weights (B, H, L, S). Self-attention takes one tensor three times.
  ///
  /// mask: as in ScaledDotProductAttention::forward.
  ///
  /// Throws Error when shapes do not fit, or for a mask that holds a value other than 0 and 1.
  AttentionOutput forward(TensorView<const float> query, TensorView<const float> key,
                          TensorView<const float> value, const AnyView& mask = {},
                          const ForwardOptions& options = {}) const;

  std::int64_t embed_dim() const noexcept { return query_.out_features(); }
  std::int64_t num_heads() const noexcept { return num_heads_; }

  Parameters parameters();
  ConstParameters parameters() const;

 private:
  std::int64_t num_heads_;
  Linear query_;   // W_q
  Linear key_;     // W_k
  Linear value_;   // W_v
  Linear output_;  // W_o
};

}  // namespace attention::nn
