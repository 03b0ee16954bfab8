#pragma once

#include <cstdint>
#include <optional>

#include <attention/core/execution.hpp>
#include <attention/core/export.hpp>
#include <attention/core/tensor.hpp>

namespace attention::nn {

/// What the attention modules return: the pair that the tutorials' modules return.
template <class T>
struct BasicAttentionOutput {
  Tensor<T> output;
  /// After the softmax. A row sums to 1, or to 0 if it sees no key.
  Tensor<T> attention_weights;
};
using AttentionOutput = BasicAttentionOutput<float>;

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

}  // namespace attention::nn
