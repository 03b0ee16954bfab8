#include "experiments/run.hpp"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <utility>

#include <attention/core/error.hpp>
#include <attention/core/parallel.hpp>
#include <attention/core/random.hpp>
#include <attention/nn/attention.hpp>

namespace attention::experiments {
namespace {

/// All intervals of a run hold at once with probability 1 - kAlpha.
constexpr double kAlpha = 0.001;

/// Seeds are worked on in chunks whose sums are added in order, so that no result depends on the
/// threads: at most this many, fewer for long inputs, where one seed takes long enough.
constexpr std::int64_t kLargestChunk = 100;
constexpr std::int64_t kCellsOfAChunk = 65536;

/// Chunks that are kept until they are added up, so that the memory does not grow with the seeds
/// (but for the numbers that are asked for, one for each seed).
constexpr std::int64_t kChunksOfABatch = 1024;

std::int64_t seeds_of_a_chunk(std::int64_t length) {
  return std::clamp<std::int64_t>(kCellsOfAChunk / (length * length), 1, kLargestChunk);
}

/// One thread for each call: the seeds are shared among the threads.
Execution execution_of(const Settings& settings) {
  return {.path = settings.path, .isa = settings.isa, .threads = 1};
}

void check(const Experiment& experiment, const Settings& settings) {
  const char* const function = "experiment";
  const std::int64_t embedding = experiment.input.tokens.size(1);
  require(settings.heads > 0 && embedding % settings.heads == 0, function,
          "heads must divide the embedding size E", [&] {
            return "heads " + std::to_string(settings.heads) + ", E = " + std::to_string(embedding);
          });
  require(settings.seeds >= 0, function, "the number of seeds must not be negative",
          [&] { return std::to_string(settings.seeds); });
  require(std::isfinite(settings.score_factor), function, "the score factor must be finite",
          [&] { return std::to_string(settings.score_factor); });
  resolve_threads(settings.threads);  // throws when it is negative
}

double scale_for(const Experiment& experiment, const Settings& settings) {
  const std::int64_t head_size = experiment.input.tokens.size(1) / settings.heads;
  return settings.score_factor / std::sqrt(static_cast<double>(head_size));
}

TensorView<const float> as_batch(const Experiment& experiment) {
  return experiment.input.tokens.view().unsqueeze(0);
}

nn::MultiHeadAttention drawn_module(const Experiment& experiment, const Settings& settings,
                                    std::uint64_t seed) {
  random::Generator generator(seed);
  return {experiment.input.tokens.size(1), settings.heads, generator};
}

nn::AttentionOutput attend(const nn::MultiHeadAttention& module, const Experiment& experiment,
                           const Settings& settings) {
  const TensorView<const float> x = as_batch(experiment);
  return module.forward(
      x, x, x, {}, {.scale = scale_for(experiment, settings), .execution = execution_of(settings)});
}

/// q = k = v = the tokens, one head.
Tensor<float> control(const Experiment& experiment, const Settings& settings) {
  const TensorView<const float> x = as_batch(experiment);
  const double scale = settings.score_factor / std::sqrt(static_cast<double>(x.size(2)));
  return nn::ScaledDotProductAttention()
      .forward(x, x, x, {}, {.scale = scale, .execution = execution_of(settings)})
      .attention_weights;
}

double mean_over_heads(const Effect& effect, const TensorView<const float>& weights) {
  double sum = 0;
  for (std::int64_t h = 0; h < weights.size(0); ++h) {
    sum += effect.measure(weights.select(0, h));
  }
  return sum / static_cast<double>(weights.size(0));
}

/// What one chunk of seeds adds up to.
struct Tally {
  std::vector<std::int64_t> events;  // by claim, head, event
  Tensor<double> sum;                // (L, L), and below
  Tensor<double> squares;
  Tensor<double> largest;

  Tally() = default;
  Tally(std::size_t event_count, std::int64_t length)
      : events(event_count),
        sum({length, length}),
        squares({length, length}),
        largest({length, length}) {}

  void add(const Tally& other) {
    std::ranges::transform(events, other.events, events.begin(), std::plus<>());
    for (const auto& [mine, theirs] :
         {std::pair(&sum, &other.sum), std::pair(&squares, &other.squares),
          std::pair(&largest, &other.largest)}) {
      std::ranges::transform(mine->values(), theirs->values(), mine->values().begin(),
                             std::plus<>());
    }
  }
};

void tally_cells(Tally& tally, const Weights& weights) {
  for (std::int64_t i = 0; i < weights.size(0); ++i) {
    float most = 0;
    double sharing = 0;
    for (std::int64_t j = 0; j < weights.size(1); ++j) {
      const float weight = weights(i, j);
      tally.sum(i, j) += static_cast<double>(weight);
      tally.squares(i, j) += static_cast<double>(weight) * static_cast<double>(weight);
      sharing = weight > most ? 1.0 : sharing + (weight == most ? 1.0 : 0.0);
      most = std::max(most, weight);
    }
    for (std::int64_t j = 0; j < weights.size(1); ++j) {
      tally.largest(i, j) += weights(i, j) == most ? 1.0 / sharing : 0.0;
    }
  }
}

std::size_t events_of(const Experiment& experiment) {
  std::size_t count = 0;
  for (const Claim& claim : experiment.claims) {
    count += claim.events.size();
  }
  return count;
}

void tally_events(Tally& tally, const Experiment& experiment,
                  const TensorView<const float>& weights) {
  std::size_t next = 0;
  for (const Claim& claim : experiment.claims) {
    for (std::int64_t h = 0; h < weights.size(0); ++h) {
      for (const Event& event : claim.events) {
        tally.events[next++] += event.holds(weights.select(0, h)) ? 1 : 0;
      }
    }
  }
}

Verdict verdict_of(const std::vector<EventResult>& events, std::int64_t seeds) {
  const auto all = [&](auto&& predicate) { return std::ranges::all_of(events, predicate); };
  const auto any = [&](auto&& predicate) { return std::ranges::any_of(events, predicate); };
  if (!all([](const EventResult& event) { return event.exact.has_value(); })) {
    return Verdict::measured;
  }
  if (seeds > 0 &&
      !all([](const EventResult& event) { return event.interval.contains(*event.exact); })) {
    return Verdict::differs;
  }
  if (all([](const EventResult& event) { return *event.exact == 1.0; })) {
    return Verdict::proved;
  }
  return any([](const EventResult& event) { return *event.exact == 0.0; }) ? Verdict::impossible
                                                                           : Verdict::chance;
}

/// The answers of the shown draw beside the counts over the seeds.
std::vector<ClaimResult> judge(const Result& result, const Tally& tally) {
  const Settings& settings = result.settings;
  const bool exact_applies = settings.score_factor != 0 && std::abs(settings.score_factor) <= 16;
  const TensorView<const float> weights = result.draw.weights;
  const Weights control_weights = result.control_weights.view().select(0, 0);
  std::vector<ClaimResult> claims;
  std::size_t next = 0;
  for (const Claim& claim : result.experiment->claims) {
    ClaimResult judged{.claim = &claim, .events = {}};
    for (std::int64_t h = 0; h < settings.heads; ++h) {
      for (const Event& event : claim.events) {
        EventResult answer;
        answer.label =
            settings.heads > 1 ? "head " + std::to_string(h) + ", " + event.label : event.label;
        answer.one_draw = event.holds(weights.select(0, h));
        answer.control = event.holds(control_weights);
        // Certainties come from equal bits, and survive any factor.
        answer.exact = exact_applies || event.exact == 1.0 ? event.exact : std::nullopt;
        if (settings.seeds > 0) {
          answer.count = tally.events[next];
          answer.probability =
              static_cast<double>(answer.count) / static_cast<double>(settings.seeds);
          answer.interval = wilson_interval(answer.count, settings.seeds, result.alpha_each);
        }
        ++next;
        judged.events.push_back(std::move(answer));
      }
    }
    judged.verdict = verdict_of(judged.events, settings.seeds);
    claims.push_back(std::move(judged));
  }
  return claims;
}

Distribution distribution_of(const Tally& tally, double samples) {
  Distribution result{
      .mean = tally.sum, .standard_deviation = tally.squares, .largest_share = tally.largest};
  for (std::int64_t cell = 0; cell < result.mean.element_count(); ++cell) {
    double& mean = result.mean.data()[cell];
    double& deviation = result.standard_deviation.data()[cell];
    mean /= samples;
    deviation = std::sqrt(std::max(0.0, deviation / samples - mean * mean));
    result.largest_share.data()[cell] /= samples;
  }
  return result;
}

/// The seeds [first, end): their effects go into the result, their tallies into the total, chunk by
/// chunk.
void tally_seeds(Result& result, std::int64_t first, std::int64_t end, Tally& total) {
  const Experiment& experiment = *result.experiment;
  const Settings& settings = result.settings;
  const std::int64_t length = experiment.input.tokens.size(0);
  const std::int64_t chunk_size = seeds_of_a_chunk(length);
  for (EffectResult& effect : result.effects) {
    effect.over_seeds.resize(static_cast<std::size_t>(end));
  }
  std::vector<Tally> tallies(static_cast<std::size_t>((end - first + chunk_size - 1) / chunk_size));
  std::mutex progress_mutex;
  std::int64_t done = first;
  const auto tally_chunk = [&](std::int64_t chunk, int) {
    Tally tally(total.events.size(), length);
    const std::int64_t chunk_first = first + chunk * chunk_size;
    const std::int64_t chunk_end = std::min(chunk_first + chunk_size, end);
    for (std::int64_t seed = chunk_first; seed < chunk_end; ++seed) {
      InterruptCheck::poll();
      const auto attended =
          attend(drawn_module(experiment, settings, static_cast<std::uint64_t>(seed)), experiment,
                 settings);
      const TensorView<const float> weights = attended.attention_weights.view().select(0, 0);
      tally_events(tally, experiment, weights);
      for (std::int64_t h = 0; h < settings.heads; ++h) {
        tally_cells(tally, weights.select(0, h));
      }
      for (EffectResult& effect : result.effects) {
        effect.over_seeds[static_cast<std::size_t>(seed)] =
            mean_over_heads(*effect.effect, weights);
      }
    }
    tallies[static_cast<std::size_t>(chunk)] = std::move(tally);
    const std::scoped_lock lock(progress_mutex);
    done += chunk_end - chunk_first;
    if (settings.progress) {
      settings.progress(done);
    }
  };
  parallel_for(static_cast<std::int64_t>(tallies.size()), settings.threads, tally_chunk);
  for (const Tally& tally : tallies) {
    total.add(tally);
  }
}

}  // namespace

std::string_view name_of(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::proved:
      return "proved";
    case Verdict::impossible:
      return "impossible";
    case Verdict::chance:
      return "chance";
    case Verdict::measured:
      return "measured";
    case Verdict::differs:
      return "differs";
  }
  return "unknown";
}

Draw draw(const Experiment& experiment, const Settings& settings, std::uint64_t seed) {
  check(experiment, settings);
  nn::MultiHeadAttention module = drawn_module(experiment, settings, seed);
  nn::AttentionOutput attended = attend(module, experiment, settings);
  Draw result{.seed = seed, .parameters = {}, .weights = {}, .output = {}};
  for (const auto& parameter : std::as_const(module).parameters()) {
    result.parameters.push_back(
        {.name = parameter.name, .value = Tensor<float>::copy_of(parameter.value)});
  }
  result.weights = Tensor<float>::copy_of(attended.attention_weights.view().select(0, 0));
  result.output = Tensor<float>::copy_of(attended.output.view().select(0, 0));
  return result;
}

Result run(const Experiment& experiment, const Settings& settings) {
  Result result{.experiment = &experiment,
                .settings = settings,
                .draw = draw(experiment, settings, settings.seed)};
  result.control_weights = control(experiment, settings);
  const std::size_t events = events_of(experiment) * static_cast<std::size_t>(settings.heads);
  result.alpha_each = kAlpha / static_cast<double>(std::max<std::size_t>(events, 1));
  for (const Effect& effect : experiment.effects) {
    result.effects.push_back({.effect = &effect,
                              .one_draw = mean_over_heads(effect, result.draw.weights),
                              .control = mean_over_heads(effect, result.control_weights),
                              .over_seeds = {},
                              .moments = {}});
  }

  for (EffectResult& effect : result.effects) {
    effect.over_seeds.reserve(static_cast<std::size_t>(settings.seeds));
  }
  const std::int64_t length = experiment.input.tokens.size(0);
  const std::int64_t batch = kChunksOfABatch * seeds_of_a_chunk(length);
  Tally total(events, length);
  for (std::int64_t first = 0; first < settings.seeds; first += batch) {
    tally_seeds(result, first, std::min(first + batch, settings.seeds), total);
  }
  result.claims = judge(result, total);
  for (EffectResult& effect : result.effects) {
    effect.moments = moments(effect.over_seeds);
  }
  if (settings.seeds > 0) {
    result.distribution =
        distribution_of(total, static_cast<double>(settings.seeds * settings.heads));
  }
  return result;
}

}  // namespace attention::experiments
