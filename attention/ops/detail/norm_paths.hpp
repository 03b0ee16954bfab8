#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <attention/core/execution.hpp>
#include <attention/core/norm_problem.hpp>
#include <attention/kernels/isa_table.hpp>

/// Private to ops: how layer_norm and rms_norm are computed. Instantiated for float and double.
namespace attention::detail {

/// One way to compute the rows. `isa` is not looked at by a path that has no kernels.
template <class T>
struct NormPath {
  Path path;
  bool has_kernels;
  void (*forward)(const NormProblem<T>& problem, const kernels::IsaKernels* isa, int threads);
  /// The gradients of these rows: writes their d_x, and adds to `sums`. `scratch` holds as many
  /// bytes as the function beside it says, aligned to kScratchAlignment.
  void (*backward)(const NormBackwardProblem<T>& problem, const kernels::IsaKernels* isa,
                   const RowInterval& rows, const NormSums& sums, std::byte* scratch);
  std::size_t (*backward_scratch)(std::int64_t E, const kernels::IsaKernels* isa);
};

/// The path of a call, and its kernels if it has any.
template <class T>
class NormChoice {
 public:
  NormChoice(std::string_view function, const Execution& execution);

  Taken taken() const;
  void forward(const NormProblem<T>& problem) const;
  /// Bytes of workspace for the gradients of so many rows of E features. Of any alignment.
  std::size_t workspace_size(std::int64_t rows, std::int64_t E) const;
  void backward(const NormBackwardProblem<T>& problem, std::span<std::byte> workspace) const;

 private:
  const NormPath<T>& path_;
  const kernels::IsaKernels* isa_;
  int threads_;
};

/// The same size for callers of `function`, checked.
std::size_t norm_workspace_size(std::string_view function, std::int64_t rows, std::int64_t features,
                                DType dtype, const Execution& execution);

}  // namespace attention::detail
