#pragma once

#include <attention/ops/sdpa.hpp>

/// The way back through scaled dot-product attention.
///
/// Read on with reference/sdpa_backward.hpp, the definition, and kernels/isa/sdpa_backward.cpp, the
/// same passes made fast.
namespace attention {

/// What the forward pass leaves for the backward pass: never the weights.
template <class T>
struct SdpaSaved {
  /// (B, H, L, Dv) and (B, H, L), as sdpa returned them for the same inputs and options.
  TensorView<const T> out;
  TensorView<const Accumulator<T>> lse;
};

/// Gradients with respect to what gives them their names.
template <class T>
struct SdpaGradients {
  /// (B, H, L, D), (B, Hkv, S, D), (B, Hkv, S, Dv).
  Tensor<T> q;
  Tensor<T> k;
  Tensor<T> v;
  /// Of an additive mask, if asked for (SdpaOptions::return_mask_gradient), else null: of its shape
  /// before broadcasting, the dimensions that were broadcast summed; 0 where it is -inf.
  Tensor<Accumulator<T>> mask;
  /// (H) if there are sinks, else null.
  Tensor<Accumulator<T>> sinks;
  Taken taken = {};
};

/// Computes the gradients of sdpa: from d_out, the gradient of a number with respect to `out`, that
/// of the same number with respect to the inputs.
///
///   weights   = exp(scores - lse)
///   d_weights = d_out v^T,  mean = sum_j weights[j] d_weights[j]
///   d_scores  = weights (d_weights - mean)
///   d_v = weights^T d_out,  d_q = scale * d_scores k,  d_k = scale * d_scores^T q
///
/// Shapes: d_out (B, H, L, Dv), q (B, H, L, D), k (B, Hkv, S, D), v (B, Hkv, S, Dv); any strides.
/// Every option of sdpa counts as in the forward pass. Query heads that share keys are summed. With
/// the dropout of the forward pass, weights that were kept count 1 / (1 - probability) times in
/// d_weights and d_v, and those that were dropped do not count there.
///
/// No bit depends on a blocked cell, as in the forward pass; a row that sees no key gives no
/// gradient.
///
/// Cost: 2.5 times the operations of the forward pass, scratch that does not grow with L or S. The
/// fused path serves float; threads share the heads of keys, and one computes all of them if the
/// gradient of a mask is wanted. The reference path serves all types: in double, on one thread.
///
/// Throws Error when shapes do not fit or options contradict each other, naming the argument; when
/// the gradient of a mask is asked for and there is no additive mask; when the path asked for
/// cannot serve.
///
/// Source: Dao et al. 2022, "FlashAttention", appendix B.2.
ATTENTION_API SdpaGradients<float> sdpa_backward(
    TensorView<const float> d_out, TensorView<const float> q, TensorView<const float> k,
    TensorView<const float> v, const SdpaSaved<float>& saved, const SdpaOptions& options = {});
ATTENTION_API SdpaGradients<double> sdpa_backward(
    TensorView<const double> d_out, TensorView<const double> q, TensorView<const double> k,
    TensorView<const double> v, const SdpaSaved<double>& saved, const SdpaOptions& options = {});
ATTENTION_API SdpaGradients<float16> sdpa_backward(
    TensorView<const float16> d_out, TensorView<const float16> q, TensorView<const float16> k,
    TensorView<const float16> v, const SdpaSaved<float16>& saved, const SdpaOptions& options = {});
ATTENTION_API SdpaGradients<bfloat16> sdpa_backward(TensorView<const bfloat16> d_out,
                                                    TensorView<const bfloat16> q,
                                                    TensorView<const bfloat16> k,
                                                    TensorView<const bfloat16> v,
                                                    const SdpaSaved<bfloat16>& saved,
                                                    const SdpaOptions& options = {});

}  // namespace attention
