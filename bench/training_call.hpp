#pragma once

#include <cstdint>
#include <functional>

namespace attention::bench {

/// A decoder block with a normalisation before each part, gelu and 4 E hidden features.
struct TrainingShape {
  std::int64_t E = 256;
  std::int64_t H = 8;
  std::int64_t L = 256;
  std::int64_t B = 16;
  int threads = 1;
};

/// A call that does one step: forward, backward (from the gradient of the output), AdamW.
std::function<void()> training_call(const TrainingShape& shape);

/// 6 operations for each parameter of the linear maps and token, and 3.5 times the forward pass of
/// causal attention.
double operations_of(const TrainingShape& shape);

}  // namespace attention::bench
