#include <string>

#include <attention/autograd/functions.hpp>
#include <attention/core/error.hpp>
#include <attention/nn/embedding.hpp>

namespace attention::nn {

template <class T>
BasicEmbedding<T>::BasicEmbedding(std::int64_t tokens, std::int64_t features,
                                  random::Generator& generator, const EmbeddingOptions& options)
    : options_(options) {
  const char* const function = "nn::Embedding";
  require(tokens >= 0 && features >= 0, function, "tokens and features must not be negative",
          [&] { return std::to_string(tokens) + " and " + std::to_string(features); });
  const std::int64_t padding = options.padding_index.value_or(-1);
  require(!options.padding_index || (padding >= 0 && padding < tokens), function,
          "padding_index must lie in [0, tokens)", [&] {
            return "padding_index " + std::to_string(padding) + ", tokens " +
                   std::to_string(tokens);
          });
  weight_ = Learned<T>({tokens, features});
  random::normal(weight_.view(), 0, 1, generator);
  for (std::int64_t e = 0; e < features && options.padding_index; ++e) {
    weight_.view()(padding, e) = 0;
  }
}

template <class T>
autograd::Variable<T> BasicEmbedding<T>::forward(const AnyView& tokens,
                                                 const Execution& execution) const {
  return autograd::embedding(tokens, weight_.variable(),
                             {.padding_index = options_.padding_index, .execution = execution});
}

template <class T>
ParameterList<T> BasicEmbedding<T>::parameters() {
  ListBuilder<T> list;
  list.add("weight", weight_);
  return list.take();
}

template <class T>
ParameterList<const T> BasicEmbedding<T>::parameters() const {
  ListBuilder<const T> list;
  list.add("weight", weight_);
  return list.take();
}

template class BasicEmbedding<float>;
template class BasicEmbedding<double>;

}  // namespace attention::nn
