#pragma once

#include <cstdint>

#include <attention/core/activation.hpp>

/// Private: what crosses the border to the code that is compiled once for each instruction set; see
/// sdpa_args.hpp.
namespace attention::kernels {

/// Elements with one step in each tensor: out[n] = f(x[n]), or, where d_out is given, out[n] =
/// d_out[n] f'(x[n]). f is the activation. out may be x or d_out.
struct ActivationRun {
  Activation activation;
  std::int64_t count;
  float* out;
  std::int64_t out_step;
  const float* x;
  std::int64_t x_step;
  const float* d_out;  // null: the way forward
  std::int64_t d_out_step;
};

}  // namespace attention::kernels
