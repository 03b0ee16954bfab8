#pragma once

#include <attention/core/tensor_view.hpp>

namespace attention {

/// The gradients of out[..., o] = sum_i x[..., i] weight[o, i] + bias[o] as every path receives
/// them: checked. Outputs that are null are not wanted.
template <class T>
struct LinearBackwardProblem {
  TensorView<const T> d_out;    // (..., O)
  TensorView<const T> x;        // (..., I)
  TensorView<const T> weight;   // (O, I)
  TensorView<T> d_x = {};       // (..., I)
  TensorView<T> d_weight = {};  // (O, I)
  TensorView<T> d_bias = {};    // (O)
  bool accumulate = false;      // onto what the outputs hold
};

}  // namespace attention
