#pragma once

#include <attention/core/tensor_view.hpp>
#include <attention/ops/sdpa.hpp>

/// Private to nn.
namespace attention::nn::detail {

/// Queries, keys and values as (B, H, ., .).
struct Heads {
  TensorView<const float> q;
  TensorView<const float> k;
  TensorView<const float> v;
};

/// sdpa_into with a workspace of its own.
void attend(const SdpaOutputs<float>& outputs, const Heads& heads, const SdpaOptions& options);

}  // namespace attention::nn::detail
