#include <algorithm>
#include <limits>
#include <type_traits>

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

/// The rows of a view for the heads that share keys; null for a null view.
template <class T>
class HeadGroup {
 public:
  HeadGroup(T* first, std::int64_t head_stride, std::int64_t query_stride)
      : first_(first), head_stride_(head_stride), query_stride_(query_stride) {}
  HeadGroup(const TensorView<T>& view, std::int64_t b, std::int64_t h)
      : HeadGroup(element_at(view, b, h, 0), view.is_null() ? 0 : view.strides()[1],
                  view.is_null() ? 0 : view.strides()[2]) {}
  T* at(std::int64_t head, std::int64_t i) const {
    return first_ == nullptr ? nullptr : first_ + head * head_stride_ + i * query_stride_;
  }

 private:
  T* first_;
  std::int64_t head_stride_;
  std::int64_t query_stride_;
};

HeadGroup<const std::byte> mask_of_group(const ScoreRules& rules, std::int64_t b, std::int64_t h) {
  if (rules.mask_kind == MaskKind::none) {
    return {nullptr, 0, 0};
  }
  const Strides& strides = rules.mask.strides();
  const auto bytes = static_cast<std::int64_t>(size_of(rules.mask.dtype()));
  const auto* const data = static_cast<const std::byte*>(rules.mask.data());
  return {data + (b * strides[0] + h * strides[1]) * bytes, strides[1] * bytes, strides[2] * bytes};
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
          .softcap = static_cast<float>(p.rules.softcap)};
}

template <class T>
void fill_rows(const SdpaProblem<T>& p, const RowRange& range, SdpaRows& rows) noexcept {
  const ScoreRules& rules = p.rules;
  const std::int64_t group = p.H / p.Hkv;
  const std::int64_t first_head = range.h_kv * group;
  rows.first = range.first_lane;
  rows.count = range.count;
  const HeadGroup q(p.q, range.b, first_head);
  const HeadGroup out(p.out, range.b, first_head);
  const HeadGroup lse(p.lse, range.b, first_head);
  const HeadGroup maximum(p.maximum, range.b, first_head);
  const HeadGroup weights(p.weights, range.b, first_head);
  const HeadGroup<const std::byte> mask = mask_of_group(rules, range.b, first_head);
  const KeyBounds bounds(p, range.b);
  std::int64_t i = range.begin / group;
  std::int64_t head = range.begin % group;  // in the group
  for (int lane = rows.first; lane < range.end_lane; ++lane) {
    const std::int64_t position = i + bounds.offset;
    rows.q[lane] = q.at(head, i);
    rows.out[lane] = out.at(head, i);
    rows.lse[lane] = lse.at(head, i);
    rows.maximum[lane] = maximum.at(head, i);
    rows.weights[lane] = weights.at(head, i);
    rows.mask[lane] = mask.at(head, i);
    rows.position[lane] = static_cast<float>(position);
    rows.slope[lane] = of_head(rules.alibi_slopes, first_head + head, 0.0F);
    rows.sink[lane] =
        of_head(rules.sinks, first_head + head, -std::numeric_limits<float>::infinity());
    rows.key_begin[lane] = std::clamp<std::int64_t>(position - bounds.back, 0, p.S);
    rows.key_end[lane] = std::clamp<std::int64_t>(position + bounds.ahead + 1, 0, bounds.length);
    if (lane + 1 < rows.first + rows.count && ++head == group) {  // past the last row: copies of it
      head = 0;
      ++i;
    }
  }
}

template SdpaHead sdpa_head(const SdpaProblem<float>&, std::int64_t, std::int64_t) noexcept;
template SdpaHead sdpa_head(const SdpaProblem<float16>&, std::int64_t, std::int64_t) noexcept;
template SdpaHead sdpa_head(const SdpaProblem<bfloat16>&, std::int64_t, std::int64_t) noexcept;
template void fill_rows(const SdpaProblem<float>&, const RowRange&, SdpaRows&) noexcept;
template void fill_rows(const SdpaProblem<float16>&, const RowRange&, SdpaRows&) noexcept;
template void fill_rows(const SdpaProblem<bfloat16>&, const RowRange&, SdpaRows&) noexcept;

}  // namespace attention::kernels
