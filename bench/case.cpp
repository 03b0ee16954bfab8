#include "bench/case.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <thread>
#include <utility>

namespace attention::bench {
namespace {

constexpr double kPoint = 0.01;

double median_of(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
}

}  // namespace

bool is_share(Measure measure) {
  return measure == Measure::share_of_peak || measure == Measure::share_of_bandwidth;
}

std::string name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::met:
      return "met";
    case Verdict::at_the_bar:
      return "at the bar";
    case Verdict::missed:
      return "missed";
    case Verdict::no_bar:
      break;
  }
  return "no bar";
}

Verdict verdict_of(Measure measure, double value, std::optional<double> bar) {
  if (!bar) {
    return Verdict::no_bar;
  }
  const bool in_points = is_share(measure) || measure == Measure::time_ratio;
  const double point = in_points ? kPoint : kPoint * *bar;
  if (std::abs(value - *bar) <= point) {
    return Verdict::at_the_bar;
  }
  return (value > *bar) == is_share(measure) ? Verdict::met : Verdict::missed;
}

Result measured(const Case& one, const Settings& settings) {
  const Sampler sampler = one.prepare();
  std::vector<double> ours;
  std::vector<double> limits;
  Result result;
  const int rounds = one.once ? 1 : settings.rounds;
  for (int round = 0; round < rounds; ++round) {
    const Sample sample = sampler();
    ours.push_back(sample.ours);
    limits.push_back(sample.limit);
    result.values.push_back(sample.value);
  }
  result.median = {.ours = median_of(std::move(ours)),
                   .limit = median_of(std::move(limits)),
                   .value = median_of(result.values)};
  result.verdict = verdict_of(one.measure, result.median.value, one.bar);
  return result;
}

double seconds_of(const std::function<void()>& call, Seconds time) {
  std::int64_t calls = 1;
  for (;;) {
    const auto start = std::chrono::steady_clock::now();
    for (std::int64_t i = 0; i < calls; ++i) {
      call();
    }
    const Seconds passed = std::chrono::steady_clock::now() - start;
    if (passed >= time) {
      return passed.count() / static_cast<double>(calls);
    }
    // From a single short call one learns little: by hundreds at most.
    const double growth = 1.1 * time.count() / std::max(passed.count(), 1e-9);
    calls = static_cast<std::int64_t>(
        std::ceil(static_cast<double>(calls) * std::clamp(growth, 1.5, 100.0)));
  }
}

Sampler sampler_of(Rated rated) {
  return [rated = std::move(rated)] {
    const double limit = rated.limit();
    const double ours = rated.work / seconds_of(rated.call, rated.time);
    return Sample{.ours = ours, .limit = limit, .value = ours / limit};
  };
}

Sampler sampler_of(Compared compared) {
  return [compared = std::move(compared)] {
    const double limit = seconds_of(compared.other, compared.time) / compared.other_work;
    const double ours = seconds_of(compared.call, compared.time) / compared.work;
    return Sample{.ours = ours, .limit = limit, .value = ours / limit};
  };
}

std::function<double()> peak_of(const ArithmeticLoop& loop, int threads, Seconds time) {
  return [=] {
    static std::map<std::pair<std::string, int>, double> highest;
    double& peak = highest[{std::string(loop.isa), threads}];
    peak = std::max(peak, arithmetic_rate(loop, threads, time));
    return peak;
  };
}

std::vector<int> thread_counts() {
  return std::thread::hardware_concurrency() >= 2 ? std::vector<int>{1, 2} : std::vector<int>{1};
}

}  // namespace attention::bench
