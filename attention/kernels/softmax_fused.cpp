#include <algorithm>

#include <attention/kernels/softmax_fused.hpp>

namespace attention::kernels {
namespace {

/// Elements of a task: some microseconds.
constexpr std::int64_t kElementsPerTask = 16384;

/// A row of a tensor: its first element, and the step to the next.
template <class T>
struct Row {
  T* data;
  std::int64_t step;

  Row(const TensorView<T>& tensor, std::int64_t row)
      : data(tensor.data()), step(tensor.strides()[tensor.rank() - 1]) {
    for (int dim = tensor.rank() - 2; dim >= 0; --dim) {
      data += row % tensor.size(dim) * tensor.strides()[dim];
      row /= tensor.size(dim);
    }
  }
};

}  // namespace

RowTasks::RowTasks(const Shape& shape) {
  const std::int64_t length = std::max<std::int64_t>(shape[shape.rank() - 1], 1);
  rows_ = element_count(shape) / length;
  rows_per_task_ = std::max<std::int64_t>(kElementsPerTask / length, 1);
  tasks_ = (rows_ + rows_per_task_ - 1) / rows_per_task_;
}

std::int64_t RowTasks::end(std::int64_t task) const noexcept {
  return std::min(begin(task) + rows_per_task_, rows_);
}

void SoftmaxFused::run(std::int64_t task) const noexcept {
  for (std::int64_t row = rows_.begin(task); row < rows_.end(task); ++row) {
    const Row<float> out(out_, row);
    const Row<const float> x(x_, row);
    isa_.softmax({.count = x_.size(x_.rank() - 1),
                  .out = out.data,
                  .out_step = out.step,
                  .x = x.data,
                  .x_step = x.step});
  }
}

void SoftmaxBackwardFused::run(std::int64_t task) const noexcept {
  for (std::int64_t row = rows_.begin(task); row < rows_.end(task); ++row) {
    const Row<float> d_x(d_x_, row);
    const Row<const float> d_out(d_out_, row);
    const Row<const float> out(out_, row);
    isa_.softmax_backward({.count = out_.size(out_.rank() - 1),
                           .d_x = d_x.data,
                           .d_x_step = d_x.step,
                           .d_out = d_out.data,
                           .d_out_step = d_out.step,
                           .out = out.data,
                           .out_step = out.step});
  }
}

}  // namespace attention::kernels
