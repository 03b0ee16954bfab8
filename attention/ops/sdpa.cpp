#include <algorithm>
#include <string>
#include <string_view>

#include <attention/core/parallel.hpp>
#include <attention/kernels/sdpa_decode.hpp>
#include <attention/ops/detail/isa_choice.hpp>
#include <attention/ops/detail/sdpa_check.hpp>
#include <attention/ops/detail/sdpa_paths.hpp>
#include <attention/ops/detail/workspace.hpp>
#include <attention/ops/sdpa.hpp>

namespace attention {
namespace {

/// The path of a call, and its kernels if it has any.
template <class T>
struct Choice {
  const detail::SdpaPath<T>& path;
  const kernels::IsaKernels* isa;

  Choice(std::string_view function, const Execution& execution)
      : path(detail::choose_path(function, detail::sdpa_paths<T>(), execution, kDTypeOf<T>)),
        isa(path.has_kernels ? &detail::choose_isa(function, execution) : nullptr) {}

  Taken taken() const {
    return {.path = path.path, .isa = isa == nullptr ? std::nullopt : std::optional(isa->isa)};
  }
  std::size_t workspace_size(const SdpaSize& size, const Execution& execution) const {
    return detail::workspace_size(path.scratch_for_size(size, isa), execution);
  }
};

template <class T>
SdpaResult<T> sdpa_owning(TensorView<const T> q, TensorView<const T> k, TensorView<const T> v,
                          const SdpaOptions& options) {
  SdpaProblem<T> problem = detail::checked_problem("sdpa", q, k, v, options);
  const Choice<T> choice("sdpa", options.execution);
  SdpaResult<T> result;
  result.taken = choice.taken();
  result.out = Tensor<T>::for_overwrite({problem.B, problem.H, problem.L, problem.Dv});
  result.lse = Tensor<Accumulator<T>>::for_overwrite({problem.B, problem.H, problem.L});
  problem.out = result.out;
  problem.lse = result.lse;
  if (options.return_maximum) {
    result.maximum = Tensor<Accumulator<T>>::for_overwrite({problem.B, problem.H, problem.L});
    problem.maximum = result.maximum;
  }
  if (options.return_weights) {
    result.weights =
        Tensor<Accumulator<T>>::for_overwrite({problem.B, problem.H, problem.L, problem.S});
    problem.weights = result.weights;
  }
  const int threads = resolve_threads(options.execution.threads);
  detail::OwnedWorkspace workspace(
      detail::workspace_size(choice.path.scratch(problem, choice.isa, threads), options.execution));
  choice.path.run(problem, choice.isa, threads, workspace.bytes());
  return result;
}

template <class T>
Taken sdpa_into_checked(const SdpaOutputs<T>& outputs, TensorView<const T> q, TensorView<const T> k,
                        TensorView<const T> v, const SdpaOptions& options,
                        std::span<std::byte> workspace) {
  SdpaProblem<T> problem = detail::checked_problem("sdpa_into", q, k, v, options);
  detail::set_checked_outputs("sdpa_into", problem, outputs);
  const Choice<T> choice("sdpa_into", options.execution);
  const SdpaSize size = {.B = problem.B,
                         .H = problem.H,
                         .Hkv = problem.Hkv,
                         .L = problem.L,
                         .S = problem.S,
                         .D = problem.D,
                         .Dv = problem.Dv,
                         .dtype = kDTypeOf<T>};
  detail::require_workspace("sdpa_into", workspace, choice.workspace_size(size, options.execution));
  choice.path.run(problem, choice.isa, resolve_threads(options.execution.threads), workspace);
  return choice.taken();
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

Taken sdpa_into(const SdpaOutputs<float>& outputs, TensorView<const float> q,
                TensorView<const float> k, TensorView<const float> v, const SdpaOptions& options,
                std::span<std::byte> workspace) {
  return sdpa_into_checked(outputs, q, k, v, options, workspace);
}

Taken sdpa_into(const SdpaOutputs<double>& outputs, TensorView<const double> q,
                TensorView<const double> k, TensorView<const double> v, const SdpaOptions& options,
                std::span<std::byte> workspace) {
  return sdpa_into_checked(outputs, q, k, v, options, workspace);
}

Taken sdpa_into(const SdpaOutputs<float16>& outputs, TensorView<const float16> q,
                TensorView<const float16> k, TensorView<const float16> v,
                const SdpaOptions& options, std::span<std::byte> workspace) {
  return sdpa_into_checked(outputs, q, k, v, options, workspace);
}

Taken sdpa_into(const SdpaOutputs<bfloat16>& outputs, TensorView<const bfloat16> q,
                TensorView<const bfloat16> k, TensorView<const bfloat16> v,
                const SdpaOptions& options, std::span<std::byte> workspace) {
  return sdpa_into_checked(outputs, q, k, v, options, workspace);
}

std::int64_t prefill_multiple() noexcept {
  constexpr std::int64_t kMultiple = 16;
  static_assert(kMultiple > kernels::kMostDecodeQueries);
  return kMultiple;
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
      return Choice<T>(function, execution).workspace_size(size, execution);
    }
    return 0;
  });
}

}  // namespace attention
