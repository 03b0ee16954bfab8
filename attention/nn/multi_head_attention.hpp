#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include <attention/autograd/variable.hpp>
#include <attention/core/execution.hpp>
#include <attention/core/export.hpp>
#include <attention/core/random.hpp>
#include <attention/core/tensor.hpp>
#include <attention/nn/dropout.hpp>
#include <attention/nn/learned.hpp>
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
  /// Heads of keys and values, each shared by num_heads / num_kv_heads heads of queries; num_heads
  /// unless given.
  std::optional<std::int64_t> num_kv_heads = {};
  /// Whether the four projections have a bias.
  bool bias = true;
  /// Appends one learned key and value (bias_k, bias_v) to every sequence.
  bool add_bias_kv = false;
  /// Appends a key and a value of zeros to every sequence.
  bool add_zero_attn = false;
  /// (B, L, E) if true, (L, B, E) if false.
  bool batch_first = true;
  /// Of the weights, while training.
  double dropout = 0;
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
  /// Given while training: where the dropout of the weights takes its randomness from.
  DropoutCalls* dropout = nullptr;
  Execution execution = {};
};

namespace detail {

/// The parameters of multi-head attention. Null: not there.
template <class T>
struct MultiHeadStorage {
  Learned<T> in_weight;  // (E + 2 Ekv, E), or null if kdim or vdim differ from E
  std::array<Learned<T>, 3> split_in_weight;  // (E, E), (Ekv, kdim), (Ekv, vdim), or null
  Learned<T> in_bias;                         // (E + 2 Ekv)
  Learned<T> out_weight;                      // (E, E)
  Learned<T> out_bias;                        // (E)
  Learned<T> bias_k;                          // (Ekv)
  Learned<T> bias_v;                          // (Ekv)
};

}  // namespace detail

/// What attention on the tape gives.
template <class T>
struct RecordedAttention {
  autograd::Variable<T> output;
  Tensor<T> attention_weights;
};

/// Multi-head attention: project, split into H heads of E / H, attend in each, join, project.
///
///   head_h = sdpa(query W_q_h, key W_k_h, value W_v_h),  output = concat(head_0 ... head_{H-1})
///   W_o
///
/// Parameters, in this order: W_q.weight (E, E), W_q.bias (E), W_k.weight (Ekv, kdim), W_k.bias,
/// W_v.weight (Ekv, vdim), W_v.bias, W_o.weight (E, E), W_o.bias, bias_k (Ekv), bias_v (Ekv), where
/// Ekv = E / H num_kv_heads. The three input projections lie one after the other in memory (torch's
/// in_proj_weight) if kdim = vdim = E. T is float or double.
///
/// Source: Vaswani et al. 2017, section 3.2.2; torch.nn.MultiheadAttention; Ainslie et al. 2023,
/// "GQA" (grouped heads). See also: ScaledDotProductAttention.
template <class T>
class ATTENTION_API BasicMultiHeadAttention {
 public:
  /// Throws Error unless num_heads divides embed_dim and num_kv_heads divides num_heads, when a
  /// size is not positive, or when dropout does not lie in [0, 1].
  BasicMultiHeadAttention(std::int64_t embed_dim, std::int64_t num_heads,
                          random::Generator& generator = random::default_generator());
  explicit BasicMultiHeadAttention(const MultiHeadAttentionOptions& options,
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
  BasicAttentionOutput<T> forward(TensorView<const T> query, TensorView<const T> key,
                                  TensorView<const T> value, const AnyView& mask = {},
                                  const ForwardOptions& options = {}) const;

  /// The same with typed masks, a mask of padded keys, and a choice of weights: (B, H, L, S'),
  /// their mean over the heads (B, L, S'), or null.
  ///
  /// A query that sees no key gives weights 0 and W_o.bias as output (torch gives NaN).
  BasicAttentionOutput<T> forward(TensorView<const T> query, TensorView<const T> key,
                                  TensorView<const T> value,
                                  const MultiHeadForwardOptions& options) const;

  /// The same on the tape, in the same bits. No gradient goes through the weights, nor to a mask.
  RecordedAttention<T> forward(const autograd::Variable<T>& query, const autograd::Variable<T>& key,
                               const autograd::Variable<T>& value,
                               const MultiHeadForwardOptions& options) const;

  std::int64_t embed_dim() const noexcept { return options_.embed_dim; }
  std::int64_t num_heads() const noexcept { return options_.num_heads; }
  std::int64_t num_kv_heads() const noexcept {
    return options_.num_kv_heads.value_or(options_.num_heads);
  }
  std::int64_t kdim() const noexcept { return options_.kdim.value_or(options_.embed_dim); }
  std::int64_t vdim() const noexcept { return options_.vdim.value_or(options_.embed_dim); }
  const MultiHeadAttentionOptions& options() const noexcept { return options_; }

  ParameterList<T> parameters();
  ParameterList<const T> parameters() const;
  /// The same memory under the names and in the shapes of torch.nn.MultiheadAttention:
  /// in_proj_weight (3E, E), or q_proj_weight, k_proj_weight and v_proj_weight; in_proj_bias (3E);
  /// out_proj.weight, out_proj.bias; bias_k and bias_v (1, 1, E).
  ///
  /// Throws Error for grouped heads, which torch's module does not have.
  ParameterList<T> torch_parameters();
  ParameterList<const T> torch_parameters() const;

 private:
  /// The projections' input features: E, kdim, vdim.
  Shape features() const { return {embed_dim(), kdim(), vdim()}; }

  MultiHeadAttentionOptions options_;
  detail::MultiHeadStorage<T> storage_;
};

using MultiHeadAttention = BasicMultiHeadAttention<float>;

}  // namespace attention::nn
