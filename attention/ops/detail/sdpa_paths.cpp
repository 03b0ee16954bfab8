#include <algorithm>
#include <array>

#include <attention/core/parallel.hpp>
#include <attention/kernels/sdpa_decode.hpp>
#include <attention/kernels/sdpa_fused.hpp>
#include <attention/ops/detail/sdpa_paths.hpp>
#include <attention/ops/detail/workspace.hpp>
#include <attention/reference/sdpa.hpp>

namespace attention::detail {
namespace {

using JudgedKey = reference::VisibleKey<double>;
constexpr std::int64_t kReferenceRows = 4;  // of a task

std::size_t reference_scratch(std::int64_t S) {
  return static_cast<std::size_t>(S) * sizeof(JudgedKey);
}

template <class T>
void run_reference(const SdpaProblem<T>& problem, const kernels::IsaKernels* /*isa*/, int threads,
                   std::span<std::byte> workspace) {
  const WorkerScratch scratch(workspace, reference_scratch(problem.S));
  const std::int64_t pieces = (problem.L + kReferenceRows - 1) / kReferenceRows;
  parallel_for(problem.B * problem.H * pieces, threads, [&](std::int64_t task, int worker) {
    const std::int64_t head = task / pieces;
    // From the last rows: under a causal mask they have the most keys, and long tasks go first.
    const std::int64_t begin = (pieces - 1 - task % pieces) * kReferenceRows;
    for (std::int64_t i = begin; i < std::min(begin + kReferenceRows, problem.L); ++i) {
      reference::sdpa_row(problem, head / problem.H, head % problem.H, i,
                          reinterpret_cast<JudgedKey*>(scratch.of(worker)));
    }
  });
}

template <class T>
constexpr SdpaPath<T> kReference = {
    .path = Path::reference,
    .has_kernels = false,
    .scratch = [](const SdpaProblem<T>& problem, const kernels::IsaKernels* /*isa*/,
                  int /*threads*/) { return reference_scratch(problem.S); },
    .scratch_for_size =
        [](const SdpaSize& size, const kernels::IsaKernels* /*isa*/) {
          return reference_scratch(size.S);
        },
    .run = run_reference<T>};

template <class T>
bool has_few_queries(const SdpaProblem<T>& problem) {
  return problem.L <= kernels::kMostDecodeQueries;
}

template <class T>
void run_decode(const SdpaProblem<T>& problem, const kernels::IsaKernels* isa, int threads,
                std::span<std::byte> workspace) {
  const kernels::SdpaDecode<T> decode(problem, *isa->functions, threads);
  const WorkerScratch scratch(workspace, decode.scratch_size());
  const auto scratch_of = [&](int worker) { return scratch.of(worker); };
  parallel_for(decode.tasks(), threads,
               [&](std::int64_t task, int worker) { decode.run(task, worker, scratch_of); });
  parallel_for(decode.merges(), threads,
               [&](std::int64_t group, int worker) { decode.merge(group, worker, scratch_of); });
}

template <class T>
void run_fused(const SdpaProblem<T>& problem, const kernels::IsaKernels* isa, int threads,
               std::span<std::byte> workspace) {
  if (has_few_queries(problem)) {
    run_decode(problem, isa, threads, workspace);
    return;
  }
  const kernels::SdpaFused<T> fused(problem, *isa->functions, threads);
  const WorkerScratch scratch(workspace, fused.scratch_size());
  parallel_for(fused.tasks(), threads,
               [&](std::int64_t task, int worker) { fused.run(task, scratch.of(worker)); });
}

template <class T>
std::size_t fused_scratch(const SdpaProblem<T>& problem, const kernels::IsaKernels* isa,
                          int threads) {
  return has_few_queries(problem)
             ? kernels::SdpaDecode<T>(problem, *isa->functions, threads).scratch_size()
             : kernels::SdpaFused<T>(problem, *isa->functions, threads).scratch_size();
}

template <class T>
std::size_t fused_scratch_for_size(const SdpaSize& size, const kernels::IsaKernels* isa) {
  SdpaProblem<T> sizes;
  sizes.B = size.B;
  sizes.H = size.H;
  sizes.Hkv = size.Hkv;
  sizes.L = size.L;
  sizes.S = size.S;
  sizes.D = size.D;
  sizes.Dv = size.Dv;
  return has_few_queries(sizes)
             ? kernels::sdpa_decode_scratch(*isa->functions, sizes)
             : kernels::sdpa_fused_scratch<T>(*isa->functions, size.S, size.D, size.Dv);
}

template <class T>
constexpr SdpaPath<T> kFused = {.path = Path::fused,
                                .has_kernels = true,
                                .scratch = fused_scratch<T>,
                                .scratch_for_size = fused_scratch_for_size<T>,
                                .run = run_fused<T>};

}  // namespace

template <class T>
std::span<const SdpaPath<T>> sdpa_paths() {
  static constexpr std::array<SdpaPath<T>, 2> kPaths = {kFused<T>, kReference<T>};
  return kPaths;
}

template <>
std::span<const SdpaPath<double>> sdpa_paths() {
  static constexpr std::array<SdpaPath<double>, 1> kPaths = {kReference<double>};
  return kPaths;
}

template std::span<const SdpaPath<float>> sdpa_paths();
template std::span<const SdpaPath<float16>> sdpa_paths();
template std::span<const SdpaPath<bfloat16>> sdpa_paths();

}  // namespace attention::detail
