#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <attention/core/dtype.hpp>

#include "bench/limits.hpp"

/// A case: one problem, what it is measured against, and the bar that it has to reach.
namespace attention::bench {

/// How long everything is measured.
struct Settings {
  int rounds = 5;
  /// Of one measurement of ours, and of one of a limit.
  Seconds time{0.1};
  Seconds limit_time{0.05};
  /// Fewer and shorter cases.
  bool quick = false;
};

/// One round: ours, what it is measured against, and the value that the bar is about.
struct Sample {
  double ours = 0.0;
  double limit = 0.0;
  double value = 0.0;
};

/// What the numbers of a case mean.
enum class Measure {
  /// ours and limit in operations a second; value = ours / limit, at least the bar.
  share_of_peak,
  /// The same in bytes a second.
  share_of_bandwidth,
  /// ours and limit in seconds for a visible cell; value = ours / limit, at most the bar.
  time_ratio,
  /// ours = value in microseconds, at most the bar.
  microseconds,
  /// ours = value in MiB a thread, at most the bar.
  mebibytes,
};

/// Whether a larger value is better.
bool is_share(Measure measure);

/// What the case computes, for the JSON and the figure; dimensions that it lacks are 0.
struct Facts {
  DType dtype = DType::float32;
  int threads = 1;
  std::int64_t L = 0;
  std::int64_t S = 0;
  std::int64_t D = 0;
  bool causal = false;
};

/// Takes the samples of one case, one a call; it owns the inputs.
using Sampler = std::function<Sample()>;

struct Case {
  std::string group;
  /// In words, without the threads.
  std::string label;
  Facts facts = {};
  Measure measure = Measure::share_of_peak;
  std::optional<double> bar = {};
  /// Measured in one round: it does not vary.
  bool once = false;
  /// Makes the inputs.
  std::function<Sampler()> prepare;
};

enum class Verdict { met, at_the_bar, missed, no_bar };

/// "met", "at the bar", "missed", "no bar".
std::string name_of(Verdict verdict);

struct Result {
  /// Each number is the median over the rounds.
  Sample median = {};
  std::vector<double> values;
  Verdict verdict = Verdict::no_bar;
};

/// Measures a case: the limit and ours in turn, round after round.
Result measured(const Case& one, const Settings& settings);

/// Within one point of the bar (a hundredth; of a bar in other units: a hundredth of it) the
/// verdict is `at_the_bar`.
Verdict verdict_of(Measure measure, double value, std::optional<double> bar);

/// Mean seconds of a call, of as many calls in a row as take the time; those before warm up.
double seconds_of(const std::function<void()>& call, Seconds time);

/// Samples ours in units of work a second beside a limit in the same unit.
struct Rated {
  std::function<void()> call;
  /// Operations or bytes of one call.
  double work = 0.0;
  /// Measures once: work a second.
  std::function<double()> limit;
  Seconds time{0.1};
};
Sampler sampler_of(Rated rated);

/// Samples ours beside another call, both in seconds for a unit of work.
struct Compared {
  std::function<void()> call;
  double work = 0.0;
  std::function<void()> other;
  double other_work = 0.0;
  Seconds time{0.1};
};
Sampler sampler_of(Compared compared);

/// The peak of a loop with these threads, as a limit: the highest rate of all the times that this
/// process measured it, for other work on the machine can only lower it.
std::function<double()> peak_of(const ArithmeticLoop& loop, int threads, Seconds time);

/// The thread counts that are measured: 1, and 2 where there are as many processors.
std::vector<int> thread_counts();

}  // namespace attention::bench
