#pragma once

#include <cstddef>
#include <cstdint>

#include <attention/core/linear_backward_problem.hpp>
#include <attention/kernels/isa_functions.hpp>

namespace attention::kernels {

/// The gradients of linear cut into tasks for the kernels of one instruction set: some rows by some
/// columns of d_weight, with d_bias, or of d_x. Float only.
///
/// How the results are cut depends on the number of threads. The terms of a sum, which are the rows
/// of x for d_weight and the outputs for d_x, are cut into pieces by their number alone, and one
/// task goes through them in their order: no bit depends on the threads.
///
/// Read on with isa/linear_backward.cpp.
class LinearBackwardFused {
 public:
  LinearBackwardFused(const LinearBackwardProblem<float>& problem, const IsaFunctions& isa,
                      int threads);

  std::int64_t tasks() const noexcept { return weight_.tasks() + x_.tasks(); }
  /// Computes one task. `scratch` holds linear_backward_fused_scratch bytes, aligned to 64.
  void run(std::int64_t task, std::byte* scratch) const noexcept;

  /// A matrix of results in pieces.
  struct Cut {
    std::int64_t rows = 0;
    std::int64_t columns = 0;
    std::int64_t rows_each = 1;
    std::int64_t columns_each = 1;
    std::int64_t row_pieces = 0;
    std::int64_t column_pieces = 0;

    std::int64_t tasks() const noexcept { return row_pieces * column_pieces; }
  };

 private:
  void run_weight(std::int64_t task, std::byte* scratch) const noexcept;
  void run_x(std::int64_t task, std::byte* scratch) const noexcept;

  const LinearBackwardProblem<float>& problem_;
  const IsaFunctions& isa_;
  std::int64_t rows_;  // of x, all dimensions but the last together
  Cut weight_;
  Cut x_;
};

/// The bytes that one task of any problem with I inputs needs.
std::size_t linear_backward_fused_scratch(const IsaFunctions& isa, std::int64_t I) noexcept;

}  // namespace attention::kernels
