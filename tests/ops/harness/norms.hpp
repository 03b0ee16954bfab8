#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <attention/core/norm_problem.hpp>
#include <attention/ops/kernel_isas.hpp>
#include <attention/ops/layer_norm.hpp>
#include <attention/ops/rms_norm.hpp>

#include "every_path.hpp"
#include "half_unit.hpp"

/// What the tests of layer_norm and rms_norm share: both by one name, and what the formulas of
/// their headers give in float64.
namespace attention::tests {

/// A norm, an element type and a path that serves it.
template <NormKind Kind, class T, Path TakenPath>
struct NormOn {
  using Element = T;
  static constexpr NormKind kKind = Kind;
  static constexpr Path kPath = TakenPath;
};

using EveryNorm = ::testing::Types<
    NormOn<NormKind::layer, float, Path::fused>, NormOn<NormKind::layer, float, Path::reference>,
    NormOn<NormKind::layer, double, Path::reference>, NormOn<NormKind::rms, float, Path::fused>,
    NormOn<NormKind::rms, float, Path::reference>, NormOn<NormKind::rms, double, Path::reference>>;

struct NormNames {
  template <class Setting>
  static std::string GetName(int /*index*/) {  // NOLINT(readability-identifier-naming): GoogleTest
    return std::string(Setting::kKind == NormKind::layer ? "layer_" : "rms_") +
           std::string(name_of(Setting::kPath)) + "_" +
           std::string(name_of(kDTypeOf<typename Setting::Element>));
  }
};

/// The ways to run on a path: each instruction set of this machine, or the one of the reference.
inline std::vector<Execution> executions_on(Path path, int threads = 1) {
  std::vector<Execution> all;
  if (path != Path::fused) {
    all.push_back({.path = path, .threads = threads});
    return all;
  }
  for (const Isa isa : kernel_isas()) {
    all.push_back({.path = path, .isa = isa, .threads = threads});
  }
  return all;
}

inline std::string describe(const Execution& execution) {
  return execution.isa ? std::string(name_of(*execution.isa)) : std::string("no isa");
}

/// Either norm as layer_norm: of rms_norm, mean and the bias' gradient are null, and a bias is not
/// looked at.
template <NormKind Kind, class T>
LayerNormResult<T> norm(TensorView<const T> x, TensorView<const T> weight, TensorView<const T> bias,
                        const NormOptions& options) {
  if constexpr (Kind == NormKind::layer) {
    return layer_norm(x, weight, bias, options);
  } else {
    RmsNormResult<T> found = rms_norm(x, weight, options);
    return {.out = std::move(found.out),
            .mean = {},
            .rstd = std::move(found.rstd),
            .taken = found.taken};
  }
}

template <NormKind Kind, class T>
Taken norm_into(const LayerNormOutputs<T>& outputs, TensorView<const T> x,
                TensorView<const T> weight, TensorView<const T> bias, const NormOptions& options) {
  if constexpr (Kind == NormKind::layer) {
    return layer_norm_into(outputs, x, weight, bias, options);
  } else {
    return rms_norm_into({.out = outputs.out, .rstd = outputs.rstd}, x, weight, options);
  }
}

template <NormKind Kind, class T>
LayerNormGradients<T> norm_backward(const LayerNormBackwardInputs<T>& inputs,
                                    const NormOptions& options) {
  if constexpr (Kind == NormKind::layer) {
    return layer_norm_backward(inputs.d_out, inputs.x, inputs.weight, inputs.saved, options);
  } else {
    RmsNormGradients<T> found = rms_norm_backward(inputs.d_out, inputs.x, inputs.weight,
                                                  {.rstd = inputs.saved.rstd}, options);
    return {.x = std::move(found.x),
            .weight = std::move(found.weight),
            .bias = {},
            .taken = found.taken};
  }
}

template <NormKind Kind, class T>
Taken norm_backward_into(const LayerNormGradientOutputs<T>& gradients,
                         const LayerNormBackwardInputs<T>& inputs, const NormOptions& options,
                         std::span<std::byte> workspace) {
  if constexpr (Kind == NormKind::layer) {
    return layer_norm_backward_into(gradients, inputs, options, workspace);
  } else {
    const RmsNormBackwardInputs<T> without{.d_out = inputs.d_out,
                                           .x = inputs.x,
                                           .weight = inputs.weight,
                                           .saved = {.rstd = inputs.saved.rstd}};
    return rms_norm_backward_into({.x = gradients.x, .weight = gradients.weight}, without, options,
                                  workspace);
  }
}

template <NormKind Kind>
std::size_t norm_workspace_size(std::int64_t rows, std::int64_t features, DType dtype,
                                const Execution& execution) {
  return Kind == NormKind::layer
             ? layer_norm_backward_workspace_size(rows, features, dtype, execution)
             : rms_norm_backward_workspace_size(rows, features, dtype, execution);
}

template <class T>
bool same_bits(const LayerNormResult<T>& a, const LayerNormResult<T>& b) {
  return same_bits(a.out, b.out) && same_bits(a.mean, b.mean) && same_bits(a.rstd, b.rstd);
}

template <class T>
bool same_bits(const LayerNormGradients<T>& a, const LayerNormGradients<T>& b) {
  return same_bits(a.x, b.x) && same_bits(a.weight, b.weight) && same_bits(a.bias, b.bias);
}

/// One row by the formulas of the headers.
struct NormRow {
  double mean = 0;
  double rstd = 0;
  std::vector<double> xhat = {};
};

inline NormRow norm_row(NormKind kind, const std::vector<double>& x, double epsilon) {
  // (In long double: the mean of a row far from 0 is to be exact beside what the row differs by.)
  const auto E = static_cast<long double>(x.size());
  long double mean = 0;
  for (const double value : x) {
    mean += kind == NormKind::layer ? static_cast<long double>(value) : 0.0L;
  }
  mean /= E;
  long double squares = 0;
  for (const double value : x) {
    squares += (static_cast<long double>(value) - mean) * (static_cast<long double>(value) - mean);
  }
  const long double rstd = 1 / std::sqrt(squares / E + static_cast<long double>(epsilon));
  NormRow row{.mean = static_cast<double>(mean), .rstd = static_cast<double>(rstd)};
  for (const double value : x) {
    row.xhat.push_back(static_cast<double>((static_cast<long double>(value) - mean) * rstd));
  }
  return row;
}

/// The elements of a view in row-major order, as double.
template <class T>
std::vector<double> doubles_of(TensorView<const T> view) {
  std::vector<double> result;
  for (const T value : elements_of(view)) {
    result.push_back(static_cast<double>(value));
  }
  return result;
}

/// A weight or a bias that may be null.
template <class T>
std::vector<double> doubles_or(TensorView<const T> view, std::size_t E, double otherwise) {
  return view.is_null() ? std::vector<double>(E, otherwise) : doubles_of(view);
}

/// How far a result may be off, in units of the size of what it is added up from: see the bar in
/// ops/layer_norm.hpp. The reference sums in float64 in the order of its elements.
inline double norm_unit(Path path, std::size_t terms) {
  return path == Path::fused ? 4 * 0x1p-23 : 0x1p-52 * static_cast<double>(terms + 8);
}

/// By how much this grows in a row that lies far from 0: on the fused path by nothing, on the
/// reference path by what float64 loses of the mean.
inline double norm_growth(Path path, const NormRow& row) {
  return path == Path::fused ? 1.0 : 1.0 + std::abs(row.mean) * row.rstd;
}

/// One rounding to T of a number of this size, which may be denormal.
template <class T>
double norm_rounding(double size) {
  return half_unit_of(kDTypeOf<T>) * 1.0001 * std::abs(size) + (sizeof(T) == 4 ? 0x1p-148 : 0.0);
}

/// Row number `row` of these, E elements each.
inline std::vector<double> nth_row(const std::vector<double>& all, std::size_t row, std::size_t E) {
  const auto first = all.begin() + static_cast<std::ptrdiff_t>(row * E);
  return {first, first + static_cast<std::ptrdiff_t>(E)};
}

/// Each element of a result against the formulas.
template <class Setting>
void expect_norm(const LayerNormResult<typename Setting::Element>& found,
                 TensorView<const typename Setting::Element> x,
                 TensorView<const typename Setting::Element> weight,
                 TensorView<const typename Setting::Element> bias, double epsilon = 1e-5) {
  using T = typename Setting::Element;
  constexpr bool kIsLayer = Setting::kKind == NormKind::layer;
  constexpr double kOne = kIsLayer ? 1.0 : 0.0;
  ASSERT_EQ(found.out.shape(), x.shape());
  const auto E = static_cast<std::size_t>(x.size(x.rank() - 1));
  const auto xs = doubles_of<T>(x);
  const auto weights = doubles_or<T>(weight, E, 1);
  const auto biases = doubles_or<T>(kIsLayer ? bias : TensorView<const T>(), E, 0);
  for (std::size_t row = 0; E > 0 && row < xs.size() / E; ++row) {
    const NormRow truth = norm_row(Setting::kKind, nth_row(xs, row, E), epsilon);
    const double unit = norm_unit(Setting::kPath, E) * norm_growth(Setting::kPath, truth);
    for (std::size_t e = 0; e < E; ++e) {
      const double expected = truth.xhat[e] * weights[e] + biases[e];
      const double size =
          std::abs(weights[e]) * (kOne + std::abs(truth.xhat[e])) + std::abs(biases[e]);
      EXPECT_NEAR(static_cast<double>(found.out.values()[row * E + e]), expected,
                  norm_rounding<T>(expected) + unit * size)
          << "row " << row << ", feature " << e;
    }
    if (kIsLayer) {
      EXPECT_NEAR(static_cast<double>(found.mean.values()[row]), truth.mean,
                  norm_rounding<T>(truth.mean) + unit / truth.rstd)
          << "row " << row;
    }
    EXPECT_NEAR(static_cast<double>(found.rstd.values()[row]), truth.rstd,
                norm_rounding<T>(truth.rstd) + unit * truth.rstd)
        << "row " << row;
  }
}

/// Gradients by the formulas of the headers, and beside each of them the size of what it is added
/// up from, as far as it counts on this path.
struct NormGradientTruth {
  std::vector<double> x = {};
  std::vector<double> x_size = {};
  std::vector<double> weight = {};
  std::vector<double> weight_size = {};
  std::vector<double> bias = {};
  std::vector<double> bias_size = {};
};

template <class Setting>
NormGradientTruth norm_gradients(TensorView<const typename Setting::Element> d_out,
                                 TensorView<const typename Setting::Element> x,
                                 TensorView<const typename Setting::Element> weight,
                                 double epsilon) {
  using T = typename Setting::Element;
  constexpr double kOne = Setting::kKind == NormKind::layer ? 1.0 : 0.0;
  const auto E = static_cast<std::size_t>(x.size(x.rank() - 1));
  const auto xs = doubles_of<T>(x);
  const auto all_d_out = doubles_of<T>(d_out);
  const auto weights = doubles_or<T>(weight, E, 1);
  NormGradientTruth truth{.weight = std::vector<double>(E),
                          .weight_size = std::vector<double>(E),
                          .bias = std::vector<double>(E),
                          .bias_size = std::vector<double>(E)};
  for (std::size_t n = 0; E > 0 && n < xs.size() / E; ++n) {
    const NormRow row = norm_row(Setting::kKind, nth_row(xs, n, E), epsilon);
    const double growth = norm_growth(Setting::kPath, row);
    const std::vector<double> row_d_out = nth_row(all_d_out, n, E);
    double mean_g = 0;
    double mean_gx = 0;
    double mean_size = 0;
    for (std::size_t e = 0; e < E; ++e) {
      const double g = row_d_out[e] * weights[e] / static_cast<double>(E);
      mean_g += kOne * g;
      mean_gx += g * row.xhat[e];
      mean_size += std::abs(g) * (kOne + std::abs(row.xhat[e]));
      truth.weight[e] += row_d_out[e] * row.xhat[e];
      truth.weight_size[e] += std::abs(row_d_out[e]) * growth * (kOne + std::abs(row.xhat[e]));
      truth.bias[e] += row_d_out[e];
      truth.bias_size[e] += std::abs(row_d_out[e]);
    }
    for (std::size_t e = 0; e < E; ++e) {
      const double g = row_d_out[e] * weights[e];
      truth.x.push_back(row.rstd * (g - mean_g - row.xhat[e] * mean_gx));
      truth.x_size.push_back(growth * row.rstd *
                             (std::abs(g) + (1 + std::abs(row.xhat[e])) * mean_size));
    }
  }
  return truth;
}

}  // namespace attention::tests
