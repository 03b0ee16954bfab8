#include <algorithm>
#include <string>

#include <attention/core/parallel.hpp>
#include <attention/ops/detail/sdpa_check.hpp>
#include <attention/ops/detail/sdpa_paths.hpp>
#include <attention/ops/detail/workspace.hpp>
#include <attention/ops/sdpa.hpp>

namespace attention {
namespace {

template <class T>
const detail::SdpaPath<T>& chosen_path(const char* function, const Execution& execution) {
  return detail::choose_path(function, detail::sdpa_paths<T>(), execution, kDTypeOf<T>);
}

template <class T>
std::size_t workspace_size(const detail::SdpaPath<T>& path, const SdpaSize& size,
                           const Execution& execution) {
  return detail::workspace_size(path.scratch_size(size), execution);
}

template <class T>
SdpaSize size_of_problem(const SdpaProblem<T>& p) {
  return {.B = p.B,
          .H = p.H,
          .Hkv = p.Hkv,
          .L = p.L,
          .S = p.S,
          .D = p.D,
          .Dv = p.Dv,
          .dtype = kDTypeOf<T>};
}

/// Runs a checked problem: one task is one panel of queries of one head.
template <class T>
void run(const SdpaProblem<T>& problem, const detail::SdpaPath<T>& path, const Execution& execution,
         std::span<std::byte> workspace) {
  const detail::WorkerScratch scratch(workspace, path.scratch_size(size_of_problem(problem)));
  const std::int64_t panels = (problem.L + path.queries_per_task - 1) / path.queries_per_task;
  parallel_for(
      problem.B * problem.H * panels, execution.threads, [&](std::int64_t task, int worker) {
        const std::int64_t head = task / panels;
        // From the last panel: under a causal mask it has the most keys, and long tasks go first.
        const std::int64_t i_begin = (panels - 1 - task % panels) * path.queries_per_task;
        const std::int64_t count = std::min(path.queries_per_task, problem.L - i_begin);
        path.run(problem, head / problem.H, head % problem.H, i_begin, count, scratch.of(worker));
      });
}

template <class T>
SdpaResult<T> sdpa_owning(TensorView<const T> q, TensorView<const T> k, TensorView<const T> v,
                          const SdpaOptions& options) {
  SdpaProblem<T> problem = detail::checked_problem("sdpa", q, k, v, options);
  const detail::SdpaPath<T>& path = chosen_path<T>("sdpa", options.execution);
  SdpaResult<T> result;
  result.path = path.path;
  result.out = Tensor<T>({problem.B, problem.H, problem.L, problem.Dv});
  result.lse = Tensor<Accumulator<T>>({problem.B, problem.H, problem.L});
  problem.out = result.out;
  problem.lse = result.lse;
  if (options.return_weights) {
    result.weights = Tensor<Accumulator<T>>({problem.B, problem.H, problem.L, problem.S});
    problem.weights = result.weights;
  }
  detail::OwnedWorkspace workspace(
      workspace_size(path, size_of_problem(problem), options.execution));
  run(problem, path, options.execution, workspace.bytes());
  return result;
}

template <class T>
Path sdpa_into_checked(const SdpaOutputs<T>& outputs, TensorView<const T> q, TensorView<const T> k,
                       TensorView<const T> v, const SdpaOptions& options,
                       std::span<std::byte> workspace) {
  SdpaProblem<T> problem = detail::checked_problem("sdpa_into", q, k, v, options);
  detail::set_checked_outputs("sdpa_into", problem, outputs);
  const detail::SdpaPath<T>& path = chosen_path<T>("sdpa_into", options.execution);
  detail::require_workspace("sdpa_into", workspace,
                            workspace_size(path, size_of_problem(problem), options.execution));
  run(problem, path, options.execution, workspace);
  return path.path;
}

}  // namespace

SdpaResult<float> sdpa(TensorView<const float> q, TensorView<const float> k,
                       TensorView<const float> v, const SdpaOptions& options) {
  return sdpa_owning(q, k, v, options);
}

SdpaResult<double> sdpa(TensorView<const double> q, TensorView<const double> k,
                        TensorView<const double> v, const SdpaOptions& options) {
  return sdpa_owning(q, k, v, options);
}

SdpaResult<float16> sdpa(TensorView<const float16> q, TensorView<const float16> k,
                         TensorView<const float16> v, const SdpaOptions& options) {
  return sdpa_owning(q, k, v, options);
}

SdpaResult<bfloat16> sdpa(TensorView<const bfloat16> q, TensorView<const bfloat16> k,
                          TensorView<const bfloat16> v, const SdpaOptions& options) {
  return sdpa_owning(q, k, v, options);
}

Path sdpa_into(const SdpaOutputs<float>& outputs, TensorView<const float> q,
               TensorView<const float> k, TensorView<const float> v, const SdpaOptions& options,
               std::span<std::byte> workspace) {
  return sdpa_into_checked(outputs, q, k, v, options, workspace);
}

Path sdpa_into(const SdpaOutputs<double>& outputs, TensorView<const double> q,
               TensorView<const double> k, TensorView<const double> v, const SdpaOptions& options,
               std::span<std::byte> workspace) {
  return sdpa_into_checked(outputs, q, k, v, options, workspace);
}

Path sdpa_into(const SdpaOutputs<float16>& outputs, TensorView<const float16> q,
               TensorView<const float16> k, TensorView<const float16> v, const SdpaOptions& options,
               std::span<std::byte> workspace) {
  return sdpa_into_checked(outputs, q, k, v, options, workspace);
}

Path sdpa_into(const SdpaOutputs<bfloat16>& outputs, TensorView<const bfloat16> q,
               TensorView<const bfloat16> k, TensorView<const bfloat16> v,
               const SdpaOptions& options, std::span<std::byte> workspace) {
  return sdpa_into_checked(outputs, q, k, v, options, workspace);
}

std::size_t sdpa_workspace_size(const SdpaSize& size, const Execution& execution) {
  const char* const function = "sdpa_workspace_size";
  require(std::min({size.B, size.H, size.Hkv, size.L, size.S, size.D, size.Dv}) >= 0, function,
          "no size may be negative", [&] {
            return "(B, H, L, S, D, Dv) = " +
                   to_string({size.B, size.H, size.L, size.S, size.D, size.Dv}) +
                   ", Hkv = " + std::to_string(size.Hkv);
          });
  require(is_floating(size.dtype), function, "dtype must be a floating type",
          [&] { return std::string(name_of(size.dtype)); });
  return visit(size.dtype, [&]<class T>() -> std::size_t {
    if constexpr (is_floating(kDTypeOf<T>)) {
      return workspace_size(chosen_path<T>(function, execution), size, execution);
    }
    return 0;
  });
}

}  // namespace attention
