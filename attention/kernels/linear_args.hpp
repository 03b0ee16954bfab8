#pragma once

#include <cstdint>

#include <attention/core/activation.hpp>
#include <attention/kernels/sdpa_args.hpp>

/// Private: what crosses the border to the code that is compiled once for each instruction set; see
/// sdpa_args.hpp.
namespace attention::kernels {

/// Rows of a task at most.
inline constexpr int kMaxLinearRows = 256;

/// out[n][o] = f(sum_i x[n][i] weight[o][i] + bias[o]), f the activation, for some rows n and the
/// outputs [begin, end).
struct LinearTask {
  Element element;
  std::int64_t I;
  std::int64_t begin;
  std::int64_t end;
  const void* weight;
  std::int64_t weight_row;
  std::int64_t weight_feature;
  const void* bias;  // null: none
  std::int64_t bias_feature;
  Activation activation;
  int rows;
  const void* x[kMaxLinearRows];
  std::int64_t x_feature;
  void* out[kMaxLinearRows];  // of output 0
  std::int64_t out_feature;
};

}  // namespace attention::kernels
