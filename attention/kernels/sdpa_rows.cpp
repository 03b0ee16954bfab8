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

/// Walks over the rows of a view: the heads that share keys, query by query. Stays null for a null
/// view.
template <class T>
class RowCursor {
 public:
  RowCursor(T* first, std::int64_t head_stride, std::int64_t query_stride, const RowRange& range,
            std::int64_t group)
      : row_(first == nullptr
                 ? nullptr
                 : first + range.begin % group * head_stride + range.begin / group * query_stride),
        to_next_head_(head_stride),
        to_next_query_(query_stride - (group - 1) * head_stride) {}
  RowCursor(const TensorView<T>& view, const RowRange& range, std::int64_t group)
      : RowCursor(element_at(view, range.b, range.h_kv * group, 0),
                  view.is_null() ? 0 : view.strides()[1], view.is_null() ? 0 : view.strides()[2],
                  range, group) {}
  T* row() const { return row_; }
  void advance(bool to_query) {
    row_ = row_ == nullptr ? nullptr : row_ + (to_query ? to_next_query_ : to_next_head_);
  }

 private:
  T* row_;
  std::int64_t to_next_head_;
  std::int64_t to_next_query_;
};

RowCursor<const std::byte> mask_cursor(const ScoreRules& rules, const RowRange& range,
                                       std::int64_t group) {
  if (rules.mask_kind == MaskKind::none) {
    return {nullptr, 0, 0, range, group};
  }
  const Strides& strides = rules.mask.strides();
  const auto bytes = static_cast<std::int64_t>(size_of(rules.mask.dtype()));
  const auto* const data = static_cast<const std::byte*>(rules.mask.data());
  const std::int64_t first = range.b * strides[0] + range.h_kv * group * strides[1];
  return {data + first * bytes, strides[1] * bytes, strides[2] * bytes, range, group};
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
  RowCursor q(p.q, range, group);
  RowCursor out(p.out, range, group);
  RowCursor lse(p.lse, range, group);
  RowCursor maximum(p.maximum, range, group);
  RowCursor weights(p.weights, range, group);
  RowCursor mask = mask_cursor(rules, range, group);
  const KeyBounds bounds(p, range.b);
  std::int64_t position = range.begin / group + bounds.offset;
  std::int64_t head = range.begin % group;  // in the group
  for (int lane = rows.first; lane < range.end_lane; ++lane) {
    rows.q[lane] = q.row();
    rows.out[lane] = out.row();
    rows.lse[lane] = lse.row();
    rows.maximum[lane] = maximum.row();
    rows.weights[lane] = weights.row();
    rows.mask[lane] = mask.row();
    rows.position[lane] = static_cast<float>(position);
    rows.slope[lane] = of_head(rules.alibi_slopes, first_head + head, 0.0F);
    rows.sink[lane] =
        of_head(rules.sinks, first_head + head, -std::numeric_limits<float>::infinity());
    rows.key_begin[lane] = std::clamp<std::int64_t>(position - bounds.back, 0, p.S);
    rows.key_end[lane] = std::clamp<std::int64_t>(position + bounds.ahead + 1, 0, bounds.length);
    if (lane + 1 >= rows.first + rows.count) {
      continue;  // past the last row: copies of it
    }
    const bool to_query = ++head == group;
    head = to_query ? 0 : head;
    position += to_query ? 1 : 0;
    q.advance(to_query);
    out.advance(to_query);
    lse.advance(to_query);
    maximum.advance(to_query);
    weights.advance(to_query);
    mask.advance(to_query);
  }
}

template SdpaHead sdpa_head(const SdpaProblem<float>&, std::int64_t, std::int64_t) noexcept;
template SdpaHead sdpa_head(const SdpaProblem<float16>&, std::int64_t, std::int64_t) noexcept;
template SdpaHead sdpa_head(const SdpaProblem<bfloat16>&, std::int64_t, std::int64_t) noexcept;
template void fill_rows(const SdpaProblem<float>&, const RowRange&, SdpaRows&) noexcept;
template void fill_rows(const SdpaProblem<float16>&, const RowRange&, SdpaRows&) noexcept;
template void fill_rows(const SdpaProblem<bfloat16>&, const RowRange&, SdpaRows&) noexcept;

}  // namespace attention::kernels
