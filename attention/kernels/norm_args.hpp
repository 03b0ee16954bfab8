#pragma once

#include <cstdint>

/// Private: what crosses the border to the code that is compiled once for each instruction set; see
/// sdpa_args.hpp.
namespace attention::kernels {

/// Rows of a task at most. Of the backward pass these are also the rows that are summed in float
/// before they are added to sums in double.
inline constexpr int kMaxNormRows = 64;

/// Some rows of layer_norm, or of rms_norm, of E features each.
struct NormTask {
  std::int64_t E;
  int rows;
  bool takes_mean;  // layer_norm; without it, rms_norm
  double epsilon;
  const float* weight;  // null: ones
  std::int64_t weight_feature;
  const float* bias;  // null: zeros
  std::int64_t bias_feature;
  const float* x[kMaxNormRows];
  std::int64_t x_feature;
  float* out[kMaxNormRows];
  std::int64_t out_feature;
  float* mean[kMaxNormRows];  // null if not wanted
  float* rstd[kMaxNormRows];  // null if not wanted
};

/// The gradients of such rows: d_x is written, and what the rows add to those of weight and bias is
/// added to sums.
struct NormBackwardTask {
  std::int64_t E;
  int rows;
  bool takes_mean;
  const float* weight;  // null: ones
  std::int64_t weight_feature;
  const float* x[kMaxNormRows];
  std::int64_t x_feature;
  const float* d_out[kMaxNormRows];
  std::int64_t d_out_feature;
  float* d_x[kMaxNormRows];
  std::int64_t d_x_feature;
  float mean[kMaxNormRows];  // 0 for rms_norm
  float rstd[kMaxNormRows];
  double* weight_sums;  // E
  double* bias_sums;    // E; not used for rms_norm
};

}  // namespace attention::kernels
