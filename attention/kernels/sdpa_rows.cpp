#include <algorithm>
#include <limits>
#include <type_traits>

#include <attention/kernels/dropout_fused.hpp>
#include <attention/kernels/element_of.hpp>
#include <attention/kernels/sdpa_rows.hpp>

namespace attention::kernels {
namespace {

/// A window as wide as this is without bound; sums of two of them do not overflow.
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

/// The element at `index` of a vector of one number per head, or `otherwise` if it is not given.
float of_head(const AnyView& vector, std::int64_t index, float otherwise) {
  return vector.is_null() ? otherwise : vector.load<float>(index * vector.strides()[0]);
}

template <class T>
T* element_at(const TensorView<T>& view, std::int64_t b, std::int64_t h, std::int64_t i) {
  const Strides& strides = view.strides();
  return view.is_null() ? nullptr : view.data() + b * strides[0] + h * strides[1] + i * strides[2];
}

/// Where rows (query, head of the group) of a tensor lie: row r is query r / group of head r %
/// group. Null if there is no such tensor.
template <class T>
struct RowWalk {
  T* first;
  std::int64_t head_stride;
  std::int64_t query_stride;
};

template <class T>
RowWalk<T> walk_of(const TensorView<T>& view, const RowRange& range, std::int64_t group) {
  if (view.is_null()) {
    return {};
  }
  return {.first = element_at(view, range.b, range.h_kv * group, 0),
          .head_stride = view.strides()[1],
          .query_stride = view.strides()[2]};
}

/// The rows of the lanes of a range.
template <class T, class Pointer>
void fill(const RowWalk<T>& walk, const RowRange& range, std::int64_t group, Pointer* lanes) {
  const int end = range.first_lane + range.count;
  if (walk.first == nullptr) {
    std::fill(lanes + range.first_lane, lanes + range.end_lane, nullptr);
    return;
  }
  T* row =
      walk.first + range.begin % group * walk.head_stride + range.begin / group * walk.query_stride;
  if (group == 1) {
    for (int lane = range.first_lane; lane < end; ++lane) {
      lanes[lane] = row + (lane - range.first_lane) * walk.query_stride;
    }
  } else {
    std::int64_t head = range.begin % group;
    for (int lane = range.first_lane; lane < end; ++lane) {
      lanes[lane] = row;
      const bool to_query = ++head == group;
      head = to_query ? 0 : head;
      row += to_query ? walk.query_stride - (group - 1) * walk.head_stride : walk.head_stride;
    }
  }
  std::fill(lanes + end, lanes + range.end_lane, lanes[end - 1]);
}

RowWalk<const std::byte> mask_walk(const ScoreRules& rules, const RowRange& range,
                                   std::int64_t group) {
  if (rules.mask_kind == MaskKind::none) {
    return {};
  }
  const Strides& strides = rules.mask.strides();
  const auto bytes = static_cast<std::int64_t>(size_of(rules.mask.dtype()));
  const std::int64_t first = range.b * strides[0] + range.h_kv * group * strides[1];
  return {.first = static_cast<const std::byte*>(rules.mask.data()) + first * bytes,
          .head_stride = strides[1] * bytes,
          .query_stride = strides[2] * bytes};
}

/// Which keys the rows of a batch entry see: those from position - back to position + ahead, of the
/// first `length`.
struct KeyBounds {
  std::int64_t offset;
  std::int64_t length;
  std::int64_t back;
  std::int64_t ahead;

  template <class T>
  KeyBounds(const SdpaProblem<T>& p, std::int64_t b)
      : offset(p.offset(b)),
        length(p.key_length(b)),
        back(width_of(p.rules.window_left)),
        ahead(p.rules.causal ? 0 : width_of(p.rules.window_right)) {}

 private:
  static std::int64_t width_of(std::int64_t window) {
    return window < 0 ? kWidest : std::min(window, kWidest);
  }
};

}  // namespace

template <class T>
SdpaHead sdpa_head(const SdpaProblem<T>& p, std::int64_t b, std::int64_t h_kv) noexcept {
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
          .softcap = static_cast<float>(p.rules.softcap),
          .dropout = dropout_rule(p.dropout)};
}

template <class T>
void fill_rows(const SdpaProblem<T>& p, const RowRange& range, SdpaRows& rows) noexcept {
  const ScoreRules& rules = p.rules;
  const std::int64_t group = p.H / p.Hkv;
  rows.first = range.first_lane;
  rows.count = range.count;
  fill(walk_of(p.q, range, group), range, group, rows.q);
  fill(walk_of(p.out, range, group), range, group, rows.out);
  fill(walk_of(p.lse, range, group), range, group, rows.lse);
  fill(walk_of(p.maximum, range, group), range, group, rows.maximum);
  fill(walk_of(p.weights, range, group), range, group, rows.weights);
  fill(mask_walk(rules, range, group), range, group, rows.mask);
  const KeyBounds bounds(p, range.b);
  const std::int64_t first_head = range.h_kv * group;
  std::int64_t position = range.begin / group + bounds.offset;
  std::int64_t head = range.begin % group;  // in the group
  const int last = range.first_lane + range.count - 1;
  for (int lane = range.first_lane; lane < range.end_lane; ++lane) {
    rows.position[lane] = static_cast<float>(position);
    rows.slope[lane] = of_head(rules.alibi_slopes, first_head + head, 0.0F);
    rows.sink[lane] =
        of_head(rules.sinks, first_head + head, -std::numeric_limits<float>::infinity());
    rows.query[lane] = static_cast<std::uint32_t>(position - bounds.offset);
    rows.head[lane] = static_cast<std::uint32_t>(range.b * p.H + first_head + head);
    rows.key_begin[lane] = std::clamp<std::int64_t>(position - bounds.back, 0, p.S);
    rows.key_end[lane] = std::clamp<std::int64_t>(position + bounds.ahead + 1, 0, bounds.length);
    if (lane < last && ++head == group) {
      head = 0;
      ++position;
    }
  }
}

template <class Element>
void fill_lanes(const TensorView<Element>& tensor, const RowRange& range, std::int64_t group,
                Element** lanes) noexcept {
  fill(walk_of(tensor, range, group), range, group, lanes);
}

template void fill_lanes(const TensorView<float>&, const RowRange&, std::int64_t, float**) noexcept;
template void fill_lanes(const TensorView<const float>&, const RowRange&, std::int64_t,
                         const float**) noexcept;
template SdpaHead sdpa_head(const SdpaProblem<float>&, std::int64_t, std::int64_t) noexcept;
template SdpaHead sdpa_head(const SdpaProblem<float16>&, std::int64_t, std::int64_t) noexcept;
template SdpaHead sdpa_head(const SdpaProblem<bfloat16>&, std::int64_t, std::int64_t) noexcept;
template void fill_rows(const SdpaProblem<float>&, const RowRange&, SdpaRows&) noexcept;
template void fill_rows(const SdpaProblem<float16>&, const RowRange&, SdpaRows&) noexcept;
template void fill_rows(const SdpaProblem<bfloat16>&, const RowRange&, SdpaRows&) noexcept;

}  // namespace attention::kernels
