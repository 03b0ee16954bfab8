#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include <attention/core/parallel.hpp>
#include <attention/kernels/activation_fused.hpp>
#include <attention/ops/activation.hpp>
#include <attention/ops/detail/checks.hpp>
#include <attention/ops/detail/path_choice.hpp>
#include <attention/reference/activation.hpp>

namespace attention {
namespace {

template <class T>
using Problem = kernels::ActivationProblem<T>;

/// One way to compute. `isa` is not looked at by a path that has no kernels.
template <class T>
struct ActivationPath {
  Path path;
  bool has_kernels;
  void (*run)(const Problem<T>& problem, const kernels::IsaKernels* isa, int threads);
};

/// A few elements of the first dimension to a task.
template <class T>
void run_reference(const Problem<T>& problem, const kernels::IsaKernels* /*isa*/, int threads) {
  constexpr std::int64_t kElementsPerTask = 4096;
  const auto rows_of = [](auto view) { return view.rank() == 0 ? view.unsqueeze(0) : view; };
  const TensorView<T> out = rows_of(problem.out);
  const TensorView<const T> x = rows_of(problem.x);
  const bool backward = !problem.d_out.is_null();
  const TensorView<const T> d_out = backward ? rows_of(problem.d_out) : x;
  const std::int64_t rows = x.size(0);
  const std::int64_t elements = std::max<std::int64_t>(x.element_count(), 1);
  const std::int64_t per_task =
      std::clamp<std::int64_t>(kElementsPerTask * rows / elements, 1, kElementsPerTask);
  parallel_for((rows + per_task - 1) / per_task, threads, [&](std::int64_t task, int /*worker*/) {
    const std::int64_t begin = task * per_task;
    const std::int64_t count = std::min(per_task, rows - begin);
    if (backward) {
      reference::activation_backward<T>(out.slice(0, begin, count), d_out.slice(0, begin, count),
                                        x.slice(0, begin, count), problem.activation);
    } else {
      reference::activation<T>(out.slice(0, begin, count), x.slice(0, begin, count),
                               problem.activation);
    }
  });
}

void run_fused(const Problem<float>& problem, const kernels::IsaKernels* isa, int threads) {
  const kernels::ActivationFused fused(problem, *isa->functions);
  parallel_for(fused.tasks(), threads, [&](std::int64_t task, int /*worker*/) { fused.run(task); });
}

template <class T>
constexpr ActivationPath<T> kReference = {
    .path = Path::reference, .has_kernels = false, .run = run_reference<T>};

/// The paths in the order in which they are preferred; the reference is the last.
template <class T>
constexpr std::array<ActivationPath<T>, 1> kPaths = {kReference<T>};
template <>
constexpr std::array<ActivationPath<float>, 2> kPaths<float> = {
    ActivationPath<float>{.path = Path::fused, .has_kernels = true, .run = run_fused},
    kReference<float>};

template <class T>
Taken run(std::string_view function, const Problem<T>& problem, const Execution& execution) {
  const detail::PathChoice choice(function, std::span<const ActivationPath<T>>(kPaths<T>),
                                  execution, kDTypeOf<T>);
  choice.path.run(problem, choice.isa, execution.threads);
  return choice.taken();
}

template <class T>
void check_backward(std::string_view function, TensorView<const T> d_out, TensorView<const T> x) {
  detail::require_given(function, "d_out", d_out);
  detail::require_given(function, "x", x);
  detail::require_shape_of(function, "d_out", d_out, "x", x);
}

template <class T>
Tensor<T> activation_owning(TensorView<const T> x, const ActivationOptions& options) {
  const char* const function = "activation";
  detail::require_given(function, "x", x);
  Tensor<T> out = Tensor<T>::for_overwrite(x.shape());
  run<T>(function, {.out = out, .x = x, .d_out = {}, .activation = options.activation},
         options.execution);
  return out;
}

template <class T>
Taken activation_into_checked(TensorView<T> out, TensorView<const T> x,
                              const ActivationOptions& options) {
  const char* const function = "activation_into";
  detail::require_given(function, "x", x);
  detail::require_shape_of(function, "out", out, "x", x);
  detail::require_writable(function, "out", out);
  detail::require_in_place_or_apart(function, "out", out, "x", x);
  return run<T>(function, {.out = out, .x = x, .d_out = {}, .activation = options.activation},
                options.execution);
}

template <class T>
Tensor<T> activation_backward_owning(TensorView<const T> d_out, TensorView<const T> x,
                                     const ActivationOptions& options) {
  const char* const function = "activation_backward";
  check_backward(function, d_out, x);
  Tensor<T> d_x = Tensor<T>::for_overwrite(x.shape());
  run<T>(function, {.out = d_x, .x = x, .d_out = d_out, .activation = options.activation},
         options.execution);
  return d_x;
}

template <class T>
Taken activation_backward_into_checked(TensorView<T> d_x, TensorView<const T> d_out,
                                       TensorView<const T> x, const ActivationOptions& options) {
  const char* const function = "activation_backward_into";
  check_backward(function, d_out, x);
  detail::require_shape_of(function, "d_x", d_x, "x", x);
  detail::require_writable(function, "d_x", d_x);
  detail::require_in_place_or_apart(function, "d_x", d_x, "d_out", d_out);
  detail::require_apart(function, "d_x", d_x, "x", x);
  return run<T>(function, {.out = d_x, .x = x, .d_out = d_out, .activation = options.activation},
                options.execution);
}

}  // namespace

Tensor<float> activation(TensorView<const float> x, const ActivationOptions& options) {
  return activation_owning(x, options);
}

Tensor<double> activation(TensorView<const double> x, const ActivationOptions& options) {
  return activation_owning(x, options);
}

Taken activation_into(TensorView<float> out, TensorView<const float> x,
                      const ActivationOptions& options) {
  return activation_into_checked(out, x, options);
}

Taken activation_into(TensorView<double> out, TensorView<const double> x,
                      const ActivationOptions& options) {
  return activation_into_checked(out, x, options);
}

Tensor<float> activation_backward(TensorView<const float> d_out, TensorView<const float> x,
                                  const ActivationOptions& options) {
  return activation_backward_owning(d_out, x, options);
}

Tensor<double> activation_backward(TensorView<const double> d_out, TensorView<const double> x,
                                   const ActivationOptions& options) {
  return activation_backward_owning(d_out, x, options);
}

Taken activation_backward_into(TensorView<float> d_x, TensorView<const float> d_out,
                               TensorView<const float> x, const ActivationOptions& options) {
  return activation_backward_into_checked(d_x, d_out, x, options);
}

Taken activation_backward_into(TensorView<double> d_x, TensorView<const double> d_out,
                               TensorView<const double> x, const ActivationOptions& options) {
  return activation_backward_into_checked(d_x, d_out, x, options);
}

}  // namespace attention
