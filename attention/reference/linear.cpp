#include <cstdint>

#include <attention/reference/activation.hpp>
#include <attention/reference/linear.hpp>

namespace attention::reference {

template <class T>
void linear(TensorView<T> out, TensorView<const T> x, TensorView<const T> weight,
            TensorView<const T> bias, Activation activation) {
  for (std::int64_t n = 0; n < x.size(0); ++n) {
    for (std::int64_t o = 0; o < weight.size(0); ++o) {
      double sum = 0;
      for (std::int64_t i = 0; i < x.size(1); ++i) {
        sum += element_cast<double>(x(n, i)) * element_cast<double>(weight(o, i));
      }
      if (!bias.is_null()) {
        sum += element_cast<double>(bias(o));
      }
      out(n, o) = element_cast<T>(activated(activation, sum));
    }
  }
}

template void linear(TensorView<float>, TensorView<const float>, TensorView<const float>,
                     TensorView<const float>, Activation);
template void linear(TensorView<double>, TensorView<const double>, TensorView<const double>,
                     TensorView<const double>, Activation);
template void linear(TensorView<float16>, TensorView<const float16>, TensorView<const float16>,
                     TensorView<const float16>, Activation);
template void linear(TensorView<bfloat16>, TensorView<const bfloat16>, TensorView<const bfloat16>,
                     TensorView<const bfloat16>, Activation);

}  // namespace attention::reference
