#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <attention/autograd/variable.hpp>
#include <attention/core/tensor.hpp>

/// Layers: parameters with names, and a forward that calls ops.
namespace attention::nn {

/// A parameter of a layer: its name ("W_q.weight") and a view of its elements.
template <class T>
struct Parameter {
  std::string name;
  TensorView<T> value;
  /// The same on the tape: its gradient. Null in lists of a layer that is const.
  autograd::Variable<std::remove_const_t<T>> variable = {};
};

/// The parameters of a layer in the order in which they are drawn. T is float or double, or const.
template <class T>
using ParameterList = std::vector<Parameter<T>>;
using Parameters = ParameterList<float>;
using ConstParameters = ParameterList<const float>;

/// Appends the parameters of a part, with "prefix." before their names.
template <class T>
void append(ParameterList<T>& list, std::string_view prefix, const ParameterList<T>& part) {
  for (const Parameter<T>& parameter : part) {
    list.push_back(parameter);
    list.back().name = std::string(prefix) + "." + parameter.name;
  }
}

}  // namespace attention::nn
