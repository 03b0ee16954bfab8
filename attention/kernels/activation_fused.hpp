#pragma once

#include <cstdint>

#include <attention/core/tensor_view.hpp>
#include <attention/kernels/element_runs.hpp>
#include <attention/kernels/isa_functions.hpp>

namespace attention::kernels {

/// out = f(x), or, where d_out is given, out = d_out f'(x). Views of one shape.
template <class T>
struct ActivationProblem {
  TensorView<T> out;
  TensorView<const T> x;
  TensorView<const T> d_out;  // null: the way forward
  Activation activation = Activation::none;
};

/// A problem cut into tasks for the kernels of one instruction set: pieces of one size, or a few
/// short runs of elements.
///
/// Read on with isa/activation.cpp.
class ActivationFused {
 public:
  ActivationFused(const ActivationProblem<float>& problem, const IsaFunctions& isa);

  std::int64_t tasks() const noexcept;
  void run(std::int64_t task) const noexcept;

 private:
  const ActivationProblem<float>& problem_;
  const IsaFunctions& isa_;
  ElementRuns runs_;
  std::int64_t pieces_per_run_;
  std::int64_t runs_per_task_;
};

}  // namespace attention::kernels
