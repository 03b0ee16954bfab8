#pragma once

#include <cstddef>
#include <cstdint>

#include <attention/core/tensor_view.hpp>

namespace attention::kernels {

/// Rows of x that go through the weights together, one per lane.
inline constexpr std::int64_t kLinearBlockedRows = 16;

/// Bytes of scratch for one panel of rows.
std::size_t linear_blocked_scratch(std::int64_t in_features) noexcept;

/// out[n][o] = sum_i x[n][i] weight[o][i] + bias[o] for the rows [n_begin, n_begin +
/// kLinearBlockedRows) that exist, in float32. Shapes: x (N, I), weight (O, I), bias (O) or null,
/// out (N, O).
///
/// `scratch` is aligned to 64 bytes. Instantiated for float, float16 and bfloat16.
template <class T>
struct LinearProblem {
  TensorView<T> out;
  TensorView<const T> x;
  TensorView<const T> weight;
  TensorView<const T> bias;
};
template <class T>
void linear_blocked(const LinearProblem<T>& problem, std::int64_t n_begin,
                    std::byte* scratch) noexcept;

}  // namespace attention::kernels
