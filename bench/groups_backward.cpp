// The gradients of sdpa as shares of the arithmetic peak.

#include <cstdint>
#include <optional>
#include <string>

#include "bench/backward_call.hpp"
#include "bench/groups.hpp"
#include "bench/sdpa_call.hpp"

namespace attention::bench {
namespace {

/// Five products for the two of the forward pass.
constexpr double kBackwardOverForward = 2.5;

}  // namespace

std::vector<Case> backward_cases(const Settings& settings) {
  const ArithmeticLoop loop = multiply_add_loops().back();
  std::vector<Case> cases;
  for (const Rule rule : {Rule::all, Rule::causal}) {
    for (const std::int64_t D : {64, 128}) {
      for (const std::int64_t L : {512, 1024, 2048, 4096}) {
        if (settings.quick && L > 1024) {
          continue;
        }
        for (const int threads : thread_counts()) {
          const SdpaShape shape = {.L = L, .D = D, .rule = rule, .threads = threads};
          const bool causal = rule == Rule::causal;
          const std::optional<double> bar = causal && L >= 2048    ? std::optional(0.68)
                                            : !causal && L >= 1024 ? std::optional(0.75)
                                                                   : std::nullopt;
          cases.push_back({.group = "backward",
                           .label = std::string(causal ? "causal, " : "full, ") + "D " +
                                    std::to_string(D) + ", L " + std::to_string(L),
                           .facts = {.dtype = DType::float32,
                                     .threads = threads,
                                     .L = L,
                                     .S = L,
                                     .D = D,
                                     .causal = causal},
                           .measure = Measure::share_of_peak,
                           .bar = bar,
                           .prepare = [=] {
                             return sampler_of(
                                 Rated{.call = backward_call(shape),
                                       .work = kBackwardOverForward * operations_of(shape),
                                       .limit = peak_of(loop, threads, settings.limit_time),
                                       .time = settings.time});
                           }});
        }
      }
    }
  }
  return cases;
}

}  // namespace attention::bench
