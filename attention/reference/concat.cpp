#include <attention/reference/concat.hpp>

namespace attention::reference {

template <class T>
void concat(TensorView<T> out, std::span<const TensorView<const T>> parts, int dim) {
  std::int64_t start = 0;
  for (const TensorView<const T>& part : parts) {
    const TensorView<T> place = out.slice(dim, start, part.size(dim));
    for_each_offset(
        part.shape(),
        [&](std::int64_t to, std::int64_t from) { place.data()[to] = part.data()[from]; },
        place.strides(), part.strides());
    start += part.size(dim);
  }
}

template void concat(TensorView<float>, std::span<const TensorView<const float>>, int);
template void concat(TensorView<double>, std::span<const TensorView<const double>>, int);

}  // namespace attention::reference
