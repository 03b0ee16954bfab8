#pragma once

#include <cstdint>

#include <attention/autograd/variable.hpp>
#include <attention/core/execution.hpp>
#include <attention/core/export.hpp>
#include <attention/core/random.hpp>
#include <attention/core/tensor.hpp>
#include <attention/nn/learned.hpp>
#include <attention/nn/parameter.hpp>
#include <attention/ops/linear.hpp>

namespace attention::nn {

struct LinearOptions {
  bool bias = true;
};

/// An affine map of the last dimension: out = x weight^T + bias. As torch.nn.Linear; drawn by
/// torch_linear, so that the same seed gives the same bits. T is float or double.
///
/// Parameters: weight (out_features, in_features), bias (out_features).
///
/// See also: linear; torch_linear.
template <class T>
class ATTENTION_API BasicLinear {
 public:
  /// Throws Error when a number of features is negative.
  BasicLinear(std::int64_t in_features, std::int64_t out_features,
              random::Generator& generator = random::default_generator(),
              const LinearOptions& options = {});

  /// x (..., in_features) -> (..., out_features). Throws Error when the shape does not fit.
  Tensor<T> forward(TensorView<const T> x, const Execution& execution = {}) const;
  /// f(x weight^T + bias) on the tape, with an activation if one is named.
  autograd::Variable<T> forward(const autograd::Variable<T>& x,
                                const attention::LinearOptions& options = {}) const;

  std::int64_t in_features() const noexcept { return weight_.view().size(1); }
  std::int64_t out_features() const noexcept { return weight_.view().size(0); }

  ParameterList<T> parameters();
  ParameterList<const T> parameters() const;

 private:
  Learned<T> weight_;
  Learned<T> bias_;  // null without bias
};

using Linear = BasicLinear<float>;

}  // namespace attention::nn
