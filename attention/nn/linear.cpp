#include <string>

#include <attention/autograd/functions.hpp>
#include <attention/core/error.hpp>
#include <attention/nn/initialisation.hpp>
#include <attention/nn/linear.hpp>
#include <attention/ops/linear.hpp>

namespace attention::nn {

template <class T>
BasicLinear<T>::BasicLinear(std::int64_t in_features, std::int64_t out_features,
                            random::Generator& generator, const LinearOptions& options) {
  require(in_features >= 0 && out_features >= 0, "nn::Linear",
          "in_features and out_features must not be negative",
          [&] { return std::to_string(in_features) + " and " + std::to_string(out_features); });
  weight_ = Learned<T>({out_features, in_features});
  if (options.bias) {
    bias_ = Learned<T>({out_features});
  }
  torch_linear(weight_.view(), bias_.view(), generator);
}

template <class T>
Tensor<T> BasicLinear<T>::forward(TensorView<const T> x, const Execution& execution) const {
  return linear(x, weight_.view(), bias_.view(), {.execution = execution});
}

template <class T>
autograd::Variable<T> BasicLinear<T>::forward(const autograd::Variable<T>& x,
                                              const attention::LinearOptions& options) const {
  return autograd::linear(x, weight_.variable(), bias_.variable(), options);
}

template <class T>
ParameterList<T> BasicLinear<T>::parameters() {
  ListBuilder<T> list;
  list.add("weight", weight_);
  list.add("bias", bias_);
  return list.take();
}

template <class T>
ParameterList<const T> BasicLinear<T>::parameters() const {
  ListBuilder<const T> list;
  list.add("weight", weight_);
  list.add("bias", bias_);
  return list.take();
}

template class BasicLinear<float>;
template class BasicLinear<double>;

}  // namespace attention::nn
