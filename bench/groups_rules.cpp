// What a rule costs: the time for a visible cell, beside the same problem without the rule.

#include <cstdint>
#include <string>

#include "bench/groups.hpp"
#include "bench/sdpa_call.hpp"

namespace attention::bench {
namespace {

struct RuleBar {
  std::string label;
  SdpaShape shape;
  double bar;
};

Case rule_case(const RuleBar& one, int threads, const Settings& settings) {
  SdpaShape shape = one.shape;
  shape.threads = threads;
  SdpaShape plain = shape;
  plain.rule = Rule::all;
  plain.Hkv = plain.H;
  return {.group = "rules",
          .label = one.label,
          .facts = {.threads = threads, .L = shape.L, .S = shape.keys(), .D = shape.D},
          .measure = Measure::time_ratio,
          .bar = one.bar,
          .prepare = [=] {
            return sampler_of(Compared{.call = sdpa_call(shape).call,
                                       .work = visible_cells(shape),
                                       .other = sdpa_call(plain).call,
                                       .other_work = visible_cells(plain),
                                       .time = settings.time});
          }};
}

}  // namespace

std::vector<Case> rule_cases(const Settings& settings) {
  const std::int64_t window_length = settings.quick ? 2048 : 8192;
  const std::vector<RuleBar> rules = {
      {.label = "32 heads on 8, L 1024", .shape = {.H = 32, .Hkv = 8, .L = 1024}, .bar = 1.15},
      {.label = "key lengths of half, L 2048",
       .shape = {.L = 2048, .rule = Rule::half_of_keys},
       .bar = 1.15},
      {.label = "mask of documents of 512, L 2048",
       .shape = {.L = 2048, .rule = Rule::documents},
       .bar = 1.25},
      {.label = "window of 256 both ways, L " + std::to_string(window_length),
       .shape = {.L = window_length, .rule = Rule::window},
       .bar = 1.3},
      {.label = "random mask, L 2048 (time)",
       .shape = {.L = 2048, .rule = Rule::random_mask},
       .bar = 1.2}};
  std::vector<Case> cases;
  for (const RuleBar& rule : rules) {
    for (const int threads : thread_counts()) {
      cases.push_back(rule_case(rule, threads, settings));
    }
  }
  return cases;
}

}  // namespace attention::bench
