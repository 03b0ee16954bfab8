// What surrounds attention: linear maps, and the module with its projections.

#include <cstdint>
#include <memory>
#include <string>

#include <attention/core/random.hpp>
#include <attention/nn/multi_head_attention.hpp>

#include "bench/drawn.hpp"
#include "bench/groups.hpp"
#include "bench/linear_call.hpp"

namespace attention::bench {
namespace {

Case linear_case(const LinearShape& shape, const Settings& settings) {
  return {.group = "linear",
          .label = std::to_string(shape.rows) + " rows, " + std::to_string(shape.inputs) + " to " +
                   std::to_string(shape.outputs),
          .facts = {.threads = shape.threads},
          .measure = Measure::share_of_peak,
          .prepare = [=] {
            return sampler_of(Rated{
                .call = linear_call(shape),
                .work = operations_of(shape),
                .limit = peak_of(multiply_add_loops().back(), shape.threads, settings.limit_time),
                .time = settings.time});
          }};
}

Case linear_backward_case(const LinearShape& shape, LinearGradient gradient,
                          const Settings& settings) {
  const bool of_x = gradient == LinearGradient::x;
  return {.group = "linear_backward",
          .label = std::to_string(shape.rows) + " rows, " + std::to_string(shape.inputs) + " to " +
                   std::to_string(shape.outputs) + (of_x ? ", d_x" : ", d_weight, d_bias"),
          .facts = {.threads = shape.threads},
          .measure = Measure::share_of_peak,
          .prepare = [=] {
            return sampler_of(Rated{
                .call = linear_backward_call(shape, gradient),
                .work = operations_of(shape),
                .limit = peak_of(multiply_add_loops().back(), shape.threads, settings.limit_time),
                .time = settings.time});
          }};
}

constexpr std::int64_t kBatch = 4;
constexpr std::int64_t kLength = 512;
constexpr std::int64_t kFeatures = 768;
constexpr std::int64_t kHeads = 12;

/// Self-attention with its four projections.
std::function<void()> mha_call(int threads) {
  struct Problem {
    nn::MultiHeadAttention module;
    Tensor<float> x;
  };
  random::Generator generator(3);
  const auto problem = std::make_shared<const Problem>(
      Problem{.module = nn::MultiHeadAttention(kFeatures, kHeads, generator),
              .x = drawn({kBatch, kLength, kFeatures}, 1)});
  return [=] {
    const Tensor<float>& x = problem->x;
    problem->module.forward(x, x, x, {.need_weights = false, .execution = {.threads = threads}});
  };
}

Sampler mha_sampler(int threads, const Settings& settings) {
  constexpr double kProjections = 8.0 * kBatch * kLength * kFeatures * kFeatures;
  constexpr double kAttention = 4.0 * kBatch * kLength * kLength * kFeatures;
  return sampler_of(
      Rated{.call = mha_call(threads),
            .work = kProjections + kAttention,
            .limit = peak_of(multiply_add_loops().back(), threads, settings.limit_time),
            .time = settings.time});
}

Case mha_case(int threads, const Settings& settings) {
  return {.group = "mha",
          .label = "E 768, H 12, L 512",
          .facts = {.threads = threads, .L = kLength, .S = kLength},
          .measure = Measure::share_of_peak,
          .bar = 0.86,
          .prepare = [=] { return mha_sampler(threads, settings); }};
}

}  // namespace

std::vector<Case> linear_cases(const Settings& settings) {
  std::vector<LinearShape> shapes = {{.rows = 512, .inputs = 512, .outputs = 512},
                                     {.rows = 1024, .inputs = 1024, .outputs = 1024},
                                     {.rows = 2048, .inputs = 2048, .outputs = 2048},
                                     {.rows = 64, .inputs = 768, .outputs = 3072},
                                     {.rows = 512, .inputs = 768, .outputs = 3072},
                                     {.rows = 2048, .inputs = 768, .outputs = 3072}};
  if (settings.quick) {
    shapes = {shapes.front(), shapes[3]};
  }
  std::vector<Case> cases;
  for (LinearShape& shape : shapes) {
    for (const int threads : thread_counts()) {
      shape.threads = threads;
      cases.push_back(linear_case(shape, settings));
    }
  }
  return cases;
}

std::vector<Case> linear_backward_cases(const Settings& settings) {
  std::vector<LinearShape> shapes = {{.rows = 4096, .inputs = 512, .outputs = 512},
                                     {.rows = 4096, .inputs = 512, .outputs = 2048},
                                     {.rows = 4096, .inputs = 2048, .outputs = 512},
                                     {.rows = 4096, .inputs = 256, .outputs = 256},
                                     {.rows = 4096, .inputs = 256, .outputs = 1024},
                                     {.rows = 64, .inputs = 512, .outputs = 512},
                                     {.rows = 512, .inputs = 32, .outputs = 32}};
  if (settings.quick) {
    shapes = {shapes[3], shapes.back()};
  }
  std::vector<Case> cases;
  for (LinearShape& shape : shapes) {
    for (const LinearGradient gradient : {LinearGradient::x, LinearGradient::weight_and_bias}) {
      for (const int threads : thread_counts()) {
        shape.threads = threads;
        cases.push_back(linear_backward_case(shape, gradient, settings));
      }
    }
  }
  return cases;
}

std::vector<Case> mha_cases(const Settings& settings) {
  std::vector<Case> cases;
  for (const int threads : thread_counts()) {
    cases.push_back(mha_case(threads, settings));
  }
  return cases;
}

}  // namespace attention::bench
