#pragma once

#include <cstdint>

#include <attention/autograd/variable.hpp>
#include <attention/core/execution.hpp>
#include <attention/core/export.hpp>
#include <attention/nn/learned.hpp>
#include <attention/nn/parameter.hpp>

namespace attention::nn {

struct NormalisationOptions {
  double epsilon = 1e-5;
  /// Whether LayerNorm has a bias. (RMSNorm has none.)
  bool bias = true;
};

/// Brings each row to mean 0 and variance 1, then scales and shifts each feature. As
/// torch.nn.LayerNorm over the last dimension: weight begins as 1, bias as 0. T is float or double.
///
/// Parameters: weight (E), bias (E).
///
/// Source: Ba, Kiros and Hinton 2016, "Layer normalization". See also: layer_norm.
template <class T>
class ATTENTION_API BasicLayerNorm {
 public:
  /// Throws Error when `features` is negative or epsilon is.
  explicit BasicLayerNorm(std::int64_t features, const NormalisationOptions& options = {});

  /// x (..., E) -> (..., E). Throws Error when the shape does not fit.
  autograd::Variable<T> forward(const autograd::Variable<T>& x,
                                const Execution& execution = {}) const;

  ParameterList<T> parameters();
  ParameterList<const T> parameters() const;

 private:
  double epsilon_;
  Learned<T> weight_;
  Learned<T> bias_;
};

/// Brings each row to a mean square of 1, then scales each feature. As torch.nn.RMSNorm with a
/// given epsilon: weight begins as 1. T is float or double.
///
/// Parameters: weight (E).
///
/// Source: Zhang and Sennrich 2019, "Root mean square layer normalization". See also: rms_norm.
template <class T>
class ATTENTION_API BasicRMSNorm {
 public:
  /// Throws Error when `features` is negative or epsilon is.
  explicit BasicRMSNorm(std::int64_t features, const NormalisationOptions& options = {});

  /// x (..., E) -> (..., E). Throws Error when the shape does not fit.
  autograd::Variable<T> forward(const autograd::Variable<T>& x,
                                const Execution& execution = {}) const;

  ParameterList<T> parameters();
  ParameterList<const T> parameters() const;

 private:
  double epsilon_;
  Learned<T> weight_;
};

using LayerNorm = BasicLayerNorm<float>;
using RMSNorm = BasicRMSNorm<float>;

}  // namespace attention::nn
