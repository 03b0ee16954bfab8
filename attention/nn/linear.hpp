#pragma once

#include <cstdint>

#include <attention/core/execution.hpp>
#include <attention/core/export.hpp>
#include <attention/core/random.hpp>
#include <attention/core/tensor.hpp>
#include <attention/nn/parameter.hpp>

namespace attention::nn {

struct LinearOptions {
  bool bias = true;
};

/// An affine map of the last dimension: out = x weight^T + bias. As torch.nn.Linear; drawn by
/// torch_linear, so that the same seed gives the same bits.
///
/// Parameters: weight (out_features, in_features), bias (out_features).
///
/// See also: linear; torch_linear.
class ATTENTION_API Linear {
 public:
  /// Throws Error when a number of features is negative.
  Linear(std::int64_t in_features, std::int64_t out_features,
         random::Generator& generator = random::default_generator(),
         const LinearOptions& options = {});

  /// x (..., in_features) -> (..., out_features). Throws Error when the shape does not fit.
  Tensor<float> forward(TensorView<const float> x, const Execution& execution = {}) const;

  std::int64_t in_features() const noexcept { return weight_.size(1); }
  std::int64_t out_features() const noexcept { return weight_.size(0); }

  Parameters parameters();
  ConstParameters parameters() const;

 private:
  Tensor<float> weight_;
  Tensor<float> bias_;  // null without bias
};

}  // namespace attention::nn
