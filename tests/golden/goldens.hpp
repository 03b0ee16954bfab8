#pragma once

#include <string>

#include <attention/core/tensor.hpp>

namespace attention::goldens {

/// The array of this name in goldens.npz or training_goldens.npz. Fails loudly when there is none.
const AnyView& golden(const std::string& name);

/// Its values in row-major order.
template <class T>
Tensor<T> values(const std::string& name) {
  return Tensor<T>::copy_of(golden(name).as<T>());
}

}  // namespace attention::goldens
