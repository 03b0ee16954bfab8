#pragma once

#include <cstdint>
#include <optional>

#include <attention/autograd/variable.hpp>
#include <attention/core/execution.hpp>
#include <attention/core/export.hpp>
#include <attention/core/random.hpp>
#include <attention/nn/learned.hpp>
#include <attention/nn/parameter.hpp>

namespace attention::nn {

struct EmbeddingOptions {
  /// A token whose row begins as 0 and gets no gradient.
  std::optional<std::int64_t> padding_index = {};
};

/// A table with a row of E features for each of V tokens. As torch.nn.Embedding: drawn from N(0,
/// 1), in torch's order and within 4 ulp. T is float or double.
///
/// Parameters: weight (V, E).
///
/// See also: embedding.
template <class T>
class ATTENTION_API BasicEmbedding {
 public:
  /// Throws Error when a size is negative or padding_index is no token.
  BasicEmbedding(std::int64_t tokens, std::int64_t features,
                 random::Generator& generator = random::default_generator(),
                 const EmbeddingOptions& options = {});

  /// Tokens (...), int32 or int64, each in [0, V) -> (..., E). Throws
  /// Error for another type, and for a token outside, which it names.
  autograd::Variable<T> forward(const AnyView& tokens, const Execution& execution = {}) const;

  const autograd::Variable<T>& weight() const noexcept { return weight_.variable(); }
  ParameterList<T> parameters();
  ParameterList<const T> parameters() const;

 private:
  EmbeddingOptions options_;
  Learned<T> weight_;
};

using Embedding = BasicEmbedding<float>;

}  // namespace attention::nn
