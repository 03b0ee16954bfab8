#include <string>

#include <attention/autograd/functions.hpp>
#include <attention/core/error.hpp>
#include <attention/nn/normalisation.hpp>

namespace attention::nn {
namespace {

template <class T>
Learned<T> filled(const char* function, std::int64_t features, double epsilon, T value) {
  require(features >= 0, function, "features must not be negative",
          [&] { return std::to_string(features); });
  require(epsilon >= 0, function, "epsilon must not be negative",
          [&] { return std::to_string(epsilon); });
  return Learned<T>(Tensor<T>::filled({features}, value));
}

}  // namespace

template <class T>
BasicLayerNorm<T>::BasicLayerNorm(std::int64_t features, const NormalisationOptions& options)
    : epsilon_(options.epsilon), weight_(filled("nn::LayerNorm", features, options.epsilon, T{1})) {
  if (options.bias) {
    bias_ = Learned<T>(Tensor<T>({features}));
  }
}

template <class T>
autograd::Variable<T> BasicLayerNorm<T>::forward(const autograd::Variable<T>& x,
                                                 const Execution& execution) const {
  return autograd::layer_norm(x, weight_.variable(), bias_.variable(),
                              {.epsilon = epsilon_, .execution = execution});
}

template <class T>
ParameterList<T> BasicLayerNorm<T>::parameters() {
  ListBuilder<T> list;
  list.add("weight", weight_);
  list.add("bias", bias_);
  return list.take();
}

template <class T>
ParameterList<const T> BasicLayerNorm<T>::parameters() const {
  ListBuilder<const T> list;
  list.add("weight", weight_);
  list.add("bias", bias_);
  return list.take();
}

template <class T>
BasicRMSNorm<T>::BasicRMSNorm(std::int64_t features, const NormalisationOptions& options)
    : epsilon_(options.epsilon), weight_(filled("nn::RMSNorm", features, options.epsilon, T{1})) {}

template <class T>
autograd::Variable<T> BasicRMSNorm<T>::forward(const autograd::Variable<T>& x,
                                               const Execution& execution) const {
  return autograd::rms_norm(x, weight_.variable(), {.epsilon = epsilon_, .execution = execution});
}

template <class T>
ParameterList<T> BasicRMSNorm<T>::parameters() {
  ListBuilder<T> list;
  list.add("weight", weight_);
  return list.take();
}

template <class T>
ParameterList<const T> BasicRMSNorm<T>::parameters() const {
  ListBuilder<const T> list;
  list.add("weight", weight_);
  return list.take();
}

template class BasicLayerNorm<float>;
template class BasicLayerNorm<double>;
template class BasicRMSNorm<float>;
template class BasicRMSNorm<double>;

}  // namespace attention::nn
