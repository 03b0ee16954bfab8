#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <attention/core/parallel.hpp>
#include <attention/kernels/sdpa_backward_fused.hpp>
#include <attention/ops/detail/checks.hpp>
#include <attention/ops/detail/isa_choice.hpp>
#include <attention/ops/detail/sdpa_check.hpp>
#include <attention/ops/detail/workspace.hpp>
#include <attention/ops/sdpa_backward.hpp>
#include <attention/reference/sdpa_backward.hpp>

namespace attention {
namespace {

/// One way to compute the gradients. `isa` is not looked at by a path that has no kernels.
template <class T>
struct BackwardPath {
  Path path;
  bool has_kernels;
  void (*run)(const SdpaBackwardProblem<T>& problem, const kernels::IsaKernels* isa, int threads);
};

template <class T>
constexpr BackwardPath<T> kReference = {
    .path = Path::reference,
    .has_kernels = false,
    .run = [](const SdpaBackwardProblem<T>& problem, const kernels::IsaKernels* /*isa*/,
              int /*threads*/) { reference::sdpa_backward<double>(problem); }};

void run_fused(const SdpaBackwardProblem<float>& problem, const kernels::IsaKernels* isa,
               int threads) {
  const SdpaProblem<float>& forward = problem.forward;
  std::vector<double> sink_sums(
      problem.d_sinks.is_null() ? 0 : static_cast<std::size_t>(forward.B * forward.H));
  const kernels::SdpaBackwardFused fused(problem, *isa->functions, sink_sums);
  const int workers = problem.d_mask.is_null() ? threads : 1;
  if (fused.tasks() > 0) {
    detail::OwnedWorkspace workspace(
        detail::workspace_size(fused.scratch_size(), {.threads = workers}));
    const detail::WorkerScratch scratch(workspace.bytes(), fused.scratch_size());
    parallel_for(fused.tasks(), workers,
                 [&](std::int64_t task, int worker) { fused.run(task, scratch.of(worker)); });
  }
  for (std::int64_t h = 0; h < forward.H && !problem.d_sinks.is_null(); ++h) {
    double sum = 0;
    for (std::int64_t b = 0; b < forward.B; ++b) {
      sum += sink_sums[static_cast<std::size_t>(b * forward.H + h)];
    }
    problem.d_sinks(h) = static_cast<float>(sum);
  }
}

/// The paths in the order in which they are preferred; the reference is the last.
template <class T>
constexpr std::array<BackwardPath<T>, 1> kPaths = {kReference<T>};
template <>
constexpr std::array<BackwardPath<float>, 2> kPaths<float> = {
    BackwardPath<float>{.path = Path::fused, .has_kernels = true, .run = run_fused},
    kReference<float>};

template <class View>
void check_given(std::string_view function, std::string_view name, const View& view,
                 const Shape& expected) {
  require(view.shape() == expected, [&] {
    return Error(function, detail::describe(std::string(name) + " must have the shape", expected),
                 to_string(view.shape()));
  });
  detail::require_given(function, name, view);
}

template <class T>
SdpaGradients<T> sdpa_backward_owning(TensorView<const T> d_out, TensorView<const T> q,
                                      TensorView<const T> k, TensorView<const T> v,
                                      const SdpaSaved<T>& saved, const SdpaOptions& options) {
  const char* const function = "sdpa_backward";
  SdpaBackwardProblem<T> problem;
  problem.forward = detail::checked_problem(function, q, k, v, options);
  const SdpaProblem<T>& forward = problem.forward;
  const Shape out = {forward.B, forward.H, forward.L, forward.Dv};
  check_given(function, "d_out", d_out, out);
  check_given(function, "saved.out", saved.out, out);
  check_given(function, "saved.lse", saved.lse, {forward.B, forward.H, forward.L});
  require(!options.return_mask_gradient || options.mask.kind() == MaskKind::add, function,
          "return_mask_gradient needs an additive mask", [&] {
            return std::string(options.mask.view().is_null() ? "no mask" : "a boolean mask");
          });
  const auto& path = detail::choose_path(function, std::span<const BackwardPath<T>>(kPaths<T>),
                                         options.execution, kDTypeOf<T>);
  const kernels::IsaKernels* const isa =
      path.has_kernels ? &detail::choose_isa(function, options.execution) : nullptr;

  SdpaGradients<T> gradients;
  gradients.taken = {.path = path.path,
                     .isa = isa == nullptr ? std::nullopt : std::optional(isa->isa)};
  gradients.q = Tensor<T>::for_overwrite(q.shape());
  gradients.k = Tensor<T>::for_overwrite(k.shape());
  gradients.v = Tensor<T>::for_overwrite(v.shape());
  problem.out = saved.out;
  problem.lse = saved.lse;
  problem.d_out = d_out;
  problem.d_q = gradients.q;
  problem.d_k = gradients.k;
  problem.d_v = gradients.v;
  if (options.return_mask_gradient) {
    gradients.mask = Tensor<Accumulator<T>>(options.mask.view().shape());
    problem.d_mask = gradients.mask;
    problem.d_mask_strides =
        problem.d_mask.broadcast_to({forward.B, forward.H, forward.L, forward.S}).strides();
  }
  if (!options.sinks.is_null()) {
    gradients.sinks = Tensor<Accumulator<T>>({forward.H});
    problem.d_sinks = gradients.sinks;
  }
  path.run(problem, isa, resolve_threads(options.execution.threads));
  return gradients;
}

}  // namespace

SdpaGradients<float> sdpa_backward(TensorView<const float> d_out, TensorView<const float> q,
                                   TensorView<const float> k, TensorView<const float> v,
                                   const SdpaSaved<float>& saved, const SdpaOptions& options) {
  return sdpa_backward_owning(d_out, q, k, v, saved, options);
}

SdpaGradients<double> sdpa_backward(TensorView<const double> d_out, TensorView<const double> q,
                                    TensorView<const double> k, TensorView<const double> v,
                                    const SdpaSaved<double>& saved, const SdpaOptions& options) {
  return sdpa_backward_owning(d_out, q, k, v, saved, options);
}

SdpaGradients<float16> sdpa_backward(TensorView<const float16> d_out, TensorView<const float16> q,
                                     TensorView<const float16> k, TensorView<const float16> v,
                                     const SdpaSaved<float16>& saved, const SdpaOptions& options) {
  return sdpa_backward_owning(d_out, q, k, v, saved, options);
}

SdpaGradients<bfloat16> sdpa_backward(TensorView<const bfloat16> d_out,
                                      TensorView<const bfloat16> q, TensorView<const bfloat16> k,
                                      TensorView<const bfloat16> v,
                                      const SdpaSaved<bfloat16>& saved,
                                      const SdpaOptions& options) {
  return sdpa_backward_owning(d_out, q, k, v, saved, options);
}

}  // namespace attention
