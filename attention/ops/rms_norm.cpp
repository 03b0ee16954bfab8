#include <attention/ops/detail/norm_check.hpp>
#include <attention/ops/detail/norm_paths.hpp>
#include <attention/ops/detail/workspace.hpp>
#include <attention/ops/rms_norm.hpp>

namespace attention {
namespace {

/// What layer_norm has besides is not there.
template <class T>
LayerNormBackwardInputs<T> without_mean(const RmsNormBackwardInputs<T>& inputs) {
  return {.d_out = inputs.d_out,
          .x = inputs.x,
          .weight = inputs.weight,
          .saved = {.mean = {}, .rstd = inputs.saved.rstd}};
}

template <class T>
RmsNormResult<T> rms_norm_owning(TensorView<const T> x, TensorView<const T> weight,
                                 const NormOptions& options) {
  const char* const function = "rms_norm";
  NormProblem<T> problem =
      detail::checked_norm<T>(function, NormKind::rms, x, weight, {}, options.epsilon);
  const detail::NormChoice<T> choice(function, options.execution);
  RmsNormResult<T> result{.out = Tensor<T>::for_overwrite(x.shape()),
                          .rstd = Tensor<T>::for_overwrite(detail::rows_shape(x.shape())),
                          .taken = choice.taken()};
  detail::set_outputs<T>(problem, {.out = result.out, .rstd = result.rstd});
  choice.forward(problem);
  return result;
}

template <class T>
Taken rms_norm_into_checked(const RmsNormOutputs<T>& outputs, TensorView<const T> x,
                            TensorView<const T> weight, const NormOptions& options) {
  const char* const function = "rms_norm_into";
  NormProblem<T> problem =
      detail::checked_norm<T>(function, NormKind::rms, x, weight, {}, options.epsilon);
  const LayerNormOutputs<T> views{.out = outputs.out, .rstd = outputs.rstd};
  detail::check_outputs<T>(function, views, x, weight, {});
  const detail::NormChoice<T> choice(function, options.execution);
  detail::set_outputs(problem, views);
  choice.forward(problem);
  return choice.taken();
}

template <class T>
RmsNormGradients<T> rms_norm_backward_owning(const RmsNormBackwardInputs<T>& inputs,
                                             const NormOptions& options) {
  const char* const function = "rms_norm_backward";
  NormBackwardProblem<T> problem =
      detail::checked_norm_backward(function, NormKind::rms, without_mean(inputs), options.epsilon);
  const detail::NormChoice<T> choice(function, options.execution);
  const std::int64_t E = problem.x.length();
  RmsNormGradients<T> gradients{.x = Tensor<T>::for_overwrite(inputs.x.shape()),
                                .weight = Tensor<T>::for_overwrite({E}),
                                .taken = choice.taken()};
  detail::set_outputs<T>(problem, {.x = gradients.x, .weight = gradients.weight, .bias = {}});
  detail::OwnedWorkspace workspace(choice.workspace_size(problem.x.count(), E));
  choice.backward(problem, workspace.bytes());
  return gradients;
}

template <class T>
Taken rms_norm_backward_into_checked(const RmsNormGradientOutputs<T>& gradients,
                                     const RmsNormBackwardInputs<T>& inputs,
                                     const NormOptions& options, std::span<std::byte> workspace) {
  const char* const function = "rms_norm_backward_into";
  const LayerNormBackwardInputs<T> without = without_mean(inputs);
  NormBackwardProblem<T> problem =
      detail::checked_norm_backward(function, NormKind::rms, without, options.epsilon);
  const LayerNormGradientOutputs<T> views{.x = gradients.x, .weight = gradients.weight, .bias = {}};
  detail::check_outputs(function, NormKind::rms, views, without);
  const detail::NormChoice<T> choice(function, options.execution);
  detail::require_workspace(function, workspace,
                            choice.workspace_size(problem.x.count(), problem.x.length()));
  detail::set_outputs(problem, views);
  choice.backward(problem, workspace);
  return choice.taken();
}

}  // namespace

RmsNormResult<float> rms_norm(TensorView<const float> x, TensorView<const float> weight,
                              const NormOptions& options) {
  return rms_norm_owning(x, weight, options);
}

RmsNormResult<double> rms_norm(TensorView<const double> x, TensorView<const double> weight,
                               const NormOptions& options) {
  return rms_norm_owning(x, weight, options);
}

Taken rms_norm_into(const RmsNormOutputs<float>& outputs, TensorView<const float> x,
                    TensorView<const float> weight, const NormOptions& options) {
  return rms_norm_into_checked(outputs, x, weight, options);
}

Taken rms_norm_into(const RmsNormOutputs<double>& outputs, TensorView<const double> x,
                    TensorView<const double> weight, const NormOptions& options) {
  return rms_norm_into_checked(outputs, x, weight, options);
}

RmsNormGradients<float> rms_norm_backward(TensorView<const float> d_out, TensorView<const float> x,
                                          TensorView<const float> weight,
                                          const RmsNormSaved<float>& saved,
                                          const NormOptions& options) {
  return rms_norm_backward_owning<float>({.d_out = d_out, .x = x, .weight = weight, .saved = saved},
                                         options);
}

RmsNormGradients<double> rms_norm_backward(TensorView<const double> d_out,
                                           TensorView<const double> x,
                                           TensorView<const double> weight,
                                           const RmsNormSaved<double>& saved,
                                           const NormOptions& options) {
  return rms_norm_backward_owning<double>(
      {.d_out = d_out, .x = x, .weight = weight, .saved = saved}, options);
}

Taken rms_norm_backward_into(const RmsNormGradientOutputs<float>& gradients,
                             const RmsNormBackwardInputs<float>& inputs, const NormOptions& options,
                             std::span<std::byte> workspace) {
  return rms_norm_backward_into_checked(gradients, inputs, options, workspace);
}

Taken rms_norm_backward_into(const RmsNormGradientOutputs<double>& gradients,
                             const RmsNormBackwardInputs<double>& inputs,
                             const NormOptions& options, std::span<std::byte> workspace) {
  return rms_norm_backward_into_checked(gradients, inputs, options, workspace);
}

std::size_t rms_norm_backward_workspace_size(std::int64_t rows, std::int64_t features, DType dtype,
                                             const Execution& execution) {
  return detail::norm_workspace_size("rms_norm_backward_workspace_size", rows, features, dtype,
                                     execution);
}

}  // namespace attention
