#include <string>

#include <attention/core/error.hpp>
#include <attention/core/parallel.hpp>
#include <attention/nn/detail/multi_head_parts.hpp>

namespace attention::nn::detail {
namespace {

/// (B, H, L, S) -> (B, L, S).
template <class T>
Tensor<T> mean_over_heads(const Tensor<T>& weights, int threads) {
  const std::int64_t heads = weights.size(1);
  const std::int64_t L = weights.size(2);
  const std::int64_t S = weights.size(3);
  Tensor<T> mean({weights.size(0), L, S});
  parallel_for(weights.size(0) * L, threads, [&](std::int64_t row, int) {
    const std::int64_t b = row / L;
    const std::int64_t i = row % L;
    for (std::int64_t j = 0; j < S; ++j) {
      T sum = 0;
      for (std::int64_t h = 0; h < heads; ++h) {
        sum += weights(b, h, i, j);
      }
      mean(b, i, j) = sum / static_cast<T>(heads);
    }
  });
  return mean;
}

}  // namespace

bool check_inputs(const MultiHeadAttentionOptions& options, const MultiHeadShapes& shapes) {
  const Shape features = {options.embed_dim, options.kdim.value_or(options.embed_dim),
                          options.vdim.value_or(options.embed_dim)};
  const auto found = [&] {
    return "query " + to_string(shapes.query) + ", key " + to_string(shapes.key) + ", value " +
           to_string(shapes.value) + ", (E, kdim, vdim) = " + to_string(features);
  };
  const char* const rules[] = {options.batch_first ? "query must have the shape (B, L, E)"
                                                   : "query must have the shape (L, B, E)",
                               options.batch_first ? "key must have the shape (B, S, kdim)"
                                                   : "key must have the shape (S, B, kdim)",
                               options.batch_first ? "value must have the shape (B, S, vdim)"
                                                   : "value must have the shape (S, B, vdim)"};
  const bool batched = shapes.query.rank() != 2;
  const int rank = batched ? 3 : 2;
  const Shape* const all[] = {&shapes.query, &shapes.key, &shapes.value};
  for (int n = 0; n < 3; ++n) {
    const Shape& shape = *all[n];
    require(shape.rank() == rank && shape[rank - 1] == features[n], kMultiHead, rules[n], found);
  }
  const int batch = options.batch_first ? 0 : 1;
  require(!batched || (shapes.query[batch] == shapes.key[batch] &&
                       shapes.query[batch] == shapes.value[batch]),
          kMultiHead, "query, key and value must have one batch size B", found);
  const int length = batched ? 1 - batch : 0;
  require(shapes.key[length] == shapes.value[length], kMultiHead,
          "key and value must have one length S", found);
  return batched;
}

template <class T>
void finish_weights(const MultiHeadForwardOptions& options, bool batched, Tensor<T>& weights) {
  if (weights.is_null()) {
    return;
  }
  if (options.average_weights) {
    weights = mean_over_heads(weights, options.execution.threads);
  }
  if (!batched) {
    weights = without_batch(weights);
  }
}

template <class T>
Tensor<T> without_batch(const Tensor<T>& tensor) {
  return Tensor<T>::copy_of(tensor.view().select(0, 0));
}

template void finish_weights(const MultiHeadForwardOptions&, bool, Tensor<float>&);
template void finish_weights(const MultiHeadForwardOptions&, bool, Tensor<double>&);
template Tensor<float> without_batch(const Tensor<float>&);
template Tensor<double> without_batch(const Tensor<double>&);

}  // namespace attention::nn::detail
