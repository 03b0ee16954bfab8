#include "bench/training_call.hpp"

#include <memory>
#include <utility>

#include <attention/core/random.hpp>
#include <attention/nn/transformer_block.hpp>
#include <attention/train/optimiser.hpp>

#include "bench/drawn.hpp"

namespace attention::bench {
namespace {

struct Session {
  nn::TransformerBlock block;
  train::Adam<float> optimiser;
  autograd::Variable<float> x;
  Tensor<float> d_out;
};

}  // namespace

std::function<void()> training_call(const TrainingShape& shape) {
  random::Generator generator(3);
  nn::TransformerBlock block({.attention = {.embed_dim = shape.E, .num_heads = shape.H},
                              .feed_forward = {.kind = nn::FeedForwardKind::gelu}},
                             generator);
  const nn::Parameters parameters = block.parameters();
  // (x needs a gradient, as in the middle of a model.)
  const std::shared_ptr<Session> session(new Session{
      .block = std::move(block),
      .optimiser = {parameters,
                    {.weight_decay = 0.01, .decoupled = true, .threads = shape.threads}},
      .x = autograd::Variable<float>::parameter(drawn({shape.B, shape.L, shape.E}, 1)),
      .d_out = drawn({shape.B, shape.L, shape.E}, 2)});
  return [session, threads = shape.threads] {
    session->optimiser.clear_grad();
    session->x.clear_grad();
    const auto out =
        session->block
            .forward(session->x,
                     {.causal = true, .need_weights = false, .execution = {.threads = threads}})
            .output;
    autograd::backward<float>(out, session->d_out);
    session->optimiser.step();
  };
}

double operations_of(const TrainingShape& shape) {
  const auto E = static_cast<double>(shape.E);
  const auto L = static_cast<double>(shape.L);
  const double tokens = static_cast<double>(shape.B) * L;
  const double weights = 12 * E * E;
  const double attention = 2 * 2 * E * static_cast<double>(shape.B) * L * (L + 1) / 2;
  return 6 * weights * tokens + 3.5 * attention;
}

}  // namespace attention::bench
