#pragma once

#include <cstdint>
#include <functional>

namespace attention::bench {

/// One problem of linear, without a bias.
struct LinearShape {
  std::int64_t rows = 0;
  std::int64_t inputs = 0;
  std::int64_t outputs = 0;
  int threads = 1;
};

/// A call of linear_into with its tensors, which live as long as the call.
std::function<void()> linear_call(const LinearShape& shape);

/// What a backward call computes.
enum class LinearGradient { x, weight_and_bias };

/// The same of linear_backward_into.
std::function<void()> linear_backward_call(const LinearShape& shape, LinearGradient gradient);

/// 2 x rows x inputs x outputs: of a forward call, and of one gradient.
double operations_of(const LinearShape& shape);

}  // namespace attention::bench
