#pragma once

#include <cstdint>
#include <optional>

#include <attention/core/export.hpp>
#include <attention/core/tensor_view.hpp>

namespace attention::reference {

/// Looks up rows of a table: out[n][e] = weight[indices[n]][e].
///
/// Shapes: indices (N), each of [0, V), weight (V, E), out (N, E). Instantiated for float and
/// double.
template <class T>
ATTENTION_API void embedding(TensorView<T> out, TensorView<const std::int64_t> indices,
                             TensorView<const T> weight);

/// Its gradient: d_weight[v][e] = sum of d_out[n][e] over the n with indices[n] = v, in their
/// order; 0 for the padding index. Computes in double and rounds once.
template <class T>
ATTENTION_API void embedding_backward(TensorView<T> d_weight, TensorView<const T> d_out,
                                      TensorView<const std::int64_t> indices,
                                      std::optional<std::int64_t> padding_index = {});

}  // namespace attention::reference
