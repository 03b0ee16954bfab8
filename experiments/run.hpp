#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <attention/core/execution.hpp>
#include <attention/core/tensor.hpp>

#include "experiments/experiment.hpp"
#include "experiments/statistics.hpp"

/// Running an experiment: one draw, many draws, and the control without projections. Returns data;
/// drawing is elsewhere.
namespace attention::experiments {

struct Settings {
  /// The seed of the draw that is shown.
  std::uint64_t seed = 42;
  /// The seeds 0 .. seeds - 1 make the distribution; 0: none.
  std::int64_t seeds = 10'000;
  std::int64_t heads = 1;
  /// Multiplies the scores: scale = score_factor / sqrt(D).
  double score_factor = 1.0;
  /// 0: the process default. Results do not depend on it.
  int threads = 0;
  /// The figures of documents are computed on the reference path, the same on every machine.
  Path path = Path::reference;
  /// Of the kernels, on the fused path; none: that of this processor.
  std::optional<Isa> isa = {};
  /// Called now and then, from any thread but one at a time, with the number of seeds done.
  std::function<void(std::int64_t done)> progress = {};
};

/// One draw: an untrained MultiHeadAttention from a seed, applied to the tokens as query, key and
/// value.
struct Draw {
  std::uint64_t seed = 0;
  struct NamedTensor {
    std::string name;
    Tensor<float> value;
  };
  std::vector<NamedTensor> parameters;  // in draw order
  Tensor<float> weights;                // (H, L, L)
  Tensor<float> output;                 // (L, E)
};

struct EventResult {
  std::string label;
  /// In the draw that is shown; and without projections.
  bool one_draw = false;
  bool control = false;
  /// In how many of the seeds, and the interval of the probability, simultaneous over all events of
  /// the run.
  std::int64_t count = 0;
  double probability = 0;
  Interval interval = {};
  std::optional<double> exact;
};

/// What the seeds and the proof make of a claim.
enum class Verdict {
  proved,      // certain: each event has probability 1
  impossible,  // each event has probability 0, but for those that are chance
  chance,      // the exact probabilities are those of chance, and the measured ones agree
  measured,    // no exact result is known
  differs,     // a measured probability lies outside of its interval around the exact one
};
/// "proved", "impossible", ...
std::string_view name_of(Verdict verdict) noexcept;

struct ClaimResult {
  const Claim* claim = nullptr;
  std::vector<EventResult> events;  // head by head
  Verdict verdict = Verdict::measured;
};

struct EffectResult {
  const Effect* effect = nullptr;
  double one_draw = 0;  // mean over the heads, here and below
  double control = 0;
  std::vector<double> over_seeds;
  Moments moments;
};

/// Of each cell over seeds and heads: what untrained weights look like on this input.
struct Distribution {
  Tensor<double> mean;                // (L, L)
  Tensor<double> standard_deviation;  // (L, L)
  /// How often the key has the largest weight of its row; equal weights share.
  Tensor<double> largest_share;  // (L, L)
};

struct Result {
  const Experiment* experiment = nullptr;
  Settings settings;
  Draw draw;
  /// Without projections: q = k = v = the tokens. (1, L, L).
  Tensor<float> control_weights = {};
  /// The level of each interval is so small that all of them hold at once with probability 99.9 %.
  double alpha_each = 0;
  std::vector<ClaimResult> claims = {};
  std::vector<EffectResult> effects = {};
  Distribution distribution = {};  // null tensors without seeds
};

/// One draw alone. Throws Error when heads does not divide E, or when a setting makes no sense.
Draw draw(const Experiment& experiment, const Settings& settings, std::uint64_t seed);

/// All of it. `experiment` must outlive the result. Cost: about 20 microseconds a seed for six
/// tokens.
///
/// Exact probabilities are those of real numbers. They are left out for a score_factor of 0, and
/// for one above 16 in size, where float32 weights begin to underflow and tie.
///
/// Throws Error as draw does.
Result run(const Experiment& experiment, const Settings& settings);

}  // namespace attention::experiments
