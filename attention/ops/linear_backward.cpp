#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include <attention/core/parallel.hpp>
#include <attention/kernels/linear_backward_fused.hpp>
#include <attention/ops/detail/checks.hpp>
#include <attention/ops/detail/isa_choice.hpp>
#include <attention/ops/detail/workspace.hpp>
#include <attention/ops/linear_backward.hpp>
#include <attention/reference/linear.hpp>

namespace attention {
namespace {

/// One way to compute the gradients. `isa` is not looked at by a path that has no kernels.
template <class T>
struct LinearBackwardPath {
  Path path;
  bool has_kernels;
  /// Bytes of scratch for each thread.
  std::size_t (*scratch)(std::int64_t in_features, const kernels::IsaKernels* isa);
  void (*run)(const LinearBackwardProblem<T>& problem, const kernels::IsaKernels* isa, int threads,
              std::span<std::byte> workspace);
};

/// Some inputs of a problem, without the bias.
template <class T>
LinearBackwardProblem<T> inputs_of(const LinearBackwardProblem<T>& problem, std::int64_t begin,
                                   std::int64_t count) {
  const auto slice = [&](auto view) {
    return view.is_null() ? view : view.slice(view.rank() - 1, begin, count);
  };
  LinearBackwardProblem<T> part = problem;
  part.x = slice(problem.x);
  part.weight = slice(problem.weight);
  part.d_x = slice(problem.d_x);
  part.d_weight = slice(problem.d_weight);
  part.d_bias = {};
  return part;
}

/// A task is a few inputs, the last one the bias.
template <class T>
void run_reference(const LinearBackwardProblem<T>& problem, const kernels::IsaKernels* /*isa*/,
                   int threads, std::span<std::byte> /*workspace*/) {
  if (problem.x.element_count() == 0 || problem.weight.element_count() == 0) {
    reference::linear_backward(problem);  // what is empty has no address to cut at
    return;
  }
  constexpr std::int64_t kInputsPerTask = 16;
  const std::int64_t I = problem.weight.size(1);
  const std::int64_t pieces = (I + kInputsPerTask - 1) / kInputsPerTask;
  LinearBackwardProblem<T> bias_alone = problem;
  bias_alone.d_x = {};
  bias_alone.d_weight = {};
  parallel_for(pieces + 1, threads, [&](std::int64_t task, int /*worker*/) {
    const std::int64_t begin = task * kInputsPerTask;
    reference::linear_backward(
        task == pieces ? bias_alone
                       : inputs_of(problem, begin, std::min(kInputsPerTask, I - begin)));
  });
}

template <class T>
constexpr LinearBackwardPath<T> kReference = {
    .path = Path::reference,
    .has_kernels = false,
    .scratch = [](std::int64_t, const kernels::IsaKernels*) { return std::size_t{0}; },
    .run = run_reference<T>};

void run_fused(const LinearBackwardProblem<float>& problem, const kernels::IsaKernels* isa,
               int threads, std::span<std::byte> workspace) {
  const kernels::LinearBackwardFused fused(problem, *isa->functions, resolve_threads(threads));
  const detail::WorkerScratch scratch(
      workspace, kernels::linear_backward_fused_scratch(*isa->functions, problem.weight.size(1)));
  parallel_for(fused.tasks(), threads,
               [&](std::int64_t task, int worker) { fused.run(task, scratch.of(worker)); });
}

/// The paths in the order in which they are preferred; the reference is the last.
template <class T>
constexpr std::array<LinearBackwardPath<T>, 1> kPaths = {kReference<T>};
template <>
constexpr std::array<LinearBackwardPath<float>, 2> kPaths<float> = {
    LinearBackwardPath<float>{.path = Path::fused,
                              .has_kernels = true,
                              .scratch =
                                  [](std::int64_t in_features, const kernels::IsaKernels* isa) {
                                    return kernels::linear_backward_fused_scratch(*isa->functions,
                                                                                  in_features);
                                  },
                              .run = run_fused},
    kReference<float>};

/// The path of a call, and its kernels if it has any.
template <class T>
struct Choice {
  const LinearBackwardPath<T>& path;
  const kernels::IsaKernels* isa;

  Choice(std::string_view function, const Execution& execution)
      : path(detail::choose_path(function, std::span<const LinearBackwardPath<T>>(kPaths<T>),
                                 execution, kDTypeOf<T>)),
        isa(path.has_kernels ? &detail::choose_isa(function, execution) : nullptr) {}

  Taken taken() const {
    return {.path = path.path, .isa = isa == nullptr ? std::nullopt : std::optional(isa->isa)};
  }
  std::size_t workspace_size(std::int64_t in_features, const Execution& execution) const {
    return detail::workspace_size(path.scratch(in_features, isa), execution);
  }
};

Shape with_last(Shape shape, std::int64_t features) {
  shape[shape.rank() - 1] = features;
  return shape;
}

template <class T>
void check_inputs(std::string_view function, const LinearBackwardProblem<T>& problem) {
  const TensorView<const T>& d_out = problem.d_out;
  const TensorView<const T>& x = problem.x;
  const TensorView<const T>& weight = problem.weight;
  const auto found = [&] {
    return detail::describe("d_out", d_out.shape()) + ", " + detail::describe("x", x.shape()) +
           ", " + detail::describe("weight", weight.shape());
  };
  require(x.rank() >= 1, function, "x must have the shape (..., I)", found);
  require(weight.rank() == 2, function, "weight must have the shape (O, I)", found);
  require(x.size(x.rank() - 1) == weight.size(1), function,
          "x and weight must have one number of input features I", found);
  require(d_out.shape() == with_last(x.shape(), weight.size(0)), function,
          "d_out must have the shape (..., O), that of linear's output", found);
  detail::require_given(function, "d_out", d_out);
  detail::require_given(function, "x", x);
  detail::require_given(function, "weight", weight);
}

template <class T>
struct NamedOutput {
  const char* name;
  TensorView<T> view;
  Shape shape;
};

template <class T>
Placement placement_of(const TensorView<T>& view) {
  return {.base = view.data(), .layout = view.layout(), .element_size = sizeof(T)};
}

template <class T>
void check_outputs(std::string_view function, const LinearBackwardProblem<T>& problem) {
  const std::array<NamedOutput<T>, 3> outputs = {
      {{.name = "outputs.x", .view = problem.d_x, .shape = problem.x.shape()},
       {.name = "outputs.weight", .view = problem.d_weight, .shape = problem.weight.shape()},
       {.name = "outputs.bias", .view = problem.d_bias, .shape = {problem.weight.size(0)}}}};
  for (const NamedOutput<T>& output : outputs) {
    if (output.view.is_null()) {
      continue;
    }
    const auto apart = [&](const auto& other) {
      return other.is_null() || !may_overlap(placement_of(output.view), placement_of(other));
    };
    require(output.view.shape() == output.shape, [&] {
      return Error(
          function,
          detail::describe(std::string(output.name) + " must have the shape", output.shape),
          to_string(output.view.shape()));
    });
    detail::require_writable(function, output.name, output.view);
    bool alone = apart(problem.d_out) && apart(problem.x) && apart(problem.weight);
    for (const NamedOutput<T>& other : outputs) {
      alone = alone && (&other == &output || apart(other.view));
    }
    require(alone, [&] {
      return Error(function,
                   std::string(output.name) + " must not overlap an input or another output",
                   "views that share memory");
    });
  }
}

template <class T>
LinearGradients<T> linear_backward_owning(TensorView<const T> d_out, TensorView<const T> x,
                                          TensorView<const T> weight,
                                          const LinearBackwardOptions& options) {
  const char* const function = "linear_backward";
  LinearBackwardProblem<T> problem = {.d_out = d_out, .x = x, .weight = weight};
  check_inputs(function, problem);
  const Choice<T> choice(function, options.execution);
  LinearGradients<T> gradients;
  gradients.taken = choice.taken();
  if (options.wants_x) {
    gradients.x = Tensor<T>::for_overwrite(x.shape());
    problem.d_x = gradients.x;
  }
  if (options.wants_weight) {
    gradients.weight = Tensor<T>::for_overwrite(weight.shape());
    problem.d_weight = gradients.weight;
  }
  if (options.wants_bias) {
    gradients.bias = Tensor<T>::for_overwrite({weight.size(0)});
    problem.d_bias = gradients.bias;
  }
  detail::OwnedWorkspace workspace(choice.workspace_size(weight.size(1), options.execution));
  choice.path.run(problem, choice.isa, options.execution.threads, workspace.bytes());
  return gradients;
}

template <class T>
Taken linear_backward_into_checked(LinearBackwardProblem<T> problem,
                                   const LinearBackwardOutputs<T>& outputs,
                                   const LinearBackwardOptions& options,
                                   std::span<std::byte> workspace) {
  const char* const function = "linear_backward_into";
  problem.d_x = outputs.x;
  problem.d_weight = outputs.weight;
  problem.d_bias = outputs.bias;
  problem.accumulate = options.accumulate;
  check_inputs(function, problem);
  check_outputs(function, problem);
  const Choice<T> choice(function, options.execution);
  detail::require_workspace(function, workspace,
                            choice.workspace_size(problem.weight.size(1), options.execution));
  choice.path.run(problem, choice.isa, options.execution.threads, workspace);
  return choice.taken();
}

}  // namespace

LinearGradients<float> linear_backward(TensorView<const float> d_out, TensorView<const float> x,
                                       TensorView<const float> weight,
                                       const LinearBackwardOptions& options) {
  return linear_backward_owning(d_out, x, weight, options);
}

LinearGradients<double> linear_backward(TensorView<const double> d_out, TensorView<const double> x,
                                        TensorView<const double> weight,
                                        const LinearBackwardOptions& options) {
  return linear_backward_owning(d_out, x, weight, options);
}

Taken linear_backward_into(const LinearBackwardOutputs<float>& outputs,
                           TensorView<const float> d_out, TensorView<const float> x,
                           TensorView<const float> weight, const LinearBackwardOptions& options,
                           std::span<std::byte> workspace) {
  return linear_backward_into_checked<float>({.d_out = d_out, .x = x, .weight = weight}, outputs,
                                             options, workspace);
}

Taken linear_backward_into(const LinearBackwardOutputs<double>& outputs,
                           TensorView<const double> d_out, TensorView<const double> x,
                           TensorView<const double> weight, const LinearBackwardOptions& options,
                           std::span<std::byte> workspace) {
  return linear_backward_into_checked<double>({.d_out = d_out, .x = x, .weight = weight}, outputs,
                                              options, workspace);
}

std::size_t linear_backward_workspace_size(std::int64_t in_features, DType dtype,
                                           const Execution& execution) {
  const char* const function = "linear_backward_workspace_size";
  require(in_features >= 0, function, "in_features must not be negative",
          [&] { return std::to_string(in_features); });
  require(dtype == DType::float32 || dtype == DType::float64, function,
          "dtype must be float32 or float64", [&] { return std::string(name_of(dtype)); });
  return dtype == DType::float32
             ? Choice<float>(function, execution).workspace_size(in_features, execution)
             : Choice<double>(function, execution).workspace_size(in_features, execution);
}

}  // namespace attention
