#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include <attention/reference/sdpa.hpp>
#include <attention/reference/sdpa_backward.hpp>

namespace attention::reference {
namespace {

std::size_t as_size(std::int64_t count) {
  return static_cast<std::size_t>(count);
}

/// What is added up before it is rounded.
template <class Real>
struct Sums {
  std::vector<Real> k;     // (S, D), of one key head
  std::vector<Real> v;     // (S, Dv), of one key head
  std::vector<Real> mask;  // as d_mask
  std::vector<Real> sinks;
  std::vector<Real> q;  // (D), of one row
};

/// Scratch of a row: its visible keys, how often dropout counts their weights, and the gradients of
/// these.
template <class Real>
struct Row {
  std::vector<VisibleKey<Real>> keys;
  std::vector<Real> factors;
  std::vector<Real> d_weights;
};

/// The weights of a row in place of its scores; returns the weight of the sink.
template <class Real>
Real weigh(std::span<VisibleKey<Real>> keys, bool has_sink, Real sink) {
  Real maximum = has_sink ? sink : -std::numeric_limits<Real>::infinity();
  for (const VisibleKey<Real>& key : keys) {
    maximum = std::max(maximum, key.value);
  }
  const Real of_sink = has_sink ? std::exp(sink - maximum) : Real{0};
  Real sum = of_sink;
  for (VisibleKey<Real>& key : keys) {
    key.value = std::exp(key.value - maximum);
    sum += key.value;
  }
  for (VisibleKey<Real>& key : keys) {
    key.value /= sum;
  }
  return of_sink / sum;
}

/// The derivative of a score by scale * q . k.
template <class Real, class T>
Real slope_of_score(const SdpaProblem<T>& p, std::int64_t b, std::int64_t h, std::int64_t i,
                    std::int64_t j) {
  if (p.rules.softcap == 0 || p.D == 0) {
    return 1;
  }
  Real dot = 0;
  for (std::int64_t d = 0; d < p.D; ++d) {
    dot +=
        element_cast<Real>(p.q(b, h, i, d)) * element_cast<Real>(p.k(b, h / (p.H / p.Hkv), j, d));
  }
  const Real tanh =
      std::tanh(static_cast<Real>(p.rules.scale) * dot / static_cast<Real>(p.rules.softcap));
  return 1 - tanh * tanh;
}

/// One row: query i of head h in batch entry b.
template <class Real, class T>
void add_row(const SdpaBackwardProblem<T>& problem, std::int64_t b, std::int64_t h, std::int64_t i,
             Row<Real>& row, Sums<Real>& sums) {
  const SdpaProblem<T>& p = problem.forward;
  const std::int64_t h_kv = h / (p.H / p.Hkv);
  std::ranges::fill(sums.q, Real{0});

  // Passes 1 and 2: the weights.
  const std::span<VisibleKey<Real>> keys(row.keys.data(),
                                         visible_scores<Real>(p, b, h, i, row.keys.data()));
  const bool has_sink = !p.rules.sinks.is_null();
  const Real sink =
      has_sink ? p.rules.sinks.template load<Real>(h * p.rules.sinks.strides()[0]) : Real{0};
  const Real weight_of_sink = keys.empty() ? Real{0} : weigh(keys, has_sink, sink);

  // Pass 3: how the result depends on the weights. (A value that is dropped is not looked at.)
  Real mean = 0;
  for (std::size_t n = 0; n < keys.size(); ++n) {
    const bool kept = !p.dropout.drops_any() || p.dropout.keeps_weight(b * p.H + h, i, keys[n].j);
    row.factors[n] = kept ? static_cast<Real>(p.dropout.factor()) : Real{0};
    Real dot = 0;
    for (std::int64_t c = 0; kept && c < p.Dv; ++c) {
      dot += element_cast<Real>(problem.d_out(b, h, i, c)) *
             element_cast<Real>(p.v(b, h_kv, keys[n].j, c));
    }
    row.d_weights[n] = dot * row.factors[n];
    mean += keys[n].value * row.d_weights[n];
  }

  // Pass 4: on the scores, and on what they are made of.
  for (std::size_t n = 0; n < keys.size(); ++n) {
    const std::int64_t j = keys[n].j;
    const Real weight = keys[n].value;
    const Real d_score = weight * (row.d_weights[n] - mean);
    for (std::int64_t c = 0; row.factors[n] != 0 && c < p.Dv; ++c) {
      sums.v[as_size(j * p.Dv + c)] +=
          weight * row.factors[n] * element_cast<Real>(problem.d_out(b, h, i, c));
    }
    if (!problem.d_mask.is_null()) {
      const Strides& to = problem.d_mask_strides;
      sums.mask[as_size(b * to[0] + h * to[1] + i * to[2] + j * to[3])] += d_score;
    }
    const Real d_dot =
        d_score * slope_of_score<Real>(p, b, h, i, j) * static_cast<Real>(p.rules.scale);
    for (std::int64_t d = 0; d < p.D; ++d) {
      sums.q[as_size(d)] += d_dot * element_cast<Real>(p.k(b, h_kv, j, d));
      sums.k[as_size(j * p.D + d)] += d_dot * element_cast<Real>(p.q(b, h, i, d));
    }
  }
  if (has_sink) {
    sums.sinks[as_size(h)] -= weight_of_sink * mean;
  }
  for (std::int64_t d = 0; d < p.D; ++d) {
    problem.d_q(b, h, i, d) = element_cast<T>(sums.q[as_size(d)]);
  }
}

}  // namespace

template <class Real, class T>
void sdpa_backward(const SdpaBackwardProblem<T>& problem) {
  const SdpaProblem<T>& p = problem.forward;
  const std::int64_t group = p.Hkv == 0 ? 0 : p.H / p.Hkv;
  Row<Real> row = {.keys = std::vector<VisibleKey<Real>>(as_size(p.S)),
                   .factors = std::vector<Real>(as_size(p.S)),
                   .d_weights = std::vector<Real>(as_size(p.S))};
  Sums<Real> sums = {.k = std::vector<Real>(as_size(p.S * p.D)),
                     .v = std::vector<Real>(as_size(p.S * p.Dv)),
                     .mask = std::vector<Real>(
                         as_size(problem.d_mask.is_null() ? 0 : problem.d_mask.element_count())),
                     .sinks = std::vector<Real>(as_size(p.H)),
                     .q = std::vector<Real>(as_size(p.D))};
  for (std::int64_t b = 0; b < p.B; ++b) {
    for (std::int64_t h_kv = 0; h_kv < p.Hkv; ++h_kv) {
      std::ranges::fill(sums.k, Real{0});
      std::ranges::fill(sums.v, Real{0});
      for (std::int64_t h = h_kv * group; h < (h_kv + 1) * group; ++h) {
        for (std::int64_t i = 0; i < p.L; ++i) {
          add_row(problem, b, h, i, row, sums);
        }
      }
      for (std::int64_t j = 0; j < p.S; ++j) {
        for (std::int64_t d = 0; d < p.D; ++d) {
          problem.d_k(b, h_kv, j, d) = element_cast<T>(sums.k[as_size(j * p.D + d)]);
        }
        for (std::int64_t c = 0; c < p.Dv; ++c) {
          problem.d_v(b, h_kv, j, c) = element_cast<T>(sums.v[as_size(j * p.Dv + c)]);
        }
      }
    }
  }
  for (std::size_t n = 0; n < sums.mask.size(); ++n) {
    problem.d_mask.data()[n] = static_cast<Accumulator<T>>(sums.mask[n]);
  }
  for (std::int64_t h = 0; h < p.H && !problem.d_sinks.is_null(); ++h) {
    problem.d_sinks(h) = static_cast<Accumulator<T>>(sums.sinks[as_size(h)]);
  }
}

template void sdpa_backward<float>(const SdpaBackwardProblem<float>&);
template void sdpa_backward<float>(const SdpaBackwardProblem<float16>&);
template void sdpa_backward<float>(const SdpaBackwardProblem<bfloat16>&);
template void sdpa_backward<float>(const SdpaBackwardProblem<double>&);
template void sdpa_backward<double>(const SdpaBackwardProblem<float>&);
template void sdpa_backward<double>(const SdpaBackwardProblem<float16>&);
template void sdpa_backward<double>(const SdpaBackwardProblem<bfloat16>&);
template void sdpa_backward<double>(const SdpaBackwardProblem<double>&);

}  // namespace attention::reference
