#include <algorithm>

#include <attention/kernels/activation_fused.hpp>

namespace attention::kernels {
namespace {

/// Elements of a task: some microseconds.
constexpr std::int64_t kPiece = 16384;

std::int64_t divided_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

}  // namespace

ActivationFused::ActivationFused(const ActivationProblem<float>& problem, const IsaFunctions& isa)
    : problem_(problem),
      isa_(isa),
      runs_({problem.out.layout(), problem.x.layout(),
             problem.d_out.is_null() ? problem.x.layout() : problem.d_out.layout()}),
      pieces_per_run_(divided_up(runs_.length(), kPiece)),
      runs_per_task_(std::max<std::int64_t>(kPiece / runs_.length(), 1)) {}

std::int64_t ActivationFused::tasks() const noexcept {
  return divided_up(runs_.runs(), runs_per_task_) * pieces_per_run_;
}

void ActivationFused::run(std::int64_t task) const noexcept {
  const std::int64_t first_run = task / pieces_per_run_ * runs_per_task_;
  const std::int64_t last_run = std::min(first_run + runs_per_task_, runs_.runs());
  const std::int64_t begin = task % pieces_per_run_ * kPiece;
  const auto [out_step, x_step, d_out_step] = runs_.steps();
  for (std::int64_t run = first_run; run < last_run; ++run) {
    const auto [out, x, d_out] = runs_.begin_of(run);
    isa_.activation({.activation = problem_.activation,
                     .count = std::min(kPiece, runs_.length() - begin),
                     .out = problem_.out.data() + out + begin * out_step,
                     .out_step = out_step,
                     .x = problem_.x.data() + x + begin * x_step,
                     .x_step = x_step,
                     .d_out = problem_.d_out.is_null()
                                  ? nullptr
                                  : problem_.d_out.data() + d_out + begin * d_out_step,
                     .d_out_step = d_out_step});
  }
}

}  // namespace attention::kernels
