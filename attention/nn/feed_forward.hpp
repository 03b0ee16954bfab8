#pragma once

#include <cstdint>
#include <optional>

#include <attention/autograd/variable.hpp>
#include <attention/core/execution.hpp>
#include <attention/core/export.hpp>
#include <attention/core/random.hpp>
#include <attention/nn/dropout.hpp>
#include <attention/nn/linear.hpp>
#include <attention/nn/parameter.hpp>

namespace attention::nn {

/// What lies between the two affine maps.
enum class FeedForwardKind : std::uint8_t {
  relu,       // W_2 relu(W_1 x)
  gelu,       // W_2 gelu(W_1 x), by erf
  gelu_tanh,  // the same by tanh
  swiglu,     // W_2 (silu(W_1 x) * W_3 x)
};

struct FeedForwardOptions {
  std::int64_t embed_dim = 0;
  /// The features between; 4 embed_dim unless given.
  std::optional<std::int64_t> hidden_dim = {};
  FeedForwardKind kind = FeedForwardKind::relu;
  bool bias = true;
  /// Of the features between, while training.
  double dropout = 0;
};

/// Two affine maps with a nonlinear function between them, for each position by itself. T is float
/// or double; drawn as torch.nn.Linear, in the order of the parameters.
///
/// Parameters: W_1.weight (hidden_dim, E), W_1.bias; for swiglu W_3.weight (hidden_dim, E),
/// W_3.bias; W_2.weight (E, hidden_dim), W_2.bias.
///
/// Source: Vaswani et al. 2017, section 3.3; Shazeer 2020, "GLU variants improve transformer".
template <class T>
class ATTENTION_API BasicFeedForward {
 public:
  /// Throws Error when a size is not positive or the dropout does not lie in [0, 1].
  explicit BasicFeedForward(const FeedForwardOptions& options,
                            random::Generator& generator = random::default_generator());

  /// x (..., E) -> (..., E). `calls`: see DropoutCalls. Throws Error when the shape does not fit.
  autograd::Variable<T> forward(const autograd::Variable<T>& x, DropoutCalls* calls = nullptr,
                                const Execution& execution = {}) const;

  const FeedForwardOptions& options() const noexcept { return options_; }
  ParameterList<T> parameters();
  ParameterList<const T> parameters() const;

 private:
  FeedForwardOptions options_;
  BasicLinear<T> first_;
  std::optional<BasicLinear<T>> gate_;
  BasicLinear<T> second_;
};

using FeedForward = BasicFeedForward<float>;

}  // namespace attention::nn
