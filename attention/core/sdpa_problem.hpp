#pragma once

#include <cstdint>

#include <attention/core/counter_random.hpp>
#include <attention/core/tensor_view.hpp>

namespace attention {

enum class MaskKind : std::uint8_t { none, keep, block, add };

/// How scores become weights, beyond the scale: what is visible to whom, and what is added.
struct ScoreRules {
  /// scores = scale * q k^T.
  double scale = 1.0;
  /// scores = softcap * tanh(scores / softcap); 0 leaves them as they are.
  double softcap = 0.0;
  MaskKind mask_kind = MaskKind::none;
  /// (B, H, L, S) after broadcasting (strides of 0): bool for keep and block, a floating type for
  /// add.
  AnyView mask;
  bool causal = false;
  /// How far to the left and to the right of its own position a query sees; -1: without bound.
  std::int64_t window_left = -1;
  std::int64_t window_right = -1;
  /// Query i stands at key position i + offset, where offset is `query_offset`, or, if
  /// `offset_from_key_end`, key_length[b] - L.
  bool offset_from_key_end = false;
  std::int64_t query_offset = 0;
  /// (B), int32 or int64, each in [0, S]; null: S.
  AnyView key_lengths;
  /// (H), float or double; null: no bias. ALiBi adds -slope[h] * |i + offset - j|.
  AnyView alibi_slopes;
  /// (H), float or double; null: none. A logit in the denominator of each row's softmax.
  AnyView sinks;
};

/// Scaled dot-product attention as every path receives it: checked, rank 4 everywhere, broadcast by
/// strides of 0.
///
/// out = dropout(weights) v, weights = softmax(scores), scores = rules(scale * q k^T). Query head h
/// uses key head h / (H / Hkv).
template <class T>
struct SdpaProblem {
  std::int64_t B = 0;
  std::int64_t H = 0;
  std::int64_t Hkv = 0;
  std::int64_t L = 0;
  std::int64_t S = 0;
  std::int64_t D = 0;
  std::int64_t Dv = 0;
  TensorView<const T> q;               // (B, H, L, D)
  TensorView<const T> k;               // (B, Hkv, S, D)
  TensorView<const T> v;               // (B, Hkv, S, Dv)
  TensorView<T> out;                   // (B, H, L, Dv)
  TensorView<Accumulator<T>> lse;      // (B, H, L), or null
  TensorView<Accumulator<T>> maximum;  // (B, H, L), or null
  TensorView<Accumulator<T>> weights;  // (B, H, L, S), or null
  ScoreRules rules;
  /// Which weights count for `out`; the others are 0 there, and nowhere else.
  random::DropoutMask dropout = {};

  std::int64_t key_length(std::int64_t b) const noexcept {
    return rules.key_lengths.is_null()
               ? S
               : rules.key_lengths.load<std::int64_t>(b * rules.key_lengths.strides()[0]);
  }
  /// The key position at which query 0 of batch entry b stands.
  std::int64_t offset(std::int64_t b) const noexcept {
    return rules.offset_from_key_end ? key_length(b) - L : rules.query_offset;
  }
};

/// The gradients of scaled dot-product attention as every path receives it: checked, rank 4
/// everywhere.
template <class T>
struct SdpaBackwardProblem {
  SdpaProblem<T> forward;                // its outputs are null
  TensorView<const T> out;               // (B, H, L, Dv), of the forward pass
  TensorView<const Accumulator<T>> lse;  // (B, H, L), of the forward pass
  TensorView<const T> d_out;             // (B, H, L, Dv)
  TensorView<T> d_q;                     // (B, H, L, D)
  TensorView<T> d_k;                     // (B, Hkv, S, D)
  TensorView<T> d_v;                     // (B, Hkv, S, Dv)
  TensorView<Accumulator<T>> d_mask;     // dense, of the shape of an additive mask; or null
  Strides d_mask_strides;                // of d_mask broadcast to (B, H, L, S)
  TensorView<Accumulator<T>> d_sinks;    // (H), dense; or null
};

}  // namespace attention
