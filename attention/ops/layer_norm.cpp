#include <attention/ops/detail/norm_check.hpp>
#include <attention/ops/detail/norm_paths.hpp>
#include <attention/ops/detail/workspace.hpp>
#include <attention/ops/layer_norm.hpp>

namespace attention {
namespace {

template <class T>
LayerNormResult<T> layer_norm_owning(TensorView<const T> x, TensorView<const T> weight,
                                     TensorView<const T> bias, const NormOptions& options) {
  const char* const function = "layer_norm";
  NormProblem<T> problem =
      detail::checked_norm(function, NormKind::layer, x, weight, bias, options.epsilon);
  const detail::NormChoice<T> choice(function, options.execution);
  LayerNormResult<T> result{.out = Tensor<T>::for_overwrite(x.shape()),
                            .mean = Tensor<T>::for_overwrite(detail::rows_shape(x.shape())),
                            .rstd = Tensor<T>::for_overwrite(detail::rows_shape(x.shape())),
                            .taken = choice.taken()};
  detail::set_outputs<T>(problem, {.out = result.out, .mean = result.mean, .rstd = result.rstd});
  choice.forward(problem);
  return result;
}

template <class T>
Taken layer_norm_into_checked(const LayerNormOutputs<T>& outputs, TensorView<const T> x,
                              TensorView<const T> weight, TensorView<const T> bias,
                              const NormOptions& options) {
  const char* const function = "layer_norm_into";
  NormProblem<T> problem =
      detail::checked_norm(function, NormKind::layer, x, weight, bias, options.epsilon);
  detail::check_outputs(function, outputs, x, weight, bias);
  const detail::NormChoice<T> choice(function, options.execution);
  detail::set_outputs(problem, outputs);
  choice.forward(problem);
  return choice.taken();
}

template <class T>
LayerNormGradients<T> layer_norm_backward_owning(const LayerNormBackwardInputs<T>& inputs,
                                                 const NormOptions& options) {
  const char* const function = "layer_norm_backward";
  NormBackwardProblem<T> problem =
      detail::checked_norm_backward(function, NormKind::layer, inputs, options.epsilon);
  const detail::NormChoice<T> choice(function, options.execution);
  const std::int64_t E = problem.x.length();
  LayerNormGradients<T> gradients{.x = Tensor<T>::for_overwrite(inputs.x.shape()),
                                  .weight = Tensor<T>::for_overwrite({E}),
                                  .bias = Tensor<T>::for_overwrite({E}),
                                  .taken = choice.taken()};
  detail::set_outputs<T>(problem,
                         {.x = gradients.x, .weight = gradients.weight, .bias = gradients.bias});
  detail::OwnedWorkspace workspace(choice.workspace_size(problem.x.count(), E));
  choice.backward(problem, workspace.bytes());
  return gradients;
}

template <class T>
Taken layer_norm_backward_into_checked(const LayerNormGradientOutputs<T>& gradients,
                                       const LayerNormBackwardInputs<T>& inputs,
                                       const NormOptions& options, std::span<std::byte> workspace) {
  const char* const function = "layer_norm_backward_into";
  NormBackwardProblem<T> problem =
      detail::checked_norm_backward(function, NormKind::layer, inputs, options.epsilon);
  detail::check_outputs(function, NormKind::layer, gradients, inputs);
  const detail::NormChoice<T> choice(function, options.execution);
  detail::require_workspace(function, workspace,
                            choice.workspace_size(problem.x.count(), problem.x.length()));
  detail::set_outputs(problem, gradients);
  choice.backward(problem, workspace);
  return choice.taken();
}

}  // namespace

LayerNormResult<float> layer_norm(TensorView<const float> x, TensorView<const float> weight,
                                  TensorView<const float> bias, const NormOptions& options) {
  return layer_norm_owning(x, weight, bias, options);
}

LayerNormResult<double> layer_norm(TensorView<const double> x, TensorView<const double> weight,
                                   TensorView<const double> bias, const NormOptions& options) {
  return layer_norm_owning(x, weight, bias, options);
}

Taken layer_norm_into(const LayerNormOutputs<float>& outputs, TensorView<const float> x,
                      TensorView<const float> weight, TensorView<const float> bias,
                      const NormOptions& options) {
  return layer_norm_into_checked(outputs, x, weight, bias, options);
}

Taken layer_norm_into(const LayerNormOutputs<double>& outputs, TensorView<const double> x,
                      TensorView<const double> weight, TensorView<const double> bias,
                      const NormOptions& options) {
  return layer_norm_into_checked(outputs, x, weight, bias, options);
}

LayerNormGradients<float> layer_norm_backward(TensorView<const float> d_out,
                                              TensorView<const float> x,
                                              TensorView<const float> weight,
                                              const LayerNormSaved<float>& saved,
                                              const NormOptions& options) {
  return layer_norm_backward_owning<float>(
      {.d_out = d_out, .x = x, .weight = weight, .saved = saved}, options);
}

LayerNormGradients<double> layer_norm_backward(TensorView<const double> d_out,
                                               TensorView<const double> x,
                                               TensorView<const double> weight,
                                               const LayerNormSaved<double>& saved,
                                               const NormOptions& options) {
  return layer_norm_backward_owning<double>(
      {.d_out = d_out, .x = x, .weight = weight, .saved = saved}, options);
}

Taken layer_norm_backward_into(const LayerNormGradientOutputs<float>& gradients,
                               const LayerNormBackwardInputs<float>& inputs,
                               const NormOptions& options, std::span<std::byte> workspace) {
  return layer_norm_backward_into_checked(gradients, inputs, options, workspace);
}

Taken layer_norm_backward_into(const LayerNormGradientOutputs<double>& gradients,
                               const LayerNormBackwardInputs<double>& inputs,
                               const NormOptions& options, std::span<std::byte> workspace) {
  return layer_norm_backward_into_checked(gradients, inputs, options, workspace);
}

std::size_t layer_norm_backward_workspace_size(std::int64_t rows, std::int64_t features,
                                               DType dtype, const Execution& execution) {
  return detail::norm_workspace_size("layer_norm_backward_workspace_size", rows, features, dtype,
                                     execution);
}

}  // namespace attention
