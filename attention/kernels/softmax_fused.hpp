#pragma once

#include <cstdint>

#include <attention/core/tensor_view.hpp>
#include <attention/kernels/isa_functions.hpp>

namespace attention::kernels {

/// The rows of tensors of one shape, all dimensions but the last, some to a task. How many depends
/// on their length alone.
class RowTasks {
 public:
  explicit RowTasks(const Shape& shape);

  std::int64_t tasks() const noexcept { return tasks_; }
  std::int64_t begin(std::int64_t task) const noexcept { return task * rows_per_task_; }
  std::int64_t end(std::int64_t task) const noexcept;

 private:
  std::int64_t rows_;
  std::int64_t rows_per_task_;
  std::int64_t tasks_;
};

/// The softmax of the last dimension, cut into tasks for the kernels of one instruction set.
///
/// Read on with isa/softmax.cpp.
class SoftmaxFused {
 public:
  SoftmaxFused(TensorView<float> out, TensorView<const float> x, const IsaFunctions& isa)
      : out_(out), x_(x), isa_(isa), rows_(x.shape()) {}

  std::int64_t tasks() const noexcept { return rows_.tasks(); }
  void run(std::int64_t task) const noexcept;

 private:
  TensorView<float> out_;
  TensorView<const float> x_;
  const IsaFunctions& isa_;
  RowTasks rows_;
};

/// The way back, likewise.
class SoftmaxBackwardFused {
 public:
  SoftmaxBackwardFused(TensorView<float> d_x, TensorView<const float> d_out,
                       TensorView<const float> out, const IsaFunctions& isa)
      : d_x_(d_x), d_out_(d_out), out_(out), isa_(isa), rows_(out.shape()) {}

  std::int64_t tasks() const noexcept { return rows_.tasks(); }
  void run(std::int64_t task) const noexcept;

 private:
  TensorView<float> d_x_;
  TensorView<const float> d_out_;
  TensorView<const float> out_;
  const IsaFunctions& isa_;
  RowTasks rows_;
};

}  // namespace attention::kernels
