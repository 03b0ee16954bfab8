#pragma once

#include <cstddef>
#include <cstdint>

#include <attention/core/tensor_view.hpp>
#include <attention/kernels/isa_functions.hpp>

namespace attention::kernels {

/// out[..., o] = f(sum_i x[..., i] weight[o, i] + bias[o]). Shapes: x (..., I), weight (O, I), bias
/// (O) or null, out (..., O).
template <class T>
struct LinearProblem {
  TensorView<T> out;
  TensorView<const T> x;
  TensorView<const T> weight;
  TensorView<const T> bias;
  Activation activation = Activation::none;
};

/// A problem cut into tasks for the kernels of one instruction set: some rows of x by some outputs.
/// How it is cut depends on the number of threads; no bit of the results does.
///
/// Read on with isa/linear.cpp. Instantiated for float, float16 and bfloat16.
template <class T>
class LinearFused {
 public:
  LinearFused(const LinearProblem<T>& problem, const IsaFunctions& isa, int threads);

  std::int64_t tasks() const noexcept { return row_groups_ * output_groups_; }
  /// Bytes that one task needs.
  std::size_t scratch_size() const noexcept;
  /// Computes one task. `scratch` is aligned to 64 bytes.
  void run(std::int64_t task, std::byte* scratch) const noexcept;

 private:
  const LinearProblem<T>& problem_;
  const IsaFunctions& isa_;
  std::int64_t rows_;  // of x, all dimensions but the last together
  std::int64_t rows_per_task_;
  std::int64_t outputs_per_task_;
  std::int64_t row_groups_;
  std::int64_t output_groups_;
};

/// The scratch that one task of any problem with I inputs needs at most.
template <class T>
std::size_t linear_fused_scratch(const IsaFunctions& isa, std::int64_t I) noexcept;

}  // namespace attention::kernels
