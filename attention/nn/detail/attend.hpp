#pragma once

#include <attention/core/tensor_view.hpp>
#include <attention/ops/sdpa.hpp>

/// Private to nn.
namespace attention::nn::detail {

/// Queries, keys and values as (B, H, ., .).
template <class T>
struct Heads {
  TensorView<const T> q;
  TensorView<const T> k;
  TensorView<const T> v;
};

/// sdpa_into with a workspace of its own.
template <class T>
void attend(const SdpaOutputs<T>& outputs, const Heads<T>& heads, const SdpaOptions& options);

}  // namespace attention::nn::detail
