#include "bench/backward_call.hpp"

#include <memory>

#include <attention/ops/sdpa_backward.hpp>

#include "bench/drawn.hpp"

namespace attention::bench {

std::function<void()> backward_call(const SdpaShape& shape) {
  struct Problem {
    Tensor<float> q;
    Tensor<float> k;
    Tensor<float> v;
    Tensor<float> d_out;
    SdpaOptions options;
    SdpaResult<float> forward;
  };
  const auto problem = std::make_shared<Problem>(
      Problem{.q = drawn({1, shape.H, shape.L, shape.D}, 1),
              .k = drawn({1, shape.Hkv, shape.L, shape.D}, 2),
              .v = drawn({1, shape.Hkv, shape.L, shape.D}, 3),
              .d_out = drawn({1, shape.H, shape.L, shape.D}, 4),
              .options = {.causal = shape.rule == Rule::causal,
                          .execution = {.isa = shape.isa, .threads = shape.threads}},
              .forward = {}});
  problem->forward = sdpa(problem->q, problem->k, problem->v, problem->options);
  return [problem] {
    sdpa_backward(problem->d_out, problem->q, problem->k, problem->v,
                  {.out = problem->forward.out, .lse = problem->forward.lse}, problem->options);
  };
}

}  // namespace attention::bench
