#include "float64_sdpa.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace attention::tests {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::int64_t key_length(const DenseProblem& p, std::int64_t b) {
  return p.key_lengths.empty() ? p.c.S : p.key_lengths[static_cast<std::size_t>(b)];
}

/// The key position at which query i stands.
std::int64_t position(const DenseProblem& p, std::int64_t b, std::int64_t i) {
  switch (p.c.positions) {
    case Positions::unnamed:
    case Positions::top_left:
      return i;
    case Positions::bottom_right:
      return i + key_length(p, b) - p.c.L;
    case Positions::at:
      return i + p.c.offset;
  }
  return i;
}

/// Philox4x32-10 from its formula (Salmon et al. 2011), the key (k0, k1).
struct Philox {
  std::uint32_t x0, x1, x2, x3;

  void turn(std::uint32_t k0, std::uint32_t k1) {
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t of_x0 = x0 * std::uint64_t{0xD2511F53};
      const std::uint64_t of_x2 = x2 * std::uint64_t{0xCD9E8D57};
      x0 = static_cast<std::uint32_t>(of_x2 >> 32) ^ x1 ^ k0;
      x1 = static_cast<std::uint32_t>(of_x2);
      x2 = static_cast<std::uint32_t>(of_x0 >> 32) ^ x3 ^ k1;
      x3 = static_cast<std::uint32_t>(of_x0);
      k0 += 0x9E3779B9;
      k1 += 0xBB67AE85;
    }
  }
};

double score_of(const DenseProblem& p, const Cell& cell, double& largest_term) {
  const SdpaCase& c = p.c;
  const std::int64_t key_head = cell.h / (c.H / c.Hkv);
  const double* const query = p.q.data() + ((cell.b * c.H + cell.h) * c.L + cell.i) * c.D;
  const double* const key = p.k.data() + ((cell.b * c.Hkv + key_head) * c.S + cell.j) * c.D;
  const auto take = [&](double term) {
    largest_term = std::isfinite(term) ? std::max(largest_term, std::abs(term)) : largest_term;
  };
  double score = 0;
  double magnitude = 0;
  for (std::int64_t d = 0; d < c.D; ++d) {
    score += query[d] * key[d];
    magnitude += std::abs(query[d] * key[d]);
  }
  if (c.D > 0) {
    const double scale = c.scale.value_or(1 / std::sqrt(static_cast<double>(c.D)));
    score *= scale;
    take(magnitude * scale);
  }
  if (c.softcap > 0) {
    score = c.softcap * std::tanh(score / c.softcap);
  }
  if (!p.slopes.empty()) {
    const std::int64_t distance = std::abs(position(p, cell.b, cell.i) - cell.j);
    const double bias = p.slopes[static_cast<std::size_t>(cell.h)] * static_cast<double>(distance);
    take(bias);
    score -= bias;
  }
  if (c.mask == MaskKind::add) {
    take(p.mask[mask_index(p, cell)]);
    score += p.mask[mask_index(p, cell)];
  }
  return score;
}

/// Row (b, h, i): writes the row's out, weights and lse.
void attend(const DenseProblem& p, Cell cell, Truth& truth) {
  const SdpaCase& c = p.c;
  const std::int64_t row = (cell.b * c.H + cell.h) * c.L + cell.i;
  double* const weights = truth.results.weights.data() + row * c.S;
  char* const visible = truth.visible.data() + row * c.S;
  double* const out = truth.results.out.data() + row * c.Dv;
  const double* const values = p.v.data() + (cell.b * c.Hkv + cell.h / (c.H / c.Hkv)) * c.S * c.Dv;

  const double sink = p.sinks.empty() ? -kInfinity : p.sinks[static_cast<std::size_t>(cell.h)];
  double largest = sink;
  bool sees_any = false;
  for (cell.j = 0; cell.j < c.S; ++cell.j) {
    visible[cell.j] = is_visible(p, cell) ? 1 : 0;
    if (visible[cell.j] != 0) {
      weights[cell.j] = score_of(p, cell, truth.largest_term);
      largest = std::max(largest, weights[cell.j]);
      sees_any = true;
    }
  }
  double& lse = truth.results.lse[static_cast<std::size_t>(row)];
  lse = sink;
  if (!sees_any) {
    return;
  }
  double sum = std::exp(sink - largest);
  for (std::int64_t j = 0; j < c.S; ++j) {
    if (visible[j] != 0) {
      weights[j] = std::exp(weights[j] - largest);
      sum += weights[j];
    }
  }
  lse = largest + std::log(sum);
  const double factor = dropout_factor(c);
  for (cell.j = 0; cell.j < c.S; ++cell.j) {
    const std::int64_t j = cell.j;
    const bool counts = visible[j] != 0 && is_kept(p, cell);
    for (std::int64_t d = 0; visible[j] != 0 && d < c.Dv; ++d) {
      const double value = values[j * c.Dv + d];
      out[d] += counts ? weights[j] / sum * factor * value : 0;
      if (std::isfinite(value)) {
        truth.largest_value = std::max(truth.largest_value, std::abs(value) * factor);
      }
    }
    weights[j] /= visible[j] != 0 ? sum : 1;
  }
  // A row whose softmax is NaN is NaN, even if dropout keeps none of it.
  std::fill(out, out + (std::isnan(sum) ? c.Dv : 0), sum);
}

}  // namespace

double dropout_factor(const SdpaCase& c) {
  return c.dropout.probability < 1 ? 1 / (1 - c.dropout.probability) : 0;
}

bool is_kept(const DenseProblem& p, const Cell& cell) {
  const SdpaDropout& dropout = p.c.dropout;
  if (dropout.probability == 0) {
    return true;
  }
  const auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x & 0xFFFFFFFF); };
  Philox key = {low(dropout.call), low(dropout.call >> 32), 0, 0};
  key.turn(low(dropout.seed), low(dropout.seed >> 32));
  const std::int64_t head = cell.b * p.c.H + cell.h;
  Philox words = {static_cast<std::uint32_t>(cell.j / 4), static_cast<std::uint32_t>(cell.i),
                  static_cast<std::uint32_t>(head), 1};
  words.turn(key.x0, key.x1);
  const std::uint32_t of_cell[] = {words.x0, words.x1, words.x2, words.x3};
  return of_cell[cell.j % 4] >= std::floor(dropout.probability * 4294967296.0);
}

std::size_t mask_index(const DenseProblem& p, const Cell& cell) {
  const Shape& shape = p.c.mask_shape;
  const std::int64_t indices[4] = {cell.b, cell.h, cell.i, cell.j};
  std::int64_t index = 0;
  for (int dim = 0; dim < shape.rank(); ++dim) {
    index = index * shape[dim] + (shape[dim] == 1 ? 0 : indices[4 - shape.rank() + dim]);
  }
  return static_cast<std::size_t>(index);
}

bool is_visible(const DenseProblem& p, const Cell& cell) {
  const SdpaCase& c = p.c;
  const std::int64_t stands_at = position(p, cell.b, cell.i);
  bool visible = cell.j < key_length(p, cell.b);
  visible = visible && (!c.causal || cell.j <= stands_at);
  visible = visible && (c.window.left < 0 || cell.j >= stands_at - c.window.left);
  visible = visible && (c.window.right < 0 || cell.j <= stands_at + c.window.right);
  switch (c.mask) {
    case MaskKind::none:
      return visible;
    case MaskKind::keep:
      return visible && p.mask[mask_index(p, cell)] != 0;
    case MaskKind::block:
      return visible && p.mask[mask_index(p, cell)] == 0;
    case MaskKind::add:
      return visible && p.mask[mask_index(p, cell)] != -kInfinity;
  }
  return visible;
}

Truth float64_sdpa(const DenseProblem& p) {
  const SdpaCase& c = p.c;
  const auto rows = static_cast<std::size_t>(c.B * c.H * c.L);
  Truth truth;
  truth.results.out.assign(rows * static_cast<std::size_t>(c.Dv), 0.0);
  truth.results.lse.assign(rows, 0.0);
  truth.results.weights.assign(rows * static_cast<std::size_t>(c.S), 0.0);
  truth.visible.assign(rows * static_cast<std::size_t>(c.S), 0);
  for (std::int64_t b = 0; b < c.B; ++b) {
    for (std::int64_t h = 0; h < c.H; ++h) {
      for (std::int64_t i = 0; i < c.L; ++i) {
        attend(p, {.b = b, .h = h, .i = i, .j = 0}, truth);
      }
    }
  }
  return truth;
}

}  // namespace attention::tests
