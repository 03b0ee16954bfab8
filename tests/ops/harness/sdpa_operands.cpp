#include "sdpa_operands.hpp"

#include <cmath>
#include <limits>
#include <type_traits>

namespace attention::tests {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double lowest_of(DType dtype) {
  switch (dtype) {
    case DType::float16:
      return -65504.0;
    case DType::bfloat16:
      return -0x1.FEp127;
    case DType::float32:
      return static_cast<double>(std::numeric_limits<float>::lowest());
    default:
      return std::numeric_limits<double>::lowest();
  }
}

/// So large that the product of two of them overflows float32 (float16 cannot hold such a number).
double huge_of(DType dtype) {
  return dtype == DType::float16 ? 6e4 : 1e25;
}

/// What lies between a buffer's elements: NaN where the type has one.
template <class T>
T filler_of() {
  if constexpr (is_floating(kDTypeOf<T>)) {
    return element_cast<T>(std::numeric_limits<float>::quiet_NaN());
  } else if constexpr (std::is_same_v<T, bool>) {
    return true;
  } else {
    return static_cast<T>(-77);
  }
}

template <class T, class Draw>
void fill(StridedBuffer<T>& buffer, const Draw& draw) {
  const TensorView<T> view = buffer.view();
  for_each_offset(
      view.shape(), [&](std::int64_t offset) { view.data()[offset] = element_cast<T>(draw()); },
      view.strides());
}

/// Element number `index` of a view in row-major order.
template <class T>
T& element(TensorView<T> view, std::int64_t index) {
  std::int64_t offset = 0;
  for (int dim = view.rank() - 1; dim >= 0; --dim) {
    offset += index % view.size(dim) * view.strides()[dim];
    index /= view.size(dim);
  }
  return view.data()[offset];
}

/// Calls function(buffer) unless the variant is empty.
template <class AnyBuffer, class Function>
void visit_held(AnyBuffer& buffer, const Function& function) {
  std::visit(
      [&](auto& held) {
        if constexpr (!std::is_same_v<std::remove_reference_t<decltype(held)>, std::monostate>) {
          function(held);
        }
      },
      buffer);
}

template <class AnyBuffer>
AnyView view_of(AnyBuffer& buffer) {
  AnyView result;
  visit_held(buffer, [&](auto& held) { result = held.view(); });
  return result;
}

std::size_t row_of_query(const SdpaCase& c, const Cell& cell) {
  return static_cast<std::size_t>((cell.b * c.H + cell.h) * c.L + cell.i);
}

std::size_t row_of_key(const SdpaCase& c, const Cell& cell) {
  return static_cast<std::size_t>((cell.b * c.Hkv + cell.h / (c.H / c.Hkv)) * c.S + cell.j);
}

template <class Function>
void for_each_cell(const SdpaCase& c, const Function& function) {
  for (std::int64_t n = 0; n < c.B * c.H * c.L * c.S; ++n) {
    function(Cell{
        .b = n / (c.S * c.L * c.H), .h = n / (c.S * c.L) % c.H, .i = n / c.S % c.L, .j = n % c.S});
  }
}

}  // namespace

std::vector<double> widened(const AnyView& view) {
  std::vector<double> values;
  values.reserve(static_cast<std::size_t>(view.element_count()));
  for_each_offset(
      view.shape(), [&](std::int64_t offset) { values.push_back(view.load<double>(offset)); },
      view.strides());
  return values;
}

template <class T>
SdpaOperands<T>::SdpaOperands(const SdpaCase& c) : draws_(~c.seed) {
  dense_.c = c;
  fill_q_k_v();
  fill_mask();
  fill_vectors();
  widen_inputs();
  if (c.content == Content::poisoned_where_blocked) {
    poison();
  } else if (c.content == Content::some_nan || c.content == Content::some_infinities) {
    scatter_special(static_cast<int>(1 + draws_.below(3)));
  }
  widen_inputs();
}

template <class T>
void SdpaOperands<T>::fill_q_k_v() {
  const SdpaCase& c = dense_.c;
  q_ = {{c.B, c.H, c.L, c.D}, c.q, draws_, filler_of<T>()};
  k_ = {{c.B, c.Hkv, c.S, c.D}, c.k, draws_, filler_of<T>()};
  v_ = {{c.B, c.Hkv, c.S, c.Dv}, c.v, draws_, filler_of<T>()};
  // Huge numbers only in one dimension: two of them in one score might cancel, and then no float32
  // result says anything.
  std::int64_t drawn = 0;
  const auto draw = [&](double factor) {
    const bool may_be_huge = c.content == Content::overflowing && drawn++ % c.D == 0;
    return draws_.normal() * (may_be_huge && draws_.chance(0.2) ? huge_of(c.dtype) / 8 : factor);
  };
  fill(q_, [&] { return draw(c.content == Content::large_scores ? 30 : 1); });
  fill(k_, [&] { return draw(1); });
  fill(v_, [&] { return draws_.normal(); });
  make_extreme();
}

template <class T>
void SdpaOperands<T>::make_extreme() {
  const SdpaCase& c = dense_.c;
  const bool is_float16 = c.dtype == DType::float16;
  const double huge = is_float16 ? 1e4 : 1e30;
  const double denormal = is_float16 ? 2e-6 : 1e-39;
  const auto scale_all = [](auto& buffer, double factor) {
    const auto view = buffer.view();
    for (std::int64_t n = 0; n < view.element_count(); ++n) {
      T& x = element(view, n);
      x = element_cast<T>(element_cast<double>(x) * factor);
    }
  };
  switch (c.content) {
    case Content::huge_values:
      scale_all(v_, huge);
      break;
    case Content::huge_scores:
      scale_all(q_, huge);
      break;
    case Content::denormal_values:
      scale_all(v_, denormal);
      break;
    case Content::denormal_queries:
      scale_all(q_, denormal);
      scale_all(k_, is_float16 ? 1e4 : 1e37);
      break;
    case Content::equal_keys:
      for (std::int64_t n = 0; c.S > 0 && n < k_.view().element_count(); ++n) {
        element(k_.view(), n) = element(k_.view(), n / (c.S * c.D) * c.S * c.D + n % c.D);
      }
      break;
    default:
      break;
  }
}

template <class T>
void SdpaOperands<T>::fill_mask() {
  const SdpaCase& c = dense_.c;
  if (c.mask == MaskKind::none) {
    return;
  }
  visit(c.mask_dtype, [&]<class Element>() {
    constexpr bool kBoolean = std::is_same_v<Element, bool>;
    if constexpr (kBoolean || is_floating(kDTypeOf<Element>)) {
      StridedBuffer<Element> buffer(c.mask_shape, c.mask_arrangement, draws_, filler_of<Element>());
      const int rank = c.mask_shape.rank();
      std::int64_t drawn = 0;
      fill(buffer, [&] {
        const std::int64_t key = rank == 0 ? 0 : drawn++ % c.mask_shape[rank - 1];
        const bool blocked = draws_.chance(c.mask_blocked) || key < c.mask_first_keys;
        if (kBoolean) {
          return blocked == (c.mask == MaskKind::block) ? 1.0 : 0.0;
        }
        const bool lowest = c.mask_has_lowest && draws_.chance(0.2);
        return blocked ? -kInfinity : lowest ? lowest_of(c.mask_dtype) : 2 * draws_.normal();
      });
      mask_ = std::move(buffer);
    }
  });
}

template <class T>
void SdpaOperands<T>::fill_vectors() {
  const SdpaCase& c = dense_.c;
  const auto make = [&](DType dtype, std::int64_t extent, const auto& draw) {
    AnyBuffer result;
    visit(dtype, [&]<class Element>() {
      constexpr bool kServed = std::is_same_v<Element, float> || std::is_same_v<Element, double> ||
                               std::is_same_v<Element, std::int32_t> ||
                               std::is_same_v<Element, std::int64_t>;
      if constexpr (kServed) {
        StridedBuffer<Element> buffer({extent}, c.vectors, draws_, filler_of<Element>());
        fill(buffer, draw);
        result = std::move(buffer);
      }
    });
    return result;
  };
  if (c.key_lengths) {
    key_lengths_ = make(*c.key_lengths, c.B, [&] {
      const std::int64_t any = draws_.below(c.S + 1);
      return static_cast<double>(draws_.one_of<std::int64_t>({0, c.S, any, any}));
    });
  }
  if (c.alibi_slopes) {
    slopes_ =
        make(*c.alibi_slopes, c.H, [&] { return draws_.one_of({0.0, 0.25, 0.5, 0.1, -0.1}); });
  }
  if (c.sinks) {
    sinks_ = make(*c.sinks, c.H, [&] { return draws_.one_of({-kInfinity, 0.0, 1.5, -20.0, 9.0}); });
  }
}

template <class T>
void SdpaOperands<T>::poison() {
  const SdpaCase& c = dense_.c;
  std::vector<char> queries(static_cast<std::size_t>(c.B * c.H * c.L), 0);
  std::vector<char> keys(static_cast<std::size_t>(c.B * c.Hkv * c.S), 0);
  std::vector<char> masks(dense_.mask.size(), 0);
  for_each_cell(c, [&](const Cell& cell) {
    if (is_visible(dense_, cell)) {
      queries[row_of_query(c, cell)] = 1;
      keys[row_of_key(c, cell)] = 1;
      if (!masks.empty()) {
        masks[mask_index(dense_, cell)] = 1;
      }
    }
  });
  const auto overwrite = [&](auto view, const std::vector<char>& seen, std::int64_t row_size) {
    using Element = std::remove_reference_t<decltype(*view.data())>;
    for (std::int64_t n = 0; n < view.element_count(); ++n) {
      if (seen[static_cast<std::size_t>(n / row_size)] == 0) {
        element(view, n) = element_cast<Element>(special_value());
      }
    }
  };
  overwrite(q_.view(), queries, c.D);
  overwrite(k_.view(), keys, c.D);
  overwrite(v_.view(), keys, c.Dv);
  for (std::size_t n = 0; n < masks.size(); ++n) {
    if (dense_.mask[n] == -kInfinity) {
      masks[n] = 1;  // blocks by itself: to be kept
    }
  }
  if (c.mask == MaskKind::add) {
    visit_held(mask_, [&](auto& buffer) { overwrite(buffer.view(), masks, 1); });
  }
}

template <class T>
double SdpaOperands<T>::special_value() {
  if (dense_.c.content == Content::some_infinities) {
    return draws_.chance(0.5) ? kInfinity : -kInfinity;
  }
  const bool only_nan = dense_.c.content == Content::some_nan;
  return only_nan || draws_.chance(0.7) ? kNaN : kInfinity;
}

template <class T>
void SdpaOperands<T>::scatter_special(int count) {
  const auto put_into = [&](auto view) {
    using Element = std::remove_reference_t<decltype(*view.data())>;
    if (view.element_count() > 0) {
      element(view, draws_.below(view.element_count())) = element_cast<Element>(special_value());
    }
  };
  for (; count > 0; --count) {
    put_into(draws_.one_of({&q_, &k_, &v_})->view());
  }
  if (dense_.c.mask == MaskKind::add && draws_.chance(0.5)) {
    visit_held(mask_, [&](auto& buffer) { put_into(buffer.view()); });
  }
}

template <class T>
void SdpaOperands<T>::widen_inputs() {
  dense_.q = widened(q_.view());
  dense_.k = widened(k_.view());
  dense_.v = widened(v_.view());
  dense_.mask.clear();
  dense_.slopes.clear();
  dense_.sinks.clear();
  dense_.key_lengths.clear();
  if (dense_.c.mask != MaskKind::none) {
    dense_.mask = widened(view_of(mask_));
  }
  if (dense_.c.alibi_slopes) {
    dense_.slopes = widened(view_of(slopes_));
  }
  if (dense_.c.sinks) {
    dense_.sinks = widened(view_of(sinks_));
  }
  if (dense_.c.key_lengths) {
    for (const double length : widened(view_of(key_lengths_))) {
      dense_.key_lengths.push_back(static_cast<std::int64_t>(length));
    }
  }
}

template <class T>
SdpaOptions SdpaOperands<T>::options(const Taken& way) {
  const SdpaCase& c = dense_.c;
  SdpaOptions options{
      .causal = c.causal,
      .window = c.window,
      .key_lengths = view_of(key_lengths_),
      .softcap = c.softcap,
      .alibi_slopes = view_of(slopes_),
      .sinks = view_of(sinks_),
      .scale = c.scale,
      .dropout = c.dropout,
      .return_weights = c.with_weights,
      .execution = {.path = way.path, .isa = way.isa, .threads = c.threads},
  };
  if (c.positions == Positions::top_left) {
    options.alignment = Alignment::top_left();
  } else if (c.positions == Positions::bottom_right) {
    options.alignment = Alignment::bottom_right();
  } else if (c.positions == Positions::at) {
    options.alignment = Alignment::at(c.offset);
  }
  visit_held(mask_, [&](auto& buffer) {
    if constexpr (std::is_same_v<decltype(buffer), StridedBuffer<bool>&>) {
      options.mask =
          c.mask == MaskKind::keep ? Mask::keep(buffer.view()) : Mask::block(buffer.view());
    } else if constexpr (requires { Mask::add(buffer.view()); }) {
      options.mask = Mask::add(buffer.view());
    }
  });
  return options;
}

template class SdpaOperands<float>;
template class SdpaOperands<double>;
template class SdpaOperands<float16>;
template class SdpaOperands<bfloat16>;

}  // namespace attention::tests
