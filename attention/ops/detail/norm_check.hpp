#pragma once

#include <cstdint>
#include <string_view>

#include <attention/core/norm_problem.hpp>
#include <attention/ops/layer_norm.hpp>

/// Private to ops: what stands between the caller's arguments and a path, for layer_norm and for
/// rms_norm, which has no mean and no bias. Each throws Error, naming `function`.
namespace attention::detail {

/// Checks the inputs and options and brings them into the form that every path takes; the outputs
/// are still null.
template <class T>
NormProblem<T> checked_norm(std::string_view function, NormKind kind, TensorView<const T> x,
                            TensorView<const T> weight, TensorView<const T> bias, double epsilon);

/// The same of the backward pass.
template <class T>
NormBackwardProblem<T> checked_norm_backward(std::string_view function, NormKind kind,
                                             const LayerNormBackwardInputs<T>& inputs,
                                             double epsilon);

/// The shape of x without its last dimension.
Shape rows_shape(const Shape& x);

/// Sets outputs that are known to fit.
template <class T>
void set_outputs(NormProblem<T>& problem, const LayerNormOutputs<T>& outputs);
template <class T>
void set_outputs(NormBackwardProblem<T>& problem, const LayerNormGradientOutputs<T>& gradients);

/// Checks the caller's outputs against the inputs and each other.
template <class T>
void check_outputs(std::string_view function, const LayerNormOutputs<T>& outputs,
                   TensorView<const T> x, TensorView<const T> weight, TensorView<const T> bias);
template <class T>
void check_outputs(std::string_view function, NormKind kind,
                   const LayerNormGradientOutputs<T>& gradients,
                   const LayerNormBackwardInputs<T>& inputs);

}  // namespace attention::detail
