#include <algorithm>
#include <array>
#include <string>

#include <attention/core/parallel.hpp>
#include <attention/kernels/linear_blocked.hpp>
#include <attention/ops/detail/checks.hpp>
#include <attention/ops/detail/workspace.hpp>
#include <attention/ops/linear.hpp>
#include <attention/reference/linear.hpp>

namespace attention {
namespace {

/// One way to compute linear: `rows_per_task` rows at a time. `scratch` is aligned to 64 bytes.
template <class T>
struct LinearPath {
  Path path;
  std::int64_t rows_per_task;
  std::size_t (*scratch_size)(std::int64_t in_features);
  void (*run)(const kernels::LinearProblem<T>& problem, std::int64_t n_begin, std::byte* scratch);
};

constexpr std::int64_t kReferenceRows = 16;

template <class T>
void run_reference(const kernels::LinearProblem<T>& p, std::int64_t n_begin,
                   std::byte* /*scratch*/) {
  const std::int64_t count = std::min(kReferenceRows, p.x.size(0) - n_begin);
  reference::linear(p.out.slice(0, n_begin, count), p.x.slice(0, n_begin, count), p.weight, p.bias);
}

template <class T>
constexpr LinearPath<T> kReference = {.path = Path::reference,
                                      .rows_per_task = kReferenceRows,
                                      .scratch_size = [](std::int64_t) { return std::size_t{0}; },
                                      .run = run_reference<T>};
template <class T>
constexpr LinearPath<T> kBlocked = {.path = Path::fused,
                                    .rows_per_task = kernels::kLinearBlockedRows,
                                    .scratch_size = kernels::linear_blocked_scratch,
                                    .run = kernels::linear_blocked<T>};

/// The paths in the order in which they are preferred; the reference is the last.
template <class T>
constexpr std::array<LinearPath<T>, 2> kPaths = {kBlocked<T>, kReference<T>};
template <>
constexpr std::array<LinearPath<double>, 1> kPaths<double> = {kReference<double>};

template <class T>
const LinearPath<T>& chosen_path(const char* function, const Execution& execution) {
  return detail::choose_path(function, std::span<const LinearPath<T>>(kPaths<T>), execution,
                             kDTypeOf<T>);
}

template <class T>
void check_inputs(const char* function, TensorView<const T> x, TensorView<const T> weight,
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
void run(const kernels::LinearProblem<T>& problem, const LinearPath<T>& path,
         const Execution& execution, std::span<std::byte> workspace) {
  const detail::WorkerScratch scratch(workspace, path.scratch_size(problem.weight.size(1)));
  const Rows<T> out(problem.out);
  const Rows<const T> x(problem.x);
  const std::int64_t panels = (x.matrix.size(0) + path.rows_per_task - 1) / path.rows_per_task;
  parallel_for(element_count(x.outer) * panels, execution.threads,
               [&](std::int64_t task, int worker) {
                 const std::int64_t matrix = task / panels;
                 path.run({.out = out.at(matrix),
                           .x = x.at(matrix),
                           .weight = problem.weight,
                           .bias = problem.bias},
                          task % panels * path.rows_per_task, scratch.of(worker));
               });
}

template <class T>
Tensor<T> linear_owning(TensorView<const T> x, TensorView<const T> weight, TensorView<const T> bias,
                        const Execution& execution) {
  check_inputs("linear", x, weight, bias);
  const LinearPath<T>& path = chosen_path<T>("linear", execution);
  Tensor<T> out(output_shape(x.shape(), weight.size(0)));
  detail::OwnedWorkspace workspace(
      detail::workspace_size(path.scratch_size(weight.size(1)), execution));
  run({.out = out, .x = x, .weight = weight, .bias = bias}, path, execution, workspace.bytes());
  return out;
}

template <class T>
Path linear_into_checked(TensorView<T> out, TensorView<const T> x, TensorView<const T> weight,
                         TensorView<const T> bias, const Execution& execution,
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
  const LinearPath<T>& path = chosen_path<T>(function, execution);
  const std::size_t scratch = path.scratch_size(weight.size(1));
  detail::require_workspace(function, workspace, detail::workspace_size(scratch, execution));
  run({.out = out, .x = x, .weight = weight, .bias = bias}, path, execution, workspace);
  return path.path;
}

}  // namespace

Tensor<float> linear(TensorView<const float> x, TensorView<const float> weight,
                     TensorView<const float> bias, const Execution& execution) {
  return linear_owning(x, weight, bias, execution);
}

Tensor<double> linear(TensorView<const double> x, TensorView<const double> weight,
                      TensorView<const double> bias, const Execution& execution) {
  return linear_owning(x, weight, bias, execution);
}

Tensor<float16> linear(TensorView<const float16> x, TensorView<const float16> weight,
                       TensorView<const float16> bias, const Execution& execution) {
  return linear_owning(x, weight, bias, execution);
}

Tensor<bfloat16> linear(TensorView<const bfloat16> x, TensorView<const bfloat16> weight,
                        TensorView<const bfloat16> bias, const Execution& execution) {
  return linear_owning(x, weight, bias, execution);
}

Path linear_into(TensorView<float> out, TensorView<const float> x, TensorView<const float> weight,
                 TensorView<const float> bias, const Execution& execution,
                 std::span<std::byte> workspace) {
  return linear_into_checked(out, x, weight, bias, execution, workspace);
}

Path linear_into(TensorView<double> out, TensorView<const double> x,
                 TensorView<const double> weight, TensorView<const double> bias,
                 const Execution& execution, std::span<std::byte> workspace) {
  return linear_into_checked(out, x, weight, bias, execution, workspace);
}

Path linear_into(TensorView<float16> out, TensorView<const float16> x,
                 TensorView<const float16> weight, TensorView<const float16> bias,
                 const Execution& execution, std::span<std::byte> workspace) {
  return linear_into_checked(out, x, weight, bias, execution, workspace);
}

Path linear_into(TensorView<bfloat16> out, TensorView<const bfloat16> x,
                 TensorView<const bfloat16> weight, TensorView<const bfloat16> bias,
                 const Execution& execution, std::span<std::byte> workspace) {
  return linear_into_checked(out, x, weight, bias, execution, workspace);
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
      return detail::workspace_size(chosen_path<T>(function, execution).scratch_size(in_features),
                                    execution);
    }
    return 0;
  });
}

}  // namespace attention
