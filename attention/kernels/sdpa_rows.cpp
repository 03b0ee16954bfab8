#include <algorithm>
#include <limits>
#include <type_traits>

#include <attention/kernels/element_of.hpp>
#include <attention/kernels/sdpa_rows.hpp>

namespace attention::kernels {
namespace {

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
  const std::int64_t b = range.b;
  const std::int64_t group = p.H / p.Hkv;
  rows.first = range.first_lane;
  rows.count = range.count;
  const std::int64_t key_length = p.key_length(b);
  const std::int64_t offset = p.offset(b);
  const std::int64_t left = std::min(rules.window_left, kWidest);
  const std::int64_t right = std::min(rules.window_right, kWidest);
  const std::size_t mask_bytes =
      rules.mask_kind == MaskKind::none ? 0 : size_of(rules.mask.dtype());
  std::int64_t i = range.begin / group;
  std::int64_t head_in_group = range.begin % group;
  for (int lane = rows.first; lane < range.end_lane; ++lane) {
    const std::int64_t h = range.h_kv * group + head_in_group;
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
    if (lane + 1 < rows.first + rows.count &&
        ++head_in_group == group) {  // past the last row: copies of it
      head_in_group = 0;
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
