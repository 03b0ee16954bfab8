#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include <attention/core/execution.hpp>
#include <attention/core/export.hpp>
#include <attention/core/random.hpp>
#include <attention/core/tensor.hpp>
#include <attention/nn/parameter.hpp>
#include <attention/nn/scaled_dot_product_attention.hpp>
#include <attention/ops/mask.hpp>

namespace attention::nn {

/// How MultiHeadAttention draws its parameters. The same seed gives torch's bits (bias_k and
/// bias_v, which are normal draws: within 4 ulp).
enum class Initialisation : std::uint8_t {
  /// As four torch.nn.Linear, made in the order W_q, W_k, W_v, W_o.
  torch_linear,
  /// As torch.nn.MultiheadAttention: W_o as torch.nn.Linear draws it, then the input projections by
  /// Xavier's uniform rule (over the packed (3E, E) matrix if kdim = vdim = E); biases are 0.
  torch_mha,
};

struct MultiHeadAttentionOptions {
  std::int64_t embed_dim = 0;
  std::int64_t num_heads = 1;
  /// The size of the keys' and values' features; embed_dim unless given.
  std::optional<std::int64_t> kdim = {};
  std::optional<std::int64_t> vdim = {};
  /// Whether the four projections have a bias.
  bool bias = true;
  /// Appends one learned key and value (bias_k, bias_v) to every sequence.
  bool add_bias_kv = false;
  /// Appends a key and a value of zeros to every sequence.
  bool add_zero_attn = false;
  /// (B, L, E) if true, (L, B, E) if false.
  bool batch_first = true;
  Initialisation initialisation = Initialisation::torch_linear;
};

/// The options of a forward in torch's terms. Masks are views: what they name must outlive the
/// call.
struct MultiHeadForwardOptions {
  /// Broadcast to (B, H, L, S).
  Mask mask = {};
  /// (B, S), or (S) for one sequence without a batch: of any kind. Mask::block has torch's meaning.
  Mask key_padding_mask = {};
  /// Query i sees keys 0 to i, and the appended ones.
  bool causal = false;
  bool need_weights = true;
  /// The mean of the weights over the heads in place of the weights of each head.
  bool average_weights = false;
  /// Multiplies q k^T; 1 / sqrt(E / H) unless given.
  std::optional<double> scale = {};
  Execution execution = {};
};

/// Multi-head attention: project, split into H heads of E / H, attend in each, join, project.
///
///   head_h = sdpa(query W_q_h, key W_k_h, value W_v_h),  output = concat(head_0 ... head_{H-1})
///   W_o
///
/// Parameters, in this order: W_q.weight (E, E), W_q.bias (E), W_k.weight (E, kdim), W_k.bias,
/// W_v.weight (E, vdim), W_v.bias, W_o.weight (E, E), W_o.bias, bias_k (E), bias_v (E). The three
/// input projections lie one after the other in memory (torch's in_proj_weight) if kdim = vdim = E.
///
/// Source: Vaswani et al. 2017, section 3.2.2; torch.nn.MultiheadAttention. See also:
/// ScaledDotProductAttention.
class ATTENTION_API MultiHeadAttention {
 public:
  /// Throws Error unless num_heads divides embed_dim, or when a size is not positive.
  MultiHeadAttention(std::int64_t embed_dim, std::int64_t num_heads,
                     random::Generator& generator = random::default_generator());
  explicit MultiHeadAttention(const MultiHeadAttentionOptions& options,
                              random::Generator& generator = random::default_generator());

  /// Shapes: query (B, L, E), key (B, S, kdim), value (B, S, vdim) -> output (B, L, E),
  /// attention_weights (B, H, L, S'), where S' counts the appended keys too. With batch_first off
  /// the first two dimensions of inputs and output change places. Without a batch, (L, E), all of
  /// them lose B. Self-attention takes one tensor three times.
  ///
  /// mask: of any element type, 0 blocks and 1 keeps; its shape as in
  /// ScaledDotProductAttention::forward. Appended keys are never blocked.
  ///
  /// Throws Error when shapes do not fit, or for a mask that holds a value other than 0 and 1.
  AttentionOutput forward(TensorView<const float> query, TensorView<const float> key,
                          TensorView<const float> value, const AnyView& mask = {},
                          const ForwardOptions& options = {}) const;

  /// The same with typed masks, a mask of padded keys, and a choice of weights: (B, H, L, S'),
  /// their mean over the heads (B, L, S'), or null.
  ///
  /// A query that sees no key gives weights 0 and W_o.bias as output (torch gives NaN).
  AttentionOutput forward(TensorView<const float> query, TensorView<const float> key,
                          TensorView<const float> value,
                          const MultiHeadForwardOptions& options) const;

  std::int64_t embed_dim() const noexcept { return options_.embed_dim; }
  std::int64_t num_heads() const noexcept { return options_.num_heads; }
  std::int64_t kdim() const noexcept { return options_.kdim.value_or(options_.embed_dim); }
  std::int64_t vdim() const noexcept { return options_.vdim.value_or(options_.embed_dim); }
  const MultiHeadAttentionOptions& options() const noexcept { return options_; }

  Parameters parameters();
  ConstParameters parameters() const;
  /// The same memory under the names and in the shapes of torch.nn.MultiheadAttention:
  /// in_proj_weight (3E, E), or q_proj_weight, k_proj_weight and v_proj_weight; in_proj_bias (3E);
  /// out_proj.weight, out_proj.bias; bias_k and bias_v (1, 1, E).
  Parameters torch_parameters();
  ConstParameters torch_parameters() const;

 private:
  struct Storage {
    Tensor<float> in_weight;                       // (3E, E), or null if kdim or vdim differ from E
    std::array<Tensor<float>, 3> split_in_weight;  // (E, E), (E, kdim), (E, vdim), or null
    Tensor<float> in_bias;                         // (3E), or null
    Tensor<float> out_weight;                      // (E, E)
    Tensor<float> out_bias;                        // (E), or null
    Tensor<float> bias_k;                          // (E), or null
    Tensor<float> bias_v;                          // (E), or null
  };

  MultiHeadAttentionOptions options_;
  Storage storage_;
};

}  // namespace attention::nn
