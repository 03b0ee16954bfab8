#include <string>

#include <attention/autograd/functions.hpp>
#include <attention/core/error.hpp>
#include <attention/nn/transformer_block.hpp>

namespace attention::nn {
namespace {

using autograd::Variable;

TransformerBlockOptions checked(const TransformerBlockOptions& options) {
  require(options.dropout >= 0 && options.dropout <= 1, "nn::TransformerBlock",
          "dropout must lie in [0, 1]", [&] { return std::to_string(options.dropout); });
  TransformerBlockOptions result = options;
  result.feed_forward.embed_dim = options.attention.embed_dim;
  return result;
}

template <class List, class Norm>
void append_norm(List& list, const char* name, Norm& norm) {
  std::visit([&](auto& layer) { append(list, name, layer.parameters()); }, norm);
}

}  // namespace

template <class T>
typename BasicTransformerBlock<T>::Norm BasicTransformerBlock<T>::norm_of(
    const TransformerBlockOptions& options) {
  const std::int64_t E = options.attention.embed_dim;
  if (options.norm == NormKind::rms_norm) {
    return BasicRMSNorm<T>(E, options.normalisation);
  }
  return BasicLayerNorm<T>(E, options.normalisation);
}

template <class T>
BasicTransformerBlock<T>::BasicTransformerBlock(const TransformerBlockOptions& options,
                                                random::Generator& generator)
    : options_(checked(options)),
      attention_(options_.attention, generator),
      feed_forward_(options_.feed_forward, generator),
      norm_1_(norm_of(options_)),
      norm_2_(norm_of(options_)) {}

template <class T>
RecordedAttention<T> BasicTransformerBlock<T>::forward(
    const Variable<T>& x, const MultiHeadForwardOptions& options) const {
  const Execution& execution = options.execution;
  const auto normalised = [&](const Norm& norm, const Variable<T>& rows) {
    return std::visit([&](const auto& layer) { return layer.forward(rows, execution); }, norm);
  };
  const auto added = [&](const Variable<T>& rows, const Variable<T>& part) {
    return autograd::add(rows, dropout(part, options_.dropout, options.dropout, execution),
                         execution);
  };
  const bool pre = options_.place == NormPlace::pre;

  const Variable<T> attention_in = pre ? normalised(norm_1_, x) : x;
  RecordedAttention<T> result =
      attention_.forward(attention_in, attention_in, attention_in, options);
  Variable<T> h = added(x, result.output);
  if (!pre) {
    h = normalised(norm_1_, h);
  }
  const Variable<T> feed_in = pre ? normalised(norm_2_, h) : h;
  result.output = added(h, feed_forward_.forward(feed_in, options.dropout, execution));
  if (!pre) {
    result.output = normalised(norm_2_, result.output);
  }
  return result;
}

template <class T>
ParameterList<T> BasicTransformerBlock<T>::parameters() {
  ParameterList<T> list;
  append(list, "attention", attention_.parameters());
  append(list, "feed_forward", feed_forward_.parameters());
  append_norm(list, "norm_1", norm_1_);
  append_norm(list, "norm_2", norm_2_);
  return list;
}

template <class T>
ParameterList<const T> BasicTransformerBlock<T>::parameters() const {
  ParameterList<const T> list;
  append(list, "attention", attention_.parameters());
  append(list, "feed_forward", feed_forward_.parameters());
  append_norm(list, "norm_1", norm_1_);
  append_norm(list, "norm_2", norm_2_);
  return list;
}

template class BasicTransformerBlock<float>;
template class BasicTransformerBlock<double>;

}  // namespace attention::nn
