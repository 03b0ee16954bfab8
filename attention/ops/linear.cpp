#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include <attention/core/parallel.hpp>
#include <attention/kernels/linear_fused.hpp>
#include <attention/ops/detail/checks.hpp>
#include <attention/ops/detail/isa_choice.hpp>
#include <attention/ops/detail/workspace.hpp>
#include <attention/ops/linear.hpp>
#include <attention/reference/linear.hpp>

namespace attention {
namespace {

/// One way to compute linear. `isa` is not looked at by a path that has no kernels.
template <class T>
struct LinearPath {
  Path path;
  bool has_kernels;
  /// Bytes of scratch for each thread: what this problem needs, and what any with so many input
  /// features may need.
  std::size_t (*scratch)(const kernels::LinearProblem<T>& problem, const kernels::IsaKernels* isa,
                         int threads);
  std::size_t (*scratch_for_size)(std::int64_t in_features, const kernels::IsaKernels* isa);
  void (*run)(const kernels::LinearProblem<T>& problem, const kernels::IsaKernels* isa, int threads,
              std::span<std::byte> workspace);
};

/// The last two dimensions as rows and features; those before them as a shape and strides to walk.
template <class T>
struct Rows {
  Shape outer;
  Strides outer_strides;
  TensorView<T> matrix;

  explicit Rows(TensorView<T> tensor) {
    Layout layout = tensor.rank() == 1 ? unsqueeze(tensor.layout(), 0) : tensor.layout();
    while (layout.rank() > 2) {
      outer.push_back(layout.shape[0]);
      outer_strides.push_back(layout.strides[0]);
      layout.shape.erase(0);
      layout.strides.erase(0);
    }
    matrix = TensorView<T>(tensor.data(), layout);
  }
  /// Number `index` of the matrices.
  TensorView<T> at(std::int64_t index) const {
    std::int64_t offset = 0;
    for (int dim = outer.rank() - 1; dim >= 0; --dim) {
      offset += index % outer[dim] * outer_strides[dim];
      index /= outer[dim];
    }
    return {matrix.data() + offset, matrix.layout()};
  }
};

template <class T>
void run_reference(const kernels::LinearProblem<T>& p, const kernels::IsaKernels* /*isa*/,
                   int threads, std::span<std::byte> /*workspace*/) {
  constexpr std::int64_t kRowsPerTask = 16;
  const Rows<T> out(p.out);
  const Rows<const T> x(p.x);
  const std::int64_t rows = x.matrix.size(0);
  const std::int64_t pieces = (rows + kRowsPerTask - 1) / kRowsPerTask;
  parallel_for(element_count(x.outer) * pieces, threads, [&](std::int64_t task, int /*worker*/) {
    const std::int64_t begin = task % pieces * kRowsPerTask;
    const std::int64_t count = std::min(kRowsPerTask, rows - begin);
    reference::linear(out.at(task / pieces).slice(0, begin, count),
                      x.at(task / pieces).slice(0, begin, count), p.weight, p.bias, p.activation);
  });
}

template <class T>
constexpr LinearPath<T> kReference = {
    .path = Path::reference,
    .has_kernels = false,
    .scratch = [](const kernels::LinearProblem<T>&, const kernels::IsaKernels*,
                  int) { return std::size_t{0}; },
    .scratch_for_size = [](std::int64_t, const kernels::IsaKernels*) { return std::size_t{0}; },
    .run = run_reference<T>};

template <class T>
void run_fused(const kernels::LinearProblem<T>& problem, const kernels::IsaKernels* isa,
               int threads, std::span<std::byte> workspace) {
  const kernels::LinearFused<T> fused(problem, *isa->functions, resolve_threads(threads));
  const detail::WorkerScratch scratch(workspace, fused.scratch_size());
  parallel_for(fused.tasks(), threads,
               [&](std::int64_t task, int worker) { fused.run(task, scratch.of(worker)); });
}

template <class T>
constexpr LinearPath<T> kFused = {
    .path = Path::fused,
    .has_kernels = true,
    .scratch =
        [](const kernels::LinearProblem<T>& problem, const kernels::IsaKernels* isa, int threads) {
          return kernels::LinearFused<T>(problem, *isa->functions, resolve_threads(threads))
              .scratch_size();
        },
    .scratch_for_size =
        [](std::int64_t in_features, const kernels::IsaKernels* isa) {
          return kernels::linear_fused_scratch<T>(*isa->functions, in_features);
        },
    .run = run_fused<T>};

/// The paths in the order in which they are preferred; the reference is the last.
template <class T>
constexpr std::array<LinearPath<T>, 2> kPaths = {kFused<T>, kReference<T>};
template <>
constexpr std::array<LinearPath<double>, 1> kPaths<double> = {kReference<double>};

/// The path of a call, and its kernels if it has any.
template <class T>
struct Choice {
  const LinearPath<T>& path;
  const kernels::IsaKernels* isa;

  Choice(std::string_view function, const Execution& execution)
      : path(detail::choose_path(function, std::span<const LinearPath<T>>(kPaths<T>), execution,
                                 kDTypeOf<T>)),
        isa(path.has_kernels ? &detail::choose_isa(function, execution) : nullptr) {}

  Taken taken() const {
    return {.path = path.path, .isa = isa == nullptr ? std::nullopt : std::optional(isa->isa)};
  }
  std::size_t workspace_size(std::int64_t in_features, const Execution& execution) const {
    return detail::workspace_size(path.scratch_for_size(in_features, isa), execution);
  }
};

template <class T>
void check_inputs(std::string_view function, TensorView<const T> x, TensorView<const T> weight,
                  TensorView<const T> bias) {
  const auto found = [&] {
    return "x " + to_string(x.shape()) + ", weight " + to_string(weight.shape()) +
           (bias.is_null() ? "" : ", bias " + to_string(bias.shape()));
  };
  require(x.rank() >= 1, function, "x must have the shape (..., I)", found);
  require(weight.rank() == 2, function, "weight must have the shape (O, I)", found);
  require(x.size(x.rank() - 1) == weight.size(1), function,
          "x and weight must have one number of input features I", found);
  require(bias.is_null() || (bias.rank() == 1 && bias.size(0) == weight.size(0)), function,
          "bias must have the shape (O)", found);
  detail::require_given(function, "x", x);
  detail::require_given(function, "weight", weight);
  if (!bias.is_null()) {
    detail::require_given(function, "bias", bias);
  }
}

Shape output_shape(const Shape& x, std::int64_t out_features) {
  Shape shape = x;
  shape[shape.rank() - 1] = out_features;
  return shape;
}

template <class T>
Tensor<T> linear_owning(TensorView<const T> x, TensorView<const T> weight, TensorView<const T> bias,
                        const LinearOptions& options) {
  check_inputs("linear", x, weight, bias);
  const Choice<T> choice("linear", options.execution);
  Tensor<T> out = Tensor<T>::for_overwrite(output_shape(x.shape(), weight.size(0)));
  const kernels::LinearProblem<T> problem{
      .out = out, .x = x, .weight = weight, .bias = bias, .activation = options.activation};
  const int threads = options.execution.threads;
  detail::OwnedWorkspace workspace(
      detail::workspace_size(choice.path.scratch(problem, choice.isa, threads), options.execution));
  choice.path.run(problem, choice.isa, threads, workspace.bytes());
  return out;
}

template <class T>
Taken linear_into_checked(TensorView<T> out, TensorView<const T> x, TensorView<const T> weight,
                          TensorView<const T> bias, const LinearOptions& options,
                          std::span<std::byte> workspace) {
  const char* const function = "linear_into";
  check_inputs(function, x, weight, bias);
  require(out.shape() == output_shape(x.shape(), weight.size(0)), function,
          "out must have the shape (..., O)", [&] {
            return "out " + to_string(out.shape()) + ", x " + to_string(x.shape()) + ", weight " +
                   to_string(weight.shape());
          });
  detail::require_writable(function, "out", out);
  const auto apart = [&](TensorView<const T> input) {
    return !may_overlap({out.data(), out.layout(), sizeof(T)},
                        {input.data(), input.layout(), sizeof(T)});
  };
  require(apart(x) && apart(weight) && (bias.is_null() || apart(bias)), function,
          "out must not overlap an input", [] { return std::string("views that share memory"); });
  const Choice<T> choice(function, options.execution);
  detail::require_workspace(function, workspace,
                            choice.workspace_size(weight.size(1), options.execution));
  choice.path.run(
      {.out = out, .x = x, .weight = weight, .bias = bias, .activation = options.activation},
      choice.isa, options.execution.threads, workspace);
  return choice.taken();
}

}  // namespace

Tensor<float> linear(TensorView<const float> x, TensorView<const float> weight,
                     TensorView<const float> bias, const LinearOptions& options) {
  return linear_owning(x, weight, bias, options);
}

Tensor<double> linear(TensorView<const double> x, TensorView<const double> weight,
                      TensorView<const double> bias, const LinearOptions& options) {
  return linear_owning(x, weight, bias, options);
}

Tensor<float16> linear(TensorView<const float16> x, TensorView<const float16> weight,
                       TensorView<const float16> bias, const LinearOptions& options) {
  return linear_owning(x, weight, bias, options);
}

Tensor<bfloat16> linear(TensorView<const bfloat16> x, TensorView<const bfloat16> weight,
                        TensorView<const bfloat16> bias, const LinearOptions& options) {
  return linear_owning(x, weight, bias, options);
}

Taken linear_into(TensorView<float> out, TensorView<const float> x, TensorView<const float> weight,
                  TensorView<const float> bias, const LinearOptions& options,
                  std::span<std::byte> workspace) {
  return linear_into_checked(out, x, weight, bias, options, workspace);
}

Taken linear_into(TensorView<double> out, TensorView<const double> x,
                  TensorView<const double> weight, TensorView<const double> bias,
                  const LinearOptions& options, std::span<std::byte> workspace) {
  return linear_into_checked(out, x, weight, bias, options, workspace);
}

Taken linear_into(TensorView<float16> out, TensorView<const float16> x,
                  TensorView<const float16> weight, TensorView<const float16> bias,
                  const LinearOptions& options, std::span<std::byte> workspace) {
  return linear_into_checked(out, x, weight, bias, options, workspace);
}

Taken linear_into(TensorView<bfloat16> out, TensorView<const bfloat16> x,
                  TensorView<const bfloat16> weight, TensorView<const bfloat16> bias,
                  const LinearOptions& options, std::span<std::byte> workspace) {
  return linear_into_checked(out, x, weight, bias, options, workspace);
}

std::size_t linear_workspace_size(std::int64_t in_features, DType dtype,
                                  const Execution& execution) {
  const char* const function = "linear_workspace_size";
  require(in_features >= 0, function, "in_features must not be negative",
          [&] { return std::to_string(in_features); });
  require(is_floating(dtype), function, "dtype must be a floating type",
          [&] { return std::string(name_of(dtype)); });
  return visit(dtype, [&]<class T>() -> std::size_t {
    if constexpr (is_floating(kDTypeOf<T>)) {
      return Choice<T>(function, execution).workspace_size(in_features, execution);
    }
    return 0;
  });
}

}  // namespace attention
