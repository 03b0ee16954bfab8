#include <algorithm>

#include <attention/kernels/element_of.hpp>
#include <attention/kernels/sdpa_fused.hpp>
#include <attention/kernels/sdpa_rows.hpp>

namespace attention::kernels {
namespace {

/// Rows that go through the keys together where there are enough of them: each block of keys then
/// comes from the outer caches once for all, and is converted or interleaved once if it has 16
/// bits.
template <class T>
constexpr std::int64_t kRowsPerTask = sizeof(T) == sizeof(float) ? 128 : 256;
/// Tasks for each thread that keep the threads busy to the end.
constexpr std::int64_t kTasksPerThread = 4;

std::int64_t divided_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

}  // namespace

template <class T>
SdpaFused<T>::SdpaFused(const SdpaProblem<T>& problem, const IsaFunctions& isa,
                        int threads) noexcept
    : problem_(problem),
      isa_(isa),
      group_(problem.Hkv == 0 ? 0 : problem.H / problem.Hkv),
      panels_(divided_up(problem.L * group_, isa.panel_rows)) {
  const std::int64_t most =
      std::min<std::int64_t>(kMaxPanelsPerTask, divided_up(kRowsPerTask<T>, isa.panel_rows));
  const std::int64_t enough_tasks = kTasksPerThread * threads;
  const std::int64_t fair = problem.B * problem.Hkv * panels_ / enough_tasks;
  panels_per_task_ =
      problem.weights.is_null() ? static_cast<int>(std::clamp<std::int64_t>(fair, 1, most)) : 1;
  tasks_per_head_ = divided_up(panels_, panels_per_task_);
}

template <class T>
std::int64_t SdpaFused<T>::tasks() const noexcept {
  return problem_.B * problem_.Hkv * tasks_per_head_;
}

template <class T>
std::size_t SdpaFused<T>::scratch_size() const noexcept {
  return isa_.sdpa_forward_scratch(sdpa_head(problem_, 0, 0), panels_per_task_);
}

template <class T>
void SdpaFused<T>::run(std::int64_t task, std::byte* scratch) const noexcept {
  const std::int64_t head = task / tasks_per_head_;
  const std::int64_t b = head / problem_.Hkv;
  const std::int64_t h_kv = head % problem_.Hkv;
  // From the last rows: under a causal mask they have the most keys, and long tasks go first.
  const std::int64_t panel = (tasks_per_head_ - 1 - task % tasks_per_head_) * panels_per_task_;
  SdpaRows rows[kMaxPanelsPerTask];  // NOLINT(modernize-avoid-c-arrays): left uninitialised
  const int panels = static_cast<int>(std::min<std::int64_t>(panels_per_task_, panels_ - panel));
  for (int n = 0; n < panels; ++n) {
    const std::int64_t begin = (panel + n) * isa_.panel_rows;
    const auto count =
        static_cast<int>(std::min<std::int64_t>(isa_.panel_rows, problem_.L * group_ - begin));
    const auto steps = static_cast<int>(divided_up(count, isa_.row_step));
    fill_rows(problem_,
              {.b = b,
               .h_kv = h_kv,
               .begin = begin,
               .count = count,
               .first_lane = isa_.panel_rows - steps * isa_.row_step,
               .end_lane = isa_.panel_rows},
              rows[n]);
  }
  isa_.sdpa_forward({.head = sdpa_head(problem_, b, h_kv), .panels = panels, .rows = rows},
                    scratch);
}

template <class T>
std::size_t sdpa_fused_scratch(const IsaFunctions& isa, std::int64_t S, std::int64_t D,
                               std::int64_t Dv) noexcept {
  SdpaHead head = {};
  head.S = S;
  head.D = D;
  head.Dv = Dv;
  head.element = element_of(kDTypeOf<T>);
  head.mask_use = MaskUse::add;
  const std::size_t without_weights = isa.sdpa_forward_scratch(head, kMaxPanelsPerTask);
  head.has_weights = true;
  return std::max(without_weights, isa.sdpa_forward_scratch(head, 1));
}

template class SdpaFused<float>;
template class SdpaFused<float16>;
template class SdpaFused<bfloat16>;
template std::size_t sdpa_fused_scratch<float>(const IsaFunctions&, std::int64_t, std::int64_t,
                                               std::int64_t) noexcept;
template std::size_t sdpa_fused_scratch<float16>(const IsaFunctions&, std::int64_t, std::int64_t,
                                                 std::int64_t) noexcept;
template std::size_t sdpa_fused_scratch<bfloat16>(const IsaFunctions&, std::int64_t, std::int64_t,
                                                  std::int64_t) noexcept;

}  // namespace attention::kernels
