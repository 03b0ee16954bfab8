#include <string>

#include <attention/autograd/functions.hpp>
#include <attention/core/error.hpp>
#include <attention/nn/feed_forward.hpp>

namespace attention::nn {
namespace {

std::int64_t hidden_of(const FeedForwardOptions& options) {
  return options.hidden_dim.value_or(4 * options.embed_dim);
}

FeedForwardOptions checked(const FeedForwardOptions& options) {
  const char* const function = "nn::FeedForward";
  const std::int64_t hidden = hidden_of(options);
  require(options.embed_dim > 0 && hidden > 0, function,
          "embed_dim and hidden_dim must be positive", [&] {
            return "embed_dim " + std::to_string(options.embed_dim) + ", hidden_dim " +
                   std::to_string(hidden);
          });
  require(options.dropout >= 0 && options.dropout <= 1, function, "dropout must lie in [0, 1]",
          [&] { return std::to_string(options.dropout); });
  return options;
}

template <class T>
std::optional<BasicLinear<T>> gate_of(const FeedForwardOptions& options,
                                      random::Generator& generator) {
  if (options.kind != FeedForwardKind::swiglu) {
    return std::nullopt;
  }
  return BasicLinear<T>(options.embed_dim, hidden_of(options), generator, {.bias = options.bias});
}

Activation activation_of(FeedForwardKind kind) {
  switch (kind) {
    case FeedForwardKind::relu:
      return Activation::relu;
    case FeedForwardKind::gelu:
      return Activation::gelu;
    case FeedForwardKind::gelu_tanh:
      return Activation::gelu_tanh;
    case FeedForwardKind::swiglu:
      break;
  }
  return Activation::silu;
}

}  // namespace

template <class T>
BasicFeedForward<T>::BasicFeedForward(const FeedForwardOptions& options,
                                      random::Generator& generator)
    : options_(checked(options)),
      first_(options_.embed_dim, hidden_of(options_), generator, {.bias = options.bias}),
      gate_(gate_of<T>(options_, generator)),
      second_(hidden_of(options_), options_.embed_dim, generator, {.bias = options.bias}) {}

template <class T>
autograd::Variable<T> BasicFeedForward<T>::forward(const autograd::Variable<T>& x,
                                                   DropoutCalls* calls,
                                                   const Execution& execution) const {
  autograd::Variable<T> hidden =
      first_.forward(x, {.activation = activation_of(options_.kind), .execution = execution});
  if (gate_) {
    hidden = autograd::multiply(hidden, gate_->forward(x, {.execution = execution}), execution);
  }
  return second_.forward(dropout(hidden, options_.dropout, calls, execution),
                         {.execution = execution});
}

template <class T>
ParameterList<T> BasicFeedForward<T>::parameters() {
  ParameterList<T> list;
  append(list, "W_1", first_.parameters());
  if (gate_) {
    append(list, "W_3", gate_->parameters());
  }
  append(list, "W_2", second_.parameters());
  return list;
}

template <class T>
ParameterList<const T> BasicFeedForward<T>::parameters() const {
  ParameterList<const T> list;
  append(list, "W_1", first_.parameters());
  if (gate_) {
    append(list, "W_3", gate_->parameters());
  }
  append(list, "W_2", second_.parameters());
  return list;
}

template class BasicFeedForward<float>;
template class BasicFeedForward<double>;

}  // namespace attention::nn
