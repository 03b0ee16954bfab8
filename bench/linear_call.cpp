#include "bench/linear_call.hpp"

#include <cstddef>
#include <memory>
#include <vector>

#include <attention/ops/linear.hpp>
#include <attention/ops/linear_backward.hpp>

#include "bench/drawn.hpp"

namespace attention::bench {

std::function<void()> linear_call(const LinearShape& shape) {
  struct Problem {
    Tensor<float> x;
    Tensor<float> weight;
    Tensor<float> out;
    Execution execution;
    std::vector<std::byte> workspace;
  };
  const Execution execution{.threads = shape.threads};
  const auto problem =
      std::make_shared<Problem>(Problem{.x = drawn({shape.rows, shape.inputs}, 1),
                                        .weight = drawn({shape.outputs, shape.inputs}, 2),
                                        .out = Tensor<float>({shape.rows, shape.outputs}),
                                        .execution = execution,
                                        .workspace = std::vector<std::byte>(linear_workspace_size(
                                            shape.inputs, DType::float32, execution))});
  return [problem] {
    linear_into(problem->out, problem->x, problem->weight, {}, {.execution = problem->execution},
                problem->workspace);
  };
}

std::function<void()> linear_backward_call(const LinearShape& shape, LinearGradient gradient) {
  struct Problem {
    Tensor<float> d_out;
    Tensor<float> x;
    Tensor<float> weight;
    LinearGradients<float> gradients;
    LinearBackwardOptions options;
    std::vector<std::byte> workspace;
  };
  const bool wants_x = gradient == LinearGradient::x;
  const LinearBackwardOptions options{.wants_x = wants_x,
                                      .wants_weight = !wants_x,
                                      .wants_bias = !wants_x,
                                      .execution = {.threads = shape.threads}};
  const auto problem = std::make_shared<Problem>(
      Problem{.d_out = drawn({shape.rows, shape.outputs}, 1),
              .x = drawn({shape.rows, shape.inputs}, 2),
              .weight = drawn({shape.outputs, shape.inputs}, 3),
              .gradients = {},
              .options = options,
              .workspace = std::vector<std::byte>(linear_backward_workspace_size(
                  shape.inputs, DType::float32, options.execution))});
  // Where the gradients go.
  problem->gradients = linear_backward(problem->d_out, problem->x, problem->weight, options);
  return [problem] {
    LinearGradients<float>& to = problem->gradients;
    linear_backward_into({.x = to.x, .weight = to.weight, .bias = to.bias}, problem->d_out,
                         problem->x, problem->weight, problem->options, problem->workspace);
  };
}

double operations_of(const LinearShape& shape) {
  return 2.0 * static_cast<double>(shape.rows) * static_cast<double>(shape.inputs) *
         static_cast<double>(shape.outputs);
}

}  // namespace attention::bench
