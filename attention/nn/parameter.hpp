#pragma once

#include <string>
#include <vector>

#include <attention/core/tensor.hpp>

/// Layers: parameters with names, and a forward that calls ops.
namespace attention::nn {

/// A parameter of a layer: its name ("W_q.weight") and a view of its elements.
template <class T>
struct Parameter {
  std::string name;
  TensorView<T> value;
};

/// The parameters of a layer in the order in which they are drawn.
using Parameters = std::vector<Parameter<float>>;
using ConstParameters = std::vector<Parameter<const float>>;

}  // namespace attention::nn
