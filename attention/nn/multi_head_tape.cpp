#include <memory>
#include <utility>
#include <vector>

#include <attention/autograd/functions.hpp>
#include <attention/nn/detail/joined_mask.hpp>
#include <attention/nn/detail/multi_head_parts.hpp>
#include <attention/nn/multi_head_attention.hpp>

/// Multi-head attention on the tape. (A translation unit of its own: the same layer, of variables.)
namespace attention::nn {
namespace {

using autograd::Variable;

/// (B, S, Ekv) and, after each sequence, `bias` (Ekv) if there is one, and a row of zeros if asked
/// for.
template <class T>
Variable<T> with_appended(const Variable<T>& keys, const Variable<T>& bias, bool append_zero,
                          const Execution& execution) {
  const std::int64_t B = keys.size(0);
  const Variable<T> zero(Tensor<T>({B, 1, keys.size(2)}));
  std::vector<Variable<T>> parts = {keys};
  if (!bias.is_null()) {
    parts.push_back(autograd::add(zero, bias, execution));
  }
  if (append_zero) {
    parts.push_back(zero);
  }
  return parts.size() == 1 ? keys : autograd::concat<T>(parts, 1, execution);
}

}  // namespace

template <class T>
RecordedAttention<T> BasicMultiHeadAttention<T>::forward(
    const Variable<T>& query, const Variable<T>& key, const Variable<T>& value,
    const MultiHeadForwardOptions& options) const {
  const auto x = detail::checked_inputs(options_, query, key, value);
  const Execution& execution = options.execution;
  const auto mask = std::make_shared<const detail::JoinedMask>(
      detail::joined_mask(detail::kMultiHead,
                          {.mask = options.mask,
                           .key_padding_mask = options.key_padding_mask,
                           .causal = options.causal},
                          {.B = x.query.size(0),
                           .H = num_heads(),
                           .L = x.query.size(1),
                           .S = x.key.size(1),
                           .appended = detail::appended_keys(options_)},
                          execution.threads));
  const auto project = [&](int projection, const Variable<T>& rows) {
    return autograd::linear(rows, detail::in_weight_variable(storage_, options_, projection),
                            detail::in_bias_variable(storage_, options_, projection),
                            {.execution = execution});
  };
  const Variable<T> q = project(detail::kQuery, x.query);
  const Variable<T> k = with_appended(project(detail::kKey, x.key), storage_.bias_k.variable(),
                                      options_.add_zero_attn, execution);
  const Variable<T> v = with_appended(project(detail::kValue, x.value), storage_.bias_v.variable(),
                                      options_.add_zero_attn, execution);
  autograd::SdpaOutput<T> attended =
      autograd::sdpa(detail::split_heads(q, num_heads()), detail::split_heads(k, num_kv_heads()),
                     detail::split_heads(v, num_kv_heads()),
                     {.mask = mask->mask,
                      .causal = mask->causal,
                      .alignment = Alignment::top_left(),
                      .scale = options.scale,
                      .dropout = detail::dropout_of(options_, options),
                      .return_weights = options.need_weights,
                      .execution = execution},
                     autograd::SdpaExtras<T>{.keep = mask});
  const Variable<T> joined = attended.out.transpose(1, 2).merge(2);
  RecordedAttention<T> result = {
      .output = autograd::linear(joined, storage_.out_weight.variable(),
                                 storage_.out_bias.variable(), {.execution = execution}),
      .attention_weights = std::move(attended.weights)};
  detail::finish_weights(options, x.batched, result.attention_weights);
  if (!x.batched) {
    result.output = result.output.select(0, 0);
  } else if (!options_.batch_first) {
    result.output = result.output.transpose(0, 1);
  }
  return result;
}

template RecordedAttention<float> BasicMultiHeadAttention<float>::forward(
    const Variable<float>&, const Variable<float>&, const Variable<float>&,
    const MultiHeadForwardOptions&) const;
template RecordedAttention<double> BasicMultiHeadAttention<double>::forward(
    const Variable<double>&, const Variable<double>&, const Variable<double>&,
    const MultiHeadForwardOptions&) const;

}  // namespace attention::nn
