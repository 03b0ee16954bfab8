#pragma once

#include <cstddef>
#include <cstdint>

#include <attention/autograd/variable.hpp>
#include <attention/nn/multi_head_attention.hpp>
#include <attention/ops/sdpa.hpp>

/// Private to nn: what both forms of multi-head attention, on tensors and on the tape, are made of.
namespace attention::nn::detail {

inline constexpr const char* kMultiHead = "nn::MultiHeadAttention";

/// The input projections, in the order in which they lie in memory.
inline constexpr int kQuery = 0;
inline constexpr int kKey = 1;
inline constexpr int kValue = 2;

/// The rows of one input projection among those of the packed weight and bias.
struct ProjectionRows {
  std::int64_t begin;
  std::int64_t count;
};

inline ProjectionRows rows_of(const MultiHeadAttentionOptions& options, int projection) {
  const std::int64_t E = options.embed_dim;
  const std::int64_t groups = options.num_kv_heads.value_or(options.num_heads);
  const std::int64_t Ekv = E / options.num_heads * groups;
  return projection == kQuery ? ProjectionRows{.begin = 0, .count = E}
                              : ProjectionRows{.begin = E + (projection - 1) * Ekv, .count = Ekv};
}

/// The inputs as (B, L, E), (B, S, kdim) and (B, S, vdim), whichever way they came: tensors or
/// variables.
template <class View>
struct MultiHeadInputs {
  View query;
  View key;
  View value;
  bool batched = true;
};

struct MultiHeadShapes {
  Shape query;
  Shape key;
  Shape value;
};

/// Throws Error unless the shapes fit; returns whether there is a batch.
bool check_inputs(const MultiHeadAttentionOptions& options, const MultiHeadShapes& shapes);

template <class View>
MultiHeadInputs<View> checked_inputs(const MultiHeadAttentionOptions& options, const View& query,
                                     const View& key, const View& value) {
  MultiHeadInputs<View> inputs = {.query = query, .key = key, .value = value};
  inputs.batched =
      check_inputs(options, {.query = query.shape(), .key = key.shape(), .value = value.shape()});
  for (View* const view : {&inputs.query, &inputs.key, &inputs.value}) {
    if (!inputs.batched) {
      *view = view->unsqueeze(0);
    } else if (!options.batch_first) {
      *view = view->transpose(0, 1);
    }
  }
  return inputs;
}

/// (B, L, E) as (B, H, L, E / H), of tensors and of variables.
template <class View>
View split_heads(const View& view, std::int64_t heads) {
  return view.split(2, heads).transpose(1, 2);
}

/// One input projection's rows on the tape, or null. (Views of the packed parameters.)
template <class T>
autograd::Variable<T> in_weight_variable(const MultiHeadStorage<T>& storage,
                                         const MultiHeadAttentionOptions& options, int projection) {
  const auto [begin, count] = rows_of(options, projection);
  return storage.in_weight.is_null()
             ? storage.split_in_weight[static_cast<std::size_t>(projection)].variable()
             : storage.in_weight.variable().slice(0, begin, count);
}
template <class T>
autograd::Variable<T> in_bias_variable(const MultiHeadStorage<T>& storage,
                                       const MultiHeadAttentionOptions& options, int projection) {
  const auto [begin, count] = rows_of(options, projection);
  return storage.in_bias.is_null() ? autograd::Variable<T>()
                                   : storage.in_bias.variable().slice(0, begin, count);
}

/// How many keys are appended to each sequence.
inline std::int64_t appended_keys(const MultiHeadAttentionOptions& options) {
  return (options.add_bias_kv ? 1 : 0) + (options.add_zero_attn ? 1 : 0);
}

/// The dropout of the weights in this call.
inline SdpaDropout dropout_of(const MultiHeadAttentionOptions& options,
                              const MultiHeadForwardOptions& call) {
  if (call.dropout == nullptr || options.dropout == 0) {
    return {};
  }
  const DropoutOptions taken = call.dropout->take(options.dropout);
  return {.probability = taken.probability, .seed = taken.seed, .call = taken.call};
}

/// Brings weights (B, H, L, S), or null, into the form that was asked for: their mean over the
/// heads, without the batch.
template <class T>
void finish_weights(const MultiHeadForwardOptions& options, bool batched, Tensor<T>& weights);

/// The tensor without its first dimension, which is 1.
template <class T>
Tensor<T> without_batch(const Tensor<T>& tensor);

}  // namespace attention::nn::detail
