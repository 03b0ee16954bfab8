#pragma once

#include <span>

#include <attention/core/export.hpp>
#include <attention/core/tensor_view.hpp>

namespace attention::reference {

/// Copies the parts into out, one behind the other along dimension `dim`. Their shapes are that of
/// out but for the extent of `dim`, whose sum is that of out. Instantiated for float and double.
template <class T>
ATTENTION_API void concat(TensorView<T> out, std::span<const TensorView<const T>> parts, int dim);

}  // namespace attention::reference
