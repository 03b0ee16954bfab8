#include <string>

#include <attention/core/error.hpp>
#include <attention/nn/initialisation.hpp>
#include <attention/nn/linear.hpp>
#include <attention/ops/linear.hpp>

namespace attention::nn {

Linear::Linear(std::int64_t in_features, std::int64_t out_features, random::Generator& generator,
               const LinearOptions& options) {
  require(in_features >= 0 && out_features >= 0, "nn::Linear",
          "in_features and out_features must not be negative",
          [&] { return std::to_string(in_features) + " and " + std::to_string(out_features); });
  weight_ = Tensor<float>({out_features, in_features});
  if (options.bias) {
    bias_ = Tensor<float>({out_features});
  }
  torch_linear(weight_, bias_, generator);
}

Tensor<float> Linear::forward(TensorView<const float> x, const Execution& execution) const {
  return linear(x, weight_, bias_.is_null() ? TensorView<const float>() : bias_,
                {.execution = execution});
}

Parameters Linear::parameters() {
  Parameters list = {{.name = "weight", .value = weight_}};
  if (!bias_.is_null()) {
    list.push_back({.name = "bias", .value = bias_});
  }
  return list;
}

ConstParameters Linear::parameters() const {
  ConstParameters list = {{.name = "weight", .value = weight_}};
  if (!bias_.is_null()) {
    list.push_back({.name = "bias", .value = bias_});
  }
  return list;
}

}  // namespace attention::nn
