#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include <attention/core/error.hpp>
#include <attention/core/execution.hpp>
#include <attention/core/export.hpp>
#include <attention/core/tensor.hpp>

namespace attention {

/// How an embedding computes.
struct EmbeddingOptions {
  /// The row of the table that stands for padding: embedding reads it as any other, and
  /// embedding_backward gives it no gradient.
  std::optional<std::int64_t> padding_index = {};
  Execution execution = {};
};

/// Looks up rows of a table: out[..., e] = weight[indices[...], e].
///
/// Shapes: indices (...) of int32 or int64 and of rank 5 at most, weight (V, E) -> out (..., E).
/// Any strides. Empty dimensions are legal.
///
/// Cost: a pass over the indices that checks them, and the copies of rows. There is one path, the
/// reference.
///
/// Throws Error when the element type of indices is another one; when an index lies outside of [0,
/// V), naming the first one and its position; when the padding index does; when shapes do not fit;
/// when the path asked for does not exist.
///
/// See also: embedding_backward; reference::embedding.
ATTENTION_API Tensor<float> embedding(const AnyView& indices, TensorView<const float> weight,
                                      const EmbeddingOptions& options = {});
ATTENTION_API Tensor<double> embedding(const AnyView& indices, TensorView<const double> weight,
                                       const EmbeddingOptions& options = {});

/// The same, written into the caller's view: allocates nothing. Returns the path taken.
///
/// Throws Error as embedding does, and when out has another shape, overlaps itself or an input.
/// Nothing has been written then.
ATTENTION_API Path embedding_into(TensorView<float> out, const AnyView& indices,
                                  TensorView<const float> weight,
                                  const EmbeddingOptions& options = {});
ATTENTION_API Path embedding_into(TensorView<double> out, const AnyView& indices,
                                  TensorView<const double> weight,
                                  const EmbeddingOptions& options = {});

/// Computes the gradient of embedding's table: row v of d_weight is the sum of d_out[..., :] over
/// the positions whose index is v.
///
/// Shapes: d_out (..., E), indices (...) as in embedding, V the number of rows of the table ->
/// d_weight (V, E). Any strides. Rows that no index names, and that of the padding index, are 0;
/// what d_out holds at padding is not looked at.
///
/// Adds in double, in the order of the indices, and rounds once.
///
/// Cost: the positions are sorted by their index (by counting); then each row of d_out is read once
/// and each row of d_weight written once. There is one path, the reference.
///
/// Throws Error as embedding does, and when V is negative.
///
/// See also: reference::embedding_backward.
ATTENTION_API Tensor<float> embedding_backward(TensorView<const float> d_out,
                                               const AnyView& indices, std::int64_t V,
                                               const EmbeddingOptions& options = {});
ATTENTION_API Tensor<double> embedding_backward(TensorView<const double> d_out,
                                                const AnyView& indices, std::int64_t V,
                                                const EmbeddingOptions& options = {});

/// The same, written into the caller's view (V, E), with scratch from the caller: allocates
/// nothing. Returns the path taken.
///
/// `workspace` holds embedding_backward_workspace_size bytes, of any alignment.
///
/// Throws Error as embedding_backward does, and when d_weight has another shape, overlaps itself or
/// an input, or when the workspace is too small. Nothing has been written then.
ATTENTION_API Path embedding_backward_into(TensorView<float> d_weight,
                                           TensorView<const float> d_out, const AnyView& indices,
                                           const EmbeddingOptions& options,
                                           std::span<std::byte> workspace);
ATTENTION_API Path embedding_backward_into(TensorView<double> d_weight,
                                           TensorView<const double> d_out, const AnyView& indices,
                                           const EmbeddingOptions& options,
                                           std::span<std::byte> workspace);

/// The bytes of workspace that embedding_backward_into needs for so many indices and rows of the
/// table. Throws Error when one of them is negative.
ATTENTION_API std::size_t embedding_backward_workspace_size(std::int64_t index_count,
                                                            std::int64_t V);

}  // namespace attention
