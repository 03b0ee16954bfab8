#pragma once

#include <cstdint>

/// Private: what crosses the border to the code that is compiled once for each instruction set; see
/// sdpa_args.hpp.
namespace attention::kernels {

/// out[j] = exp(x[j]) / sum_k exp(x[k]). out may be x.
struct SoftmaxRow {
  std::int64_t count;
  float* out;
  std::int64_t out_step;
  const float* x;
  std::int64_t x_step;
};

/// d_x[j] = out[j] (d_out[j] - sum_k out[k] d_out[k]). d_x may be d_out.
struct SoftmaxBackwardRow {
  std::int64_t count;
  float* d_x;
  std::int64_t d_x_step;
  const float* d_out;
  std::int64_t d_out_step;
  const float* out;
  std::int64_t out_step;
};

}  // namespace attention::kernels
