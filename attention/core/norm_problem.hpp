#pragma once

#include <cstdint>
#include <span>

#include <attention/core/rows.hpp>

namespace attention {

/// layer: the mean is taken from a row before it is scaled; rms: it is not.
enum class NormKind : std::uint8_t { layer, rms };

/// layer_norm or rms_norm as every path receives it, checked. Rows have E elements, of `mean` and
/// `rstd` one.
template <class T>
struct NormProblem {
  NormKind kind = NormKind::layer;
  double epsilon = 0;
  RowsOf<const T> x;
  TensorView<const T> weight;  // (E), or null: ones
  TensorView<const T> bias;    // (E), or null: zeros; always null for rms
  RowsOf<T> out;
  RowsOf<T> mean;  // null if not wanted; always for rms
  RowsOf<T> rstd;  // null if not wanted
};

/// The gradients of layer_norm or rms_norm as every path receives them, checked.
template <class T>
struct NormBackwardProblem {
  NormKind kind = NormKind::layer;
  double epsilon = 0;
  RowsOf<const T> d_out;
  RowsOf<const T> x;
  TensorView<const T> weight;  // (E), or null: ones
  RowsOf<const T> mean;        // null for rms
  RowsOf<const T> rstd;
  RowsOf<T> d_x;
  TensorView<T> d_weight;  // (E)
  TensorView<T> d_bias;    // (E), null for rms
};

/// What rows add to the gradients of weight and bias, E sums each.
struct NormSums {
  std::span<double> weight;
  std::span<double> bias;  // empty for rms
};

}  // namespace attention
