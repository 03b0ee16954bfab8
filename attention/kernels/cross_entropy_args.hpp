#pragma once

#include <cstdint>

/// Private: what crosses the border to the code that is compiled once for each instruction set; see
/// sdpa_args.hpp.
namespace attention::kernels {

/// One row of logits x.
struct LogitsTask {
  std::int64_t C;
  const float* x;
  std::int64_t stride;
  bool wants_distance;
};

/// What the loss of a row is made of.
struct LogitsSums {
  float maximum;    // 0 if there is nothing but -inf
  double powers;    // sum of exp(x - maximum)
  double distance;  // sum of x - maximum, if it is wanted
};

/// d_x[j] = factor (exp(x[j] - lse) / sum_k exp(x[k] - lse) - uniform). d_x may be x.
struct LogitsGradientTask {
  LogitsTask logits;
  float* d_x;
  std::int64_t d_stride;
  float lse;
  double factor;
  double uniform;
};

}  // namespace attention::kernels
