#include <cmath>

#include <attention/kernels/cross_entropy_fused.hpp>

namespace attention::kernels {
namespace {

LogitsTask task_of(const CrossEntropyRow<float>& row) noexcept {
  return {
      .C = row.C, .x = row.logits, .stride = row.stride, .wants_distance = row.label_smoothing > 0};
}

}  // namespace

CrossEntropyRowLoss cross_entropy_fused(const CrossEntropyRow<float>& row,
                                        const IsaFunctions& isa) noexcept {
  const LogitsSums sums = isa.sum_logits(task_of(row));
  const auto maximum = static_cast<double>(sums.maximum);
  const auto at_target = static_cast<double>(row.logits[row.target * row.stride]);
  const double log_sum = std::log(sums.powers);
  const double s = row.label_smoothing;
  double loss = 0;
  if (s < 1) {
    loss += (1 - s) * (log_sum - (at_target - maximum));
  }
  if (s > 0) {
    loss += s * (log_sum - sums.distance / static_cast<double>(row.C));
  }
  return {.loss = loss, .lse = maximum + log_sum};
}

void cross_entropy_backward_fused(const CrossEntropyRowGradient<float>& gradient,
                                  const IsaFunctions& isa) noexcept {
  const CrossEntropyRow<float>& row = gradient.row;
  const double s = row.label_smoothing;
  isa.logits_gradient({.logits = task_of(row),
                       .d_x = gradient.d_logits,
                       .d_stride = gradient.d_stride,
                       .lse = static_cast<float>(gradient.lse),
                       .factor = gradient.d_loss,
                       .uniform = s / static_cast<double>(row.C)});
  gradient.d_logits[row.target * gradient.d_stride] -=
      static_cast<float>(gradient.d_loss * (1 - s));
}

}  // namespace attention::kernels
