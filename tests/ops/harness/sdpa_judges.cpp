#include "sdpa_judges.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <type_traits>

#include <attention/core/sdpa_problem.hpp>
#include <attention/core/tensor.hpp>
#include <attention/reference/sdpa.hpp>

#include "sdpa_operands.hpp"

namespace attention::tests {
namespace {

template <class T>
Tensor<T> narrowed(const Shape& shape, std::span<const double> values) {
  Tensor<T> result(shape);
  std::ranges::transform(values, result.data(),
                         [](double value) { return element_cast<T>(value); });
  return result;
}

struct Precision {
  double epsilon;        // the spacing of the numbers from 1 on
  double smallest_step;  // the spacing next to 0
  double largest;
};

Precision precision_of(DType dtype) {
  switch (dtype) {
    case DType::float16:
      return {.epsilon = 0x1p-10, .smallest_step = 0x1p-24, .largest = 65504.0};
    case DType::bfloat16:
      return {.epsilon = 0x1p-7, .smallest_step = 0x1p-133, .largest = 0x1.FEp127};
    case DType::float32:
      return {.epsilon = 0x1p-23, .smallest_step = 0x1p-149, .largest = 0x1.FFFFFEp127};
    default:
      return {.epsilon = 0x1p-52,
              .smallest_step = 0x1p-1074,
              .largest = std::numeric_limits<double>::max()};
  }
}

bool is_finite(std::span<const double> row) {
  return std::ranges::all_of(row, [](double value) { return std::isfinite(value); });
}

double largest_difference(std::span<const double> a, std::span<const double> b) {
  double largest = 0;
  for (std::size_t n = 0; n < a.size(); ++n) {
    largest = std::max(largest, std::abs(a[n] - b[n]));
  }
  return largest;
}

std::string list(std::span<const double> values) {
  std::ostringstream text;
  text.precision(17);
  for (std::size_t n = 0; n < std::min<std::size_t>(values.size(), 6); ++n) {
    text << (n > 0 ? ", " : "") << values[n];
  }
  return text.str();
}

/// Rows of at least one value; none when the rows are empty.
std::size_t rows_of(const Comparison& comparison) {
  return comparison.row_size == 0 ? 0 : comparison.found.size() / comparison.row_size;
}

std::string wrong_finiteness(const Comparison& comparison, std::size_t row, bool expected) {
  const std::size_t start = row * comparison.row_size;
  return comparison.name + " row " + std::to_string(row) +
         (expected ? " must be finite" : " must not be finite") + "; found " +
         list(comparison.found.subspan(start, comparison.row_size)) + "; float64 " +
         list(comparison.truth.subspan(start, comparison.row_size)) + "\n";
}

}  // namespace

template <class Real, class T>
Results reference_results(const DenseProblem& p) {
  const SdpaCase& c = p.c;
  const auto q = narrowed<T>({c.B, c.H, c.L, c.D}, p.q);
  const auto k = narrowed<T>({c.B, c.Hkv, c.S, c.D}, p.k);
  const auto v = narrowed<T>({c.B, c.Hkv, c.S, c.Dv}, p.v);
  Tensor<T> out({c.B, c.H, c.L, c.Dv});
  Tensor<Accumulator<T>> lse({c.B, c.H, c.L});
  Tensor<Accumulator<T>> weights({c.B, c.H, c.L, c.S});

  SdpaProblem<T> problem{
      .B = c.B,
      .H = c.H,
      .Hkv = c.Hkv,
      .L = c.L,
      .S = c.S,
      .D = c.D,
      .Dv = c.Dv,
      .q = q,
      .k = k,
      .v = v,
      .out = out,
      .lse = lse,
      .maximum = {},
      .weights = weights,
      .rules = {},
      .dropout = random::DropoutMask(c.dropout.probability, c.dropout.seed, c.dropout.call)};
  ScoreRules& rules = problem.rules;
  rules.scale = c.scale.value_or(1 / std::sqrt(static_cast<double>(c.D)));
  rules.softcap = c.softcap;
  rules.causal = c.causal;
  rules.window_left = c.window.left;
  rules.window_right = c.window.right;
  rules.offset_from_key_end = c.positions == Positions::bottom_right;
  rules.query_offset = c.positions == Positions::at ? c.offset : 0;

  rules.mask_kind = c.mask;
  Tensor<bool> boolean_mask;
  Tensor<double> added_mask;
  if (c.mask == MaskKind::add) {
    added_mask = narrowed<double>(c.mask_shape, p.mask);
    if constexpr (std::is_same_v<Real, float>) {
      // What is finite stays finite, or a number would block.
      for (double& value : added_mask.values()) {
        value = std::isfinite(value) ? std::clamp(value, -0x1.FFFFFEp127, 0x1.FFFFFEp127) : value;
      }
    }
    rules.mask = AnyView(added_mask).broadcast_to({c.B, c.H, c.L, c.S});
  } else if (c.mask != MaskKind::none) {
    boolean_mask = narrowed<bool>(c.mask_shape, p.mask);
    rules.mask = AnyView(boolean_mask).broadcast_to({c.B, c.H, c.L, c.S});
  }
  const Tensor<std::int64_t> lengths(Shape{static_cast<std::int64_t>(p.key_lengths.size())},
                                     std::span<const std::int64_t>(p.key_lengths));
  const auto slopes = narrowed<double>({static_cast<std::int64_t>(p.slopes.size())}, p.slopes);
  const auto sinks = narrowed<double>({static_cast<std::int64_t>(p.sinks.size())}, p.sinks);
  rules.key_lengths = c.key_lengths ? AnyView(lengths) : AnyView();
  rules.alibi_slopes = c.alibi_slopes ? AnyView(slopes) : AnyView();
  rules.sinks = c.sinks ? AnyView(sinks) : AnyView();

  reference::sdpa<Real, T>(problem);
  return {.out = widened(out), .lse = widened(lse), .weights = widened(weights)};
}

template <class T>
std::vector<double> naive_rounded_out(const DenseProblem& p, const Results& naive_float32) {
  const SdpaCase& c = p.c;
  std::vector<double> result;
  result.reserve(naive_float32.out.size());
  for (std::int64_t row = 0; row < c.B * c.H * c.L; ++row) {
    const Cell cell{.b = row / (c.H * c.L), .h = row / c.L % c.H, .i = row % c.L, .j = 0};
    const std::int64_t key_head = cell.b * c.Hkv + cell.h / (c.H / c.Hkv);
    std::vector<float> out(static_cast<std::size_t>(c.Dv), 0.0F);
    for (std::int64_t j = 0; j < c.S; ++j) {
      const Cell here = {.b = cell.b, .h = cell.h, .i = cell.i, .j = j};
      const double weight = naive_float32.weights[static_cast<std::size_t>(row * c.S + j)];
      // (A NaN reaches the row through the sum of the weights.)
      if (!is_visible(p, here) || (!is_kept(p, here) && !std::isnan(weight))) {
        continue;
      }
      const auto rounded = static_cast<float>(element_cast<T>(weight * dropout_factor(c)));
      for (std::size_t d = 0; d < out.size(); ++d) {
        const double value = p.v[static_cast<std::size_t>((key_head * c.S + j) * c.Dv) + d];
        out[d] += rounded * static_cast<float>(value);
      }
    }
    for (const float value : out) {
      result.push_back(element_cast<double>(element_cast<T>(value)));
    }
  }
  return result;
}

std::string judge_by_naive(const Comparison& comparison, std::span<const double> naive,
                           double slack) {
  double error = 0;
  double naive_error = 0;
  std::size_t worst = 0;
  for (std::size_t row = 0; row < rows_of(comparison); ++row) {
    const std::size_t start = row * comparison.row_size;
    const auto found = comparison.found.subspan(start, comparison.row_size);
    const auto truth = comparison.truth.subspan(start, comparison.row_size);
    const bool expected = is_finite(naive.subspan(start, comparison.row_size));
    if (is_finite(found) != expected) {
      return wrong_finiteness(comparison, row, expected);
    }
    if (expected) {
      worst = largest_difference(found, truth) > error ? row : worst;
      error = std::max(error, largest_difference(found, truth));
      naive_error = std::max(naive_error,
                             largest_difference(naive.subspan(start, comparison.row_size), truth));
    }
  }
  if (error <= 2 * naive_error + slack) {
    return {};
  }
  const std::size_t start = worst * comparison.row_size;
  std::ostringstream text;
  text << comparison.name << " has an error of " << error << " in row " << worst
       << "; the naive error is " << naive_error << ", the slack " << slack << "; found "
       << list(comparison.found.subspan(start, comparison.row_size)) << "; float64 "
       << list(comparison.truth.subspan(start, comparison.row_size)) << "\n";
  return text.str();
}

std::string judge_by_rounding(const Comparison& comparison, DType dtype, double slack) {
  const Precision precision = precision_of(dtype);
  for (std::size_t row = 0; row < rows_of(comparison); ++row) {
    const std::size_t start = row * comparison.row_size;
    const auto found = comparison.found.subspan(start, comparison.row_size);
    const auto truth = comparison.truth.subspan(start, comparison.row_size);
    // Half a unit above the largest number still rounds to it; NaN fails the comparison.
    const bool expected = std::ranges::all_of(truth, [&](double value) {
      return std::abs(value) <= precision.largest * (1 + precision.epsilon / 4);
    });
    if (is_finite(found) != expected) {
      return wrong_finiteness(comparison, row, expected);
    }
    for (std::size_t n = 0; expected && n < found.size(); ++n) {
      const double bar =
          0.5 * precision.epsilon * std::abs(truth[n]) + precision.smallest_step + slack;
      if (!(std::abs(found[n] - truth[n]) <= bar)) {
        std::ostringstream text;
        text.precision(17);
        text << comparison.name << " row " << row << " element " << n << ": found " << found[n]
             << ", float64 " << truth[n] << ", bar " << bar << "\n";
        return text.str();
      }
    }
  }
  return {};
}

std::string judge_blocked_cells(const DenseProblem& p, const Truth& truth, const Results& found) {
  const SdpaCase& c = p.c;
  const auto keys = static_cast<std::size_t>(c.S);
  const auto values = static_cast<std::size_t>(c.Dv);
  for (std::size_t row = 0; row < truth.results.lse.size(); ++row) {
    const auto visible = std::span(truth.visible).subspan(row * keys, keys);
    for (std::size_t j = 0; j < keys && !found.weights.empty(); ++j) {
      if (visible[j] == 0 && found.weights[row * keys + j] != 0) {
        return "weights row " + std::to_string(row) + ": blocked key " + std::to_string(j) +
               " has weight " + std::to_string(found.weights[row * keys + j]) + "\n";
      }
    }
    if (std::ranges::find(visible, 1) != visible.end()) {
      continue;
    }
    const auto out = std::span(found.out).subspan(row * values, values);
    if (std::ranges::any_of(out, [](double value) { return value != 0; })) {
      return "out row " + std::to_string(row) + " sees nothing and must be 0; found " + list(out) +
             "\n";
    }
    // Every sink that is drawn is a float32 number, so that lse holds it in bits.
    if (!found.lse.empty() && found.lse[row] != truth.results.lse[row]) {
      return "lse " + std::to_string(row) + " sees nothing and must be " +
             std::to_string(truth.results.lse[row]) + "; found " + std::to_string(found.lse[row]) +
             "\n";
    }
  }
  return {};
}

template Results reference_results<double, double>(const DenseProblem&);
template Results reference_results<float, float>(const DenseProblem&);
template Results reference_results<float, float16>(const DenseProblem&);
template Results reference_results<float, bfloat16>(const DenseProblem&);
template std::vector<double> naive_rounded_out<float16>(const DenseProblem&, const Results&);
template std::vector<double> naive_rounded_out<bfloat16>(const DenseProblem&, const Results&);

}  // namespace attention::tests
