#include <attention/reference/embedding.hpp>

namespace attention::reference {

template <class T>
void embedding(TensorView<T> out, TensorView<const std::int64_t> indices,
               TensorView<const T> weight) {
  for (std::int64_t n = 0; n < indices.size(0); ++n) {
    for (std::int64_t e = 0; e < weight.size(1); ++e) {
      out(n, e) = weight(indices(n), e);
    }
  }
}

template <class T>
void embedding_backward(TensorView<T> d_weight, TensorView<const T> d_out,
                        TensorView<const std::int64_t> indices,
                        std::optional<std::int64_t> padding_index) {
  for (std::int64_t v = 0; v < d_weight.size(0); ++v) {
    for (std::int64_t e = 0; e < d_weight.size(1); ++e) {
      double sum = 0;
      for (std::int64_t n = 0; n < indices.size(0); ++n) {
        if (indices(n) == v && v != padding_index) {
          sum += static_cast<double>(d_out(n, e));
        }
      }
      d_weight(v, e) = static_cast<T>(sum);
    }
  }
}

template void embedding(TensorView<float>, TensorView<const std::int64_t>, TensorView<const float>);
template void embedding(TensorView<double>, TensorView<const std::int64_t>,
                        TensorView<const double>);
template void embedding_backward(TensorView<float>, TensorView<const float>,
                                 TensorView<const std::int64_t>, std::optional<std::int64_t>);
template void embedding_backward(TensorView<double>, TensorView<const double>,
                                 TensorView<const std::int64_t>, std::optional<std::int64_t>);

}  // namespace attention::reference
