#pragma once

#include <attention/core/tensor_view.hpp>

namespace attention::detail {

/// Private to ops. out = x, summed over the dimensions that broadcasting out to the shape of x
/// repeats. What attention::sum_to promises, without its checks. Instantiated for float and double.
template <class T>
void sum_to(TensorView<T> out, TensorView<const T> x, int threads);

}  // namespace attention::detail
