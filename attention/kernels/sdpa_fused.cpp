#include <algorithm>
#include <limits>
#include <type_traits>

#include <attention/kernels/element_of.hpp>
#include <attention/kernels/sdpa_fused.hpp>

namespace attention::kernels {
namespace {

/// Rows that go through the keys together where there are enough of them: each block of keys then
/// comes from the outer caches once for all.
constexpr std::int64_t kRowsPerTask = 128;
/// Tasks for each thread that keep the threads busy to the end.
constexpr std::int64_t kTasksPerThread = 4;
/// Windows wider than this are without bound; sums of two of them do not overflow.
constexpr std::int64_t kWidest = std::int64_t{1} << 60;

constexpr MaskUse use_of(MaskKind kind) {
  switch (kind) {
    case MaskKind::keep:
      return MaskUse::keep;
    case MaskKind::block:
      return MaskUse::block;
    case MaskKind::add:
      return MaskUse::add;
    case MaskKind::none:
      break;
  }
  return MaskUse::none;
}

std::int64_t divided_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

/// The element at `index` of a vector of one number per head, or `otherwise` if it is not given.
float of_head(const AnyView& vector, std::int64_t index, float otherwise) {
  return vector.is_null() ? otherwise : vector.load<float>(index * vector.strides()[0]);
}

template <class T>
T* element_at(const TensorView<T>& view, std::int64_t b, std::int64_t h, std::int64_t i) {
  const Strides& strides = view.strides();
  return view.is_null() ? nullptr : view.data() + b * strides[0] + h * strides[1] + i * strides[2];
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
      std::min<std::int64_t>(kMaxPanelsPerTask, divided_up(kRowsPerTask, isa.panel_rows));
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
  return isa_.sdpa_forward_scratch(head_of(0, 0), panels_per_task_);
}

template <class T>
SdpaHead SdpaFused<T>::head_of(std::int64_t b, std::int64_t h_kv) const noexcept {
  const SdpaProblem<T>& p = problem_;
  const AnyView& mask = p.rules.mask;
  const bool has_mask = p.rules.mask_kind != MaskKind::none;
  return {.S = p.S,
          .D = p.D,
          .Dv = p.Dv,
          .k = element_at(p.k, b, h_kv, 0),
          .v = element_at(p.v, b, h_kv, 0),
          .k_row = p.k.strides()[2],
          .k_feature = p.k.strides()[3],
          .v_row = p.v.strides()[2],
          .v_feature = p.v.strides()[3],
          .q_feature = p.q.strides()[3],
          .out_feature = p.out.strides()[3],
          .weights_key = p.weights.is_null() ? 0 : p.weights.strides()[3],
          .mask_key = has_mask ? mask.strides()[3] : 0,
          .element = element_of(kDTypeOf<T>),
          .mask_element = has_mask ? element_of(mask.dtype()) : Element::f32,
          .mask_use = use_of(p.rules.mask_kind),
          .has_alibi = !p.rules.alibi_slopes.is_null(),
          .has_sinks = !p.rules.sinks.is_null(),
          .has_weights = !p.weights.is_null(),
          .scale = static_cast<float>(p.rules.scale),
          .softcap = static_cast<float>(p.rules.softcap)};
}

template <class T>
void SdpaFused<T>::fill_rows(std::int64_t b, std::int64_t h_kv, std::int64_t panel,
                             SdpaRows& rows) const noexcept {
  const SdpaProblem<T>& p = problem_;
  const ScoreRules& rules = p.rules;
  const std::int64_t row_begin = panel * isa_.panel_rows;
  rows.count = static_cast<int>(std::min<std::int64_t>(isa_.panel_rows, p.L * group_ - row_begin));
  rows.first =
      isa_.panel_rows - static_cast<int>(divided_up(rows.count, isa_.row_step)) * isa_.row_step;
  const std::int64_t key_length = p.key_length(b);
  const std::int64_t offset = p.offset(b);
  const std::int64_t left = std::min(rules.window_left, kWidest);
  const std::int64_t right = std::min(rules.window_right, kWidest);
  const std::size_t mask_bytes =
      rules.mask_kind == MaskKind::none ? 0 : size_of(rules.mask.dtype());
  std::int64_t i = row_begin / group_;
  std::int64_t head_in_group = row_begin % group_;
  for (int n = 0; n < isa_.panel_rows - rows.first; ++n) {
    const int lane = rows.first + n;
    const std::int64_t h = h_kv * group_ + head_in_group;
    const std::int64_t position = i + offset;
    rows.q[lane] = element_at(p.q, b, h, i);
    rows.out[lane] = element_at(p.out, b, h, i);
    rows.lse[lane] = element_at(p.lse, b, h, i);
    rows.maximum[lane] = nullptr;
    rows.weights[lane] = element_at(p.weights, b, h, i);
    rows.mask[lane] = nullptr;
    if (mask_bytes != 0) {
      const Strides& strides = rules.mask.strides();
      const std::int64_t elements = b * strides[0] + h * strides[1] + i * strides[2];
      rows.mask[lane] = static_cast<const std::byte*>(rules.mask.data()) +
                        elements * static_cast<std::int64_t>(mask_bytes);
    }
    rows.position[lane] = static_cast<float>(position);
    rows.slope[lane] = of_head(rules.alibi_slopes, h, 0.0F);
    rows.sink[lane] = of_head(rules.sinks, h, -std::numeric_limits<float>::infinity());
    std::int64_t begin = 0;
    std::int64_t end = key_length;
    if (left >= 0) {
      begin = std::clamp<std::int64_t>(position - left, 0, p.S);
    }
    if (right >= 0) {
      end = std::min(end, position + right + 1);
    }
    if (rules.causal) {
      end = std::min(end, position + 1);
    }
    rows.key_begin[lane] = begin;
    rows.key_end[lane] = std::max<std::int64_t>(end, 0);
    if (n + 1 < rows.count && ++head_in_group == group_) {  // past the last row: copies of it
      head_in_group = 0;
      ++i;
    }
  }
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
    fill_rows(b, h_kv, panel + n, rows[n]);
  }
  isa_.sdpa_forward({.head = head_of(b, h_kv), .panels = panels, .rows = rows}, scratch);
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
