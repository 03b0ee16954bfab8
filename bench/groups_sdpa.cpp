// Shares of the arithmetic peak: full, causal, bfloat16, AVX2, other sizes.

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include <attention/ops/kernel_isas.hpp>

#include "bench/groups.hpp"
#include "bench/sdpa_call.hpp"

namespace attention::bench {
namespace {

/// A case of sdpa measured against the peak of a loop.
Case peak_case(std::string group, const SdpaShape& shape, std::optional<double> bar,
               const ArithmeticLoop& loop, const Settings& settings) {
  std::string label = "D " + std::to_string(shape.D);
  if (shape.value_size() != shape.D) {
    label += ", Dv " + std::to_string(shape.value_size());
  }
  label += ", L " + std::to_string(shape.L);
  return {.group = std::move(group),
          .label = std::move(label),
          .facts = {.dtype = shape.dtype,
                    .threads = shape.threads,
                    .L = shape.L,
                    .S = shape.keys(),
                    .D = shape.D,
                    .causal = shape.rule == Rule::causal},
          .measure = Measure::share_of_peak,
          .bar = bar,
          .prepare = [=] {
            return sampler_of(Rated{.call = sdpa_call(shape).call,
                                    .work = operations_of(shape),
                                    .limit = peak_of(loop, shape.threads, settings.limit_time),
                                    .time = settings.time});
          }};
}

ArithmeticLoop best_loop() {
  return multiply_add_loops().back();
}

struct LengthBar {
  std::int64_t L;
  std::optional<double> bar;
};

/// D 64 and 128, each length, each number of threads; `shape` has the rest.
std::vector<Case> grid(const std::string& group, SdpaShape shape,
                       const std::vector<LengthBar>& lengths, const ArithmeticLoop& loop,
                       const Settings& settings) {
  std::vector<Case> cases;
  for (const std::int64_t D : {64, 128}) {
    for (const LengthBar& length : lengths) {
      if (settings.quick && length.L > 1024) {
        continue;
      }
      for (const int threads : thread_counts()) {
        shape.D = D;
        shape.L = length.L;
        shape.threads = threads;
        cases.push_back(peak_case(group, shape, length.bar, loop, settings));
      }
    }
  }
  return cases;
}

}  // namespace

std::vector<Case> full_cases(const Settings& settings) {
  const double less = compiler_allowance();
  return grid("full", {},
              {{.L = 128, .bar = 0.80 - less},
               {.L = 512, .bar = 0.86 - less},
               {.L = 1024, .bar = 0.88 - less},
               {.L = 2048, .bar = 0.88 - less},
               {.L = 4096, .bar = 0.88 - less},
               {.L = 8192, .bar = 0.88 - less}},
              best_loop(), settings);
}

std::vector<Case> causal_cases(const Settings& settings) {
  const double less = compiler_allowance();
  return grid("causal", {.rule = Rule::causal},
              {{.L = 128, .bar = 0.58 - less},
               {.L = 512, .bar = 0.79 - less},
               {.L = 1024, .bar = 0.82 - less},
               {.L = 2048, .bar = 0.85 - less},
               {.L = 4096, .bar = 0.85 - less}},
              best_loop(), settings);
}

std::vector<Case> bf16_cases(const Settings& settings) {
  const std::optional<ArithmeticLoop> dot = bf16_dot_loop();
  const std::optional<double> bar = dot ? std::optional(0.78) : std::nullopt;
  std::vector<LengthBar> lengths = {
      {.L = 2048, .bar = bar}, {.L = 4096, .bar = bar}, {.L = 8192, .bar = bar}};
  if (settings.quick) {
    lengths = {{.L = 1024, .bar = std::nullopt}};
  }
  return grid("bf16", {.dtype = DType::bfloat16}, lengths, dot.value_or(best_loop()), settings);
}

std::vector<Case> avx2_cases(const Settings& settings) {
  const std::vector<Isa> isas = kernel_isas();
  const std::vector<ArithmeticLoop> loops = multiply_add_loops();
  const auto loop =
      std::ranges::find(loops, name_of(Isa::avx2), [](const ArithmeticLoop& l) { return l.isa; });
  if (std::ranges::find(isas, Isa::avx2) == isas.end() || loop == loops.end()) {
    return {};
  }
  return grid("avx2", {.isa = Isa::avx2},
              {{.L = 1024, .bar = 0.85}, {.L = 2048, .bar = 0.85}, {.L = 4096, .bar = 0.85}}, *loop,
              settings);
}

std::vector<Case> size_cases(const Settings& settings) {
  const std::int64_t L = settings.quick ? 512 : 2048;
  const std::optional<double> bar = settings.quick ? std::nullopt : std::optional(0.80);
  std::vector<Case> cases;
  for (const auto& [D, Dv] : {std::pair{80, 80}, {96, 96}, {256, 256}, {64, 128}}) {
    for (const int threads : thread_counts()) {
      cases.push_back(peak_case("sizes", {.L = L, .D = D, .Dv = Dv, .threads = threads}, bar,
                                best_loop(), settings));
    }
  }
  return cases;
}

}  // namespace attention::bench
