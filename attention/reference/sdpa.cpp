#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <span>
#include <vector>

#include <attention/reference/sdpa.hpp>

namespace attention::reference {
namespace {

template <class Real>
constexpr Real kMinusInfinity = -std::numeric_limits<Real>::infinity();

/// The entry for head h of a list (H).
template <class Real>
Real per_head(const AnyView& list, std::int64_t h) noexcept {
  return list.load<Real>(h * list.strides()[0]);
}

/// May the query see key j? It stands at key position `position`; `mask_offset` is the offset of
/// the mask's cell.
bool visible(const ScoreRules& rules, std::int64_t position, std::int64_t j,
             std::int64_t mask_offset) noexcept {
  if (rules.causal && j > position) {
    return false;
  }
  if (rules.window_left >= 0 && j < position - rules.window_left) {
    return false;
  }
  if (rules.window_right >= 0 && j > position + rules.window_right) {
    return false;
  }
  switch (rules.mask_kind) {
    case MaskKind::none:
      return true;
    case MaskKind::keep:
      return rules.mask.load<bool>(mask_offset);
    case MaskKind::block:
      return !rules.mask.load<bool>(mask_offset);
    case MaskKind::add:
      return rules.mask.load<double>(mask_offset) != kMinusInfinity<double>;
  }
  return true;
}

}  // namespace

template <class Real, class T>
VisibleKey<Real>* visible_scores(const SdpaProblem<T>& p, std::int64_t b, std::int64_t h,
                                 std::int64_t i, VisibleKey<Real>* keys) noexcept {
  const ScoreRules& rules = p.rules;
  const std::int64_t h_kv = h / (p.H / p.Hkv);
  const std::int64_t position = i + p.offset(b);
  const bool masked = rules.mask_kind != MaskKind::none;
  const Strides& mask = rules.mask.strides();
  const std::int64_t mask_row = masked ? b * mask[0] + h * mask[1] + i * mask[2] : 0;
  const std::int64_t mask_step = masked ? mask[3] : 0;

  // Pass 1: the scores of the visible keys. Keys at and past the key length are not looked at.
  VisibleKey<Real>* end = keys;
  for (std::int64_t j = 0; j < p.key_length(b); ++j) {
    if (!visible(rules, position, j, mask_row + j * mask_step)) {
      continue;
    }
    Real dot = 0;
    for (std::int64_t d = 0; d < p.D; ++d) {
      dot += element_cast<Real>(p.q(b, h, i, d)) * element_cast<Real>(p.k(b, h_kv, j, d));
    }
    Real score = p.D == 0 ? Real{0} : static_cast<Real>(rules.scale) * dot;
    if (rules.softcap != 0) {
      score =
          static_cast<Real>(rules.softcap) * std::tanh(score / static_cast<Real>(rules.softcap));
    }
    if (!rules.alibi_slopes.is_null()) {
      score -= per_head<Real>(rules.alibi_slopes, h) * static_cast<Real>(std::abs(position - j));
    }
    if (rules.mask_kind == MaskKind::add) {
      score += rules.mask.load<Real>(mask_row + j * mask_step);
    }
    *end++ = {.j = j, .value = score};
  }
  return end;
}

template <class Real, class T>
void sdpa_row(const SdpaProblem<T>& p, std::int64_t b, std::int64_t h, std::int64_t i,
              VisibleKey<Real>* visible_keys) noexcept {
  const ScoreRules& rules = p.rules;
  const std::int64_t h_kv = h / (p.H / p.Hkv);

  // Pass 1, above.
  const std::span<VisibleKey<Real>> keys(visible_keys,
                                         visible_scores<Real>(p, b, h, i, visible_keys));

  // Pass 2: the sum of the exponentials, the largest score taken out so that none overflows; value
  // becomes exp(score - maximum).
  const bool has_sink = !rules.sinks.is_null();
  const Real sink = has_sink ? per_head<Real>(rules.sinks, h) : kMinusInfinity<Real>;
  Real maximum = sink;
  for (const VisibleKey<Real>& key : keys) {
    maximum = std::max(maximum, key.value);
  }
  Real sum = has_sink ? std::exp(sink - maximum) : Real{0};
  for (VisibleKey<Real>& key : keys) {
    key.value = std::exp(key.value - maximum);
    sum += key.value;
  }
  if (!p.lse.is_null()) {
    p.lse(b, h, i) = static_cast<Accumulator<T>>(keys.empty() ? sink : maximum + std::log(sum));
  }
  if (!p.maximum.is_null()) {
    p.maximum(b, h, i) = static_cast<Accumulator<T>>(maximum);
  }

  // Pass 3: the weights exp(score - lse) = exp(score - maximum) / sum, and with those that dropout
  // keeps the weighted sum of the values. Without a visible key both are 0.
  if (!p.weights.is_null()) {
    for (std::int64_t j = 0; j < p.S; ++j) {
      p.weights(b, h, i, j) = 0;
    }
    for (const VisibleKey<Real>& key : keys) {
      p.weights(b, h, i, key.j) = static_cast<Accumulator<T>>(key.value / sum);
    }
  }
  const auto dropped = [&](const VisibleKey<Real>& key) {
    return p.dropout.drops_any() && !p.dropout.keeps_weight(b * p.H + h, i, key.j);
  };
  const std::span<VisibleKey<Real>> kept(
      keys.data(), keys.size() - std::ranges::remove_if(keys, dropped).size());
  for (std::int64_t d = 0; d < p.Dv; ++d) {
    Real out = 0;
    for (const VisibleKey<Real>& key : kept) {
      out += key.value * element_cast<Real>(p.v(b, h_kv, key.j, d));
    }
    out *= static_cast<Real>(p.dropout.factor());
    p.out(b, h, i, d) = element_cast<T>(keys.empty() ? Real{0} : out / sum);
  }
}

template <class Real, class T>
void sdpa(const SdpaProblem<T>& problem) {
  std::vector<VisibleKey<Real>> scratch(static_cast<std::size_t>(problem.S));
  for (std::int64_t b = 0; b < problem.B; ++b) {
    for (std::int64_t h = 0; h < problem.H; ++h) {
      for (std::int64_t i = 0; i < problem.L; ++i) {
        sdpa_row(problem, b, h, i, scratch.data());
      }
    }
  }
}

template VisibleKey<float>* visible_scores(const SdpaProblem<float>&, std::int64_t, std::int64_t,
                                           std::int64_t, VisibleKey<float>*) noexcept;
template VisibleKey<float>* visible_scores(const SdpaProblem<float16>&, std::int64_t, std::int64_t,
                                           std::int64_t, VisibleKey<float>*) noexcept;
template VisibleKey<float>* visible_scores(const SdpaProblem<bfloat16>&, std::int64_t, std::int64_t,
                                           std::int64_t, VisibleKey<float>*) noexcept;
template VisibleKey<float>* visible_scores(const SdpaProblem<double>&, std::int64_t, std::int64_t,
                                           std::int64_t, VisibleKey<float>*) noexcept;
template VisibleKey<double>* visible_scores(const SdpaProblem<float>&, std::int64_t, std::int64_t,
                                            std::int64_t, VisibleKey<double>*) noexcept;
template VisibleKey<double>* visible_scores(const SdpaProblem<float16>&, std::int64_t, std::int64_t,
                                            std::int64_t, VisibleKey<double>*) noexcept;
template VisibleKey<double>* visible_scores(const SdpaProblem<bfloat16>&, std::int64_t,
                                            std::int64_t, std::int64_t,
                                            VisibleKey<double>*) noexcept;
template VisibleKey<double>* visible_scores(const SdpaProblem<double>&, std::int64_t, std::int64_t,
                                            std::int64_t, VisibleKey<double>*) noexcept;

template void sdpa<float>(const SdpaProblem<float>&);
template void sdpa<float>(const SdpaProblem<float16>&);
template void sdpa<float>(const SdpaProblem<bfloat16>&);
template void sdpa<float>(const SdpaProblem<double>&);
template void sdpa<double>(const SdpaProblem<float>&);
template void sdpa<double>(const SdpaProblem<float16>&);
template void sdpa<double>(const SdpaProblem<bfloat16>&);
template void sdpa<double>(const SdpaProblem<double>&);

}  // namespace attention::reference
