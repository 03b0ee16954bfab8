#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include <attention/kernels/sdpa_blocked.hpp>

namespace attention::kernels {
namespace {

constexpr int kQueries = static_cast<int>(kSdpaBlockedQueries);
constexpr std::int64_t kKeys = 64;  // keys in a block
constexpr std::int64_t kTerms = 8;  // of a dot product, added up before they join the others
constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

/// One value per query of the panel.
struct Lanes {
  float at[kQueries];
};

/// Which queries of the panel see a key: bit l for lane l.
using LaneMask = std::uint32_t;
static_assert(kQueries <= 32);

/// The panel's state and its scratch. Lanes past the last query compute on zeros, see nothing and
/// are not written.
template <class T>
struct Panel {
  const SdpaProblem<T>& problem;
  std::int64_t b;
  std::int64_t h;
  std::int64_t h_kv;
  std::int64_t i_begin;
  std::int64_t count;
  std::int64_t offset;
  std::int64_t keys_begin;  // a multiple of kKeys: blocks start at the same keys whatever the panel
  std::int64_t keys_end;
  Lanes* queries;    // D: q^T
  Lanes* out;        // Dv
  Lanes* block_out;  // Dv: what the keys of one block add to out
  Lanes* scores;     // kKeys
  LaneMask visible[kKeys];
  Lanes maximum;
  Lanes sum;
  LaneMask saw_any;
};

/// The keys that some query of the panel may see, by causality, window and key length.
template <class T>
void set_key_range(Panel<T>& panel) {
  const ScoreRules& rules = panel.problem.rules;
  const std::int64_t first = panel.i_begin + panel.offset;
  const std::int64_t last = first + panel.count - 1;
  std::int64_t begin = 0;
  std::int64_t end = panel.problem.key_length(panel.b);
  if (rules.causal) {
    end = std::min(end, last + 1);
  }
  if (rules.window_right >= 0) {
    end = std::min(end, last + rules.window_right + 1);
  }
  if (rules.window_left >= 0) {
    begin = std::max(begin, first - rules.window_left);
  }
  panel.keys_end = std::max<std::int64_t>(end, 0);
  panel.keys_begin = std::min(begin, panel.keys_end) / kKeys * kKeys;
}

template <class T>
LaneMask lanes_in_range(const Panel<T>& panel, std::int64_t j) {
  const ScoreRules& rules = panel.problem.rules;
  LaneMask mask = 0;
  for (int lane = 0; lane < panel.count; ++lane) {
    const std::int64_t distance =
        j - (panel.i_begin + lane + panel.offset);  // > 0: the key lies to the right
    const bool in_range = (!rules.causal || distance <= 0) &&
                          (rules.window_left < 0 || -distance <= rules.window_left) &&
                          (rules.window_right < 0 || distance <= rules.window_right);
    mask |= static_cast<LaneMask>(in_range) << lane;
  }
  return mask;
}

/// A double as float, where a finite one stays finite: the lowest double blocks no more than the
/// lowest float.
float as_finite_float(double value) {
  constexpr auto kLargest = static_cast<double>(std::numeric_limits<float>::max());
  return static_cast<float>(std::isfinite(value) ? std::clamp(value, -kLargest, kLargest) : value);
}

/// Applies the mask to the scores of key j: adds what is to be added, and returns the lanes that
/// see the key.
template <class T>
LaneMask apply_mask(const Panel<T>& panel, std::int64_t j, LaneMask in_range, Lanes& scores) {
  const ScoreRules& rules = panel.problem.rules;
  const Strides& strides = rules.mask.strides();
  const std::int64_t base = panel.b * strides[0] + panel.h * strides[1] + j * strides[3];
  LaneMask visible = 0;
  for (int lane = 0; lane < panel.count; ++lane) {
    const LaneMask bit = LaneMask{1} << lane;
    if ((in_range & bit) == 0) {
      continue;
    }
    const std::int64_t cell = base + (panel.i_begin + lane) * strides[2];
    if (rules.mask_kind == MaskKind::add) {
      const auto bias = rules.mask.load<double>(cell);
      scores.at[lane] += as_finite_float(bias);
      visible |= bias == -std::numeric_limits<double>::infinity() ? 0 : bit;
    } else {
      const bool keep = rules.mask.load<bool>(cell) == (rules.mask_kind == MaskKind::keep);
      visible |= keep ? bit : 0;
    }
  }
  return visible;
}

/// The panel's queries times one key. Sums of sums: rounding errors grow with the number of terms
/// in each, not with D.
template <class T>
Lanes dot_products(const Panel<T>& panel, const T* key) {
  const std::int64_t step = panel.problem.k.strides()[3];
  Lanes sum = {};
  for (std::int64_t d_begin = 0; d_begin < panel.problem.D; d_begin += kTerms) {
    const std::int64_t d_end = std::min(d_begin + kTerms, panel.problem.D);
    Lanes terms = {};
    for (std::int64_t d = d_begin; d < d_end; ++d) {
      const auto k = element_cast<float>(key[d * step]);
      for (int lane = 0; lane < kQueries; ++lane) {
        terms.at[lane] += panel.queries[d].at[lane] * k;
      }
    }
    for (int lane = 0; lane < kQueries; ++lane) {
      sum.at[lane] += terms.at[lane];
    }
  }
  return sum;
}

/// Pass 1 for the keys [j_begin, j_end): panel.scores and panel.visible.
template <class T>
void score_block(Panel<T>& panel, std::int64_t j_begin, std::int64_t j_end) {
  const SdpaProblem<T>& p = panel.problem;
  const ScoreRules& rules = p.rules;
  const auto softcap = static_cast<float>(rules.softcap);
  // Without features every score is 0, whatever the scale.
  const float scale = p.D == 0 ? 0.0F : static_cast<float>(rules.scale);
  for (std::int64_t j = j_begin; j < j_end; ++j) {
    LaneMask& visible = panel.visible[j - j_begin];
    visible = lanes_in_range(panel, j);
    Lanes scores = dot_products(panel, p.k.data() + panel.b * p.k.strides()[0] +
                                           panel.h_kv * p.k.strides()[1] + j * p.k.strides()[2]);
    for (float& score : scores.at) {
      score *= scale;
    }
    if (softcap != 0) {
      for (float& score : scores.at) {
        score = softcap * std::tanh(score / softcap);
      }
    }
    if (!rules.alibi_slopes.is_null()) {
      const auto slope = rules.alibi_slopes.load<float>(panel.h * rules.alibi_slopes.strides()[0]);
      for (int lane = 0; lane < kQueries; ++lane) {
        scores.at[lane] -=
            slope * static_cast<float>(std::abs(panel.i_begin + lane + panel.offset - j));
      }
    }
    if (rules.mask_kind != MaskKind::none) {
      visible = apply_mask(panel, j, visible, scores);
    }
    panel.scores[j - j_begin] = scores;
  }
}

/// exp(score - maximum) where the lane sees the key, 0 elsewhere. A lane that has only seen -inf
/// subtracts 0 instead.
Lanes exponentials(const Lanes& scores, const Lanes& maximum, LaneMask visible) {
  Lanes result;
  for (int lane = 0; lane < kQueries; ++lane) {
    const float shift = maximum.at[lane] == kMinusInfinity ? 0.0F : maximum.at[lane];
    result.at[lane] = ((visible >> lane) & 1U) != 0 ? std::exp(scores.at[lane] - shift) : 0.0F;
  }
  return result;
}

/// Pass 2, online: takes the block's scores into the running maximum; when it grows, what was
/// summed so far is rescaled. A lane whose maximum stays is multiplied by exactly 1.
template <class T>
void raise_maximum(Panel<T>& panel, std::int64_t keys) {
  Lanes raised = panel.maximum;
  for (std::int64_t n = 0; n < keys; ++n) {
    for (int lane = 0; lane < kQueries; ++lane) {
      const bool sees = ((panel.visible[n] >> lane) & 1U) != 0;
      raised.at[lane] =
          sees ? std::max(raised.at[lane], panel.scores[n].at[lane]) : raised.at[lane];
    }
    panel.saw_any |= panel.visible[n];
  }
  Lanes factor;
  bool any_raised = false;
  for (int lane = 0; lane < kQueries; ++lane) {
    const bool grew = raised.at[lane] > panel.maximum.at[lane];
    // Before the first finite score everything summed is 0 (or NaN, and stays so), whatever the
    // factor.
    factor.at[lane] = grew ? std::exp(panel.maximum.at[lane] - raised.at[lane]) : 1.0F;
    any_raised = any_raised || grew;
  }
  if (!any_raised) {
    return;
  }
  panel.maximum = raised;
  for (int lane = 0; lane < kQueries; ++lane) {
    panel.sum.at[lane] *= factor.at[lane];
  }
  for (std::int64_t d = 0; d < panel.problem.Dv; ++d) {
    for (int lane = 0; lane < kQueries; ++lane) {
      panel.out[d].at[lane] *= factor.at[lane];
    }
  }
}

/// Pass 3 for one key: block_out += weight * v, only in the lanes that see it, so that 0 times NaN
/// adds nothing.
template <class T>
void add_value(Panel<T>& panel, std::int64_t j, const Lanes& weights, LaneMask visible) {
  const SdpaProblem<T>& p = panel.problem;
  const T* value = p.v.data() + panel.b * p.v.strides()[0] + panel.h_kv * p.v.strides()[1] +
                   j * p.v.strides()[2];
  const std::int64_t step = p.v.strides()[3];
  const LaneMask all = (LaneMask{1} << panel.count) - 1U;
  if (visible == all && panel.count == kQueries) {
    for (std::int64_t d = 0; d < p.Dv; ++d) {
      const auto v = element_cast<float>(value[d * step]);
      for (int lane = 0; lane < kQueries; ++lane) {
        panel.block_out[d].at[lane] += weights.at[lane] * v;
      }
    }
    return;
  }
  for (std::int64_t d = 0; d < p.Dv; ++d) {
    const auto v = element_cast<float>(value[d * step]);
    for (int lane = 0; lane < kQueries; ++lane) {
      const float product = weights.at[lane] * v;
      panel.block_out[d].at[lane] += ((visible >> lane) & 1U) != 0 ? product : 0.0F;
    }
  }
}

/// Pass 3 for the keys [j_begin, j_end): the block's weights and values are added up by themselves,
/// then to what the blocks before it gave.
template <class T>
void add_block(Panel<T>& panel, std::int64_t j_begin, std::int64_t j_end) {
  const std::int64_t Dv = panel.problem.Dv;
  Lanes block_sum = {};
  std::fill_n(panel.block_out, Dv, Lanes{});
  for (std::int64_t j = j_begin; j < j_end; ++j) {
    const LaneMask visible = panel.visible[j - j_begin];
    if (visible == 0) {
      continue;
    }
    const Lanes weights = exponentials(panel.scores[j - j_begin], panel.maximum, visible);
    for (int lane = 0; lane < kQueries; ++lane) {
      block_sum.at[lane] += weights.at[lane];
    }
    add_value(panel, j, weights, visible);
  }
  for (int lane = 0; lane < kQueries; ++lane) {
    panel.sum.at[lane] += block_sum.at[lane];
  }
  for (std::int64_t d = 0; d < Dv; ++d) {
    for (int lane = 0; lane < kQueries; ++lane) {
      panel.out[d].at[lane] += panel.block_out[d].at[lane];
    }
  }
}

template <class T>
void pack_queries(Panel<T>& panel) {
  const SdpaProblem<T>& p = panel.problem;
  for (std::int64_t d = 0; d < p.D; ++d) {
    for (int lane = 0; lane < kQueries; ++lane) {
      const bool real = lane < panel.count;
      panel.queries[d].at[lane] =
          real ? element_cast<float>(p.q(panel.b, panel.h, panel.i_begin + lane, d)) : 0.0F;
    }
  }
}

/// Divides by the sum, the sink's share included, and writes out and lse.
template <class T>
void finish(Panel<T>& panel) {
  const SdpaProblem<T>& p = panel.problem;
  for (int lane = 0; lane < panel.count; ++lane) {
    const std::int64_t i = panel.i_begin + lane;
    const bool any = ((panel.saw_any >> lane) & 1U) != 0;
    const float maximum = panel.maximum.at[lane];
    // Only -inf to see: the softmax is 0 / 0.
    const float sum =
        maximum == kMinusInfinity ? std::numeric_limits<float>::quiet_NaN() : panel.sum.at[lane];
    panel.sum.at[lane] = sum;
    for (std::int64_t d = 0; d < p.Dv; ++d) {
      p.out(panel.b, panel.h, i, d) = element_cast<T>(any ? panel.out[d].at[lane] / sum : 0.0F);
    }
    if (!p.lse.is_null()) {
      p.lse(panel.b, panel.h, i) = any ? maximum + std::log(sum) : maximum;
    }
  }
}

/// The second pass: each score again, and exp(score - maximum) / sum into the caller's array.
template <class T>
void write_weights(Panel<T>& panel) {
  const SdpaProblem<T>& p = panel.problem;
  for (int lane = 0; lane < panel.count; ++lane) {
    for (std::int64_t j = 0; j < p.S; ++j) {
      p.weights(panel.b, panel.h, panel.i_begin + lane, j) = 0.0F;
    }
  }
  for (std::int64_t j_begin = panel.keys_begin; j_begin < panel.keys_end; j_begin += kKeys) {
    const std::int64_t j_end = std::min(j_begin + kKeys, panel.keys_end);
    score_block(panel, j_begin, j_end);
    for (std::int64_t j = j_begin; j < j_end; ++j) {
      const LaneMask visible = panel.visible[j - j_begin];
      const Lanes weights = exponentials(panel.scores[j - j_begin], panel.maximum, visible);
      for (int lane = 0; lane < panel.count; ++lane) {
        if (((visible >> lane) & 1U) != 0) {
          p.weights(panel.b, panel.h, panel.i_begin + lane, j) =
              weights.at[lane] / panel.sum.at[lane];
        }
      }
    }
  }
}

}  // namespace

std::size_t sdpa_blocked_scratch(std::int64_t D, std::int64_t Dv) noexcept {
  return static_cast<std::size_t>(D + 2 * Dv + kKeys) * sizeof(Lanes);
}

template <class T>
void sdpa_blocked(const SdpaProblem<T>& p, std::int64_t b, std::int64_t h, std::int64_t i_begin,
                  std::int64_t count, std::byte* scratch) noexcept {
  auto* const lanes = reinterpret_cast<Lanes*>(scratch);
  Panel<T> panel{.problem = p,
                 .b = b,
                 .h = h,
                 .h_kv = h / (p.H / p.Hkv),
                 .i_begin = i_begin,
                 .count = count,
                 .offset = p.offset(b),
                 .keys_begin = 0,
                 .keys_end = 0,
                 .queries = lanes,
                 .out = lanes + p.D,
                 .block_out = lanes + p.D + p.Dv,
                 .scores = lanes + p.D + 2 * p.Dv,
                 .visible = {},
                 .maximum = {},
                 .sum = {},
                 .saw_any = 0};
  // The sink is one more key without a value, and the first to be counted: exp(sink - maximum) = 1
  // (NaN for +inf).
  const ScoreRules& rules = p.rules;
  const bool has_sink = !rules.sinks.is_null();
  const float sink =
      has_sink ? rules.sinks.load<float>(h * rules.sinks.strides()[0]) : kMinusInfinity;
  std::fill_n(panel.maximum.at, kQueries, sink);
  std::fill_n(panel.sum.at, kQueries, sink == kMinusInfinity ? 0.0F : std::exp(sink - sink));
  std::fill_n(panel.out, p.Dv, Lanes{});
  set_key_range(panel);
  pack_queries(panel);

  for (std::int64_t j_begin = panel.keys_begin; j_begin < panel.keys_end; j_begin += kKeys) {
    const std::int64_t j_end = std::min(j_begin + kKeys, panel.keys_end);
    score_block(panel, j_begin, j_end);
    raise_maximum(panel, j_end - j_begin);
    add_block(panel, j_begin, j_end);
  }
  finish(panel);
  if (!p.weights.is_null()) {
    write_weights(panel);
  }
}

template void sdpa_blocked(const SdpaProblem<float>&, std::int64_t, std::int64_t, std::int64_t,
                           std::int64_t, std::byte*) noexcept;
template void sdpa_blocked(const SdpaProblem<float16>&, std::int64_t, std::int64_t, std::int64_t,
                           std::int64_t, std::byte*) noexcept;
template void sdpa_blocked(const SdpaProblem<bfloat16>&, std::int64_t, std::int64_t, std::int64_t,
                           std::int64_t, std::byte*) noexcept;

}  // namespace attention::kernels
