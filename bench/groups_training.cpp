// A step of training a decoder block, as a share of the arithmetic peak.

#include <cstdint>
#include <string>

#include "bench/groups.hpp"
#include "bench/training_call.hpp"

namespace attention::bench {

std::vector<Case> training_cases(const Settings& settings) {
  std::vector<Case> cases;
  for (const std::int64_t E : {256, 512}) {
    for (const int threads : thread_counts()) {
      const TrainingShape shape = {
          .E = E, .B = settings.quick ? std::int64_t{2} : std::int64_t{16}, .threads = threads};
      cases.push_back(
          {.group = "training",
           .label = "E " + std::to_string(E) + ", H 8, L 256, B " + std::to_string(shape.B),
           .facts = {.threads = threads, .L = shape.L, .S = shape.L},
           .measure = Measure::share_of_peak,
           .bar = 0.70,
           .prepare = [=] {
             return sampler_of(
                 Rated{.call = training_call(shape),
                       .work = operations_of(shape),
                       .limit = peak_of(multiply_add_loops().back(), threads, settings.limit_time),
                       .time = settings.time});
           }});
    }
  }
  return cases;
}

}  // namespace attention::bench
