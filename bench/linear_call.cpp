#include "bench/linear_call.hpp"

#include <cstddef>
#include <memory>
#include <vector>

#include <attention/ops/linear.hpp>

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

double operations_of(const LinearShape& shape) {
  return 2.0 * static_cast<double>(shape.rows) * static_cast<double>(shape.inputs) *
         static_cast<double>(shape.outputs);
}

}  // namespace attention::bench
