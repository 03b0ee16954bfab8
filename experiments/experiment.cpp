#include "experiments/experiment.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <attention/core/error.hpp>

#include "experiments/catalogue.hpp"
#include "experiments/claims.hpp"

namespace attention::experiments {

const std::vector<Experiment>& all_experiments() {
  // One line for each experiment, in the order of the tutorial.
  static const std::vector<Experiment> kExperiments = {pattern_experiment(), fibonacci_experiment(),
                                                       sequential_experiment(),
                                                       uniform_experiment(), focused_experiment()};
  return kExperiments;
}

const Experiment* find_experiment(std::string_view name) {
  const std::vector<Experiment>& all = all_experiments();
  const auto found = std::ranges::find_if(all, [&](const Experiment& e) { return e.name == name; });
  return found == all.end() ? nullptr : &*found;
}

Experiment custom_experiment(const AnyView& tokens, std::vector<std::string> labels) {
  const char* const function = "experiment";
  require(tokens.rank() == 2 && tokens.element_count() > 0, function,
          "tokens must have the shape (L, E) and not be empty",
          [&] { return to_string(tokens.shape()); });
  require(labels.empty() || static_cast<std::int64_t>(labels.size()) == tokens.size(0), function,
          "there must be one label per token", [&] {
            return std::to_string(labels.size()) + " labels, " + std::to_string(tokens.size(0)) +
                   " tokens";
          });
  Input input{.labels = std::move(labels), .tokens = converted<float>(tokens)};
  const auto values = input.tokens.values();
  require(std::ranges::all_of(values, [](float value) { return std::isfinite(value); }), function,
          "tokens must be finite", [] { return std::string("NaN or infinity"); });
  if (input.labels.empty()) {
    for (std::int64_t i = 0; i < tokens.size(0); ++i) {
      input.labels.push_back(std::to_string(i));
    }
  }
  Experiment experiment{.name = "custom",
                        .title = "Your own tokens",
                        .description = std::to_string(tokens.size(0)) + " tokens of " +
                                       std::to_string(tokens.size(1)) + " features.",
                        .expectation = "",
                        .input = std::move(input),
                        .claims = {},
                        .effects = {}};
  experiment.claims.push_back(equal_tokens_claim(experiment.input));
  experiment.effects.push_back(spread_effect());
  experiment.effects.push_back(
      {.id = "weight_on_self",
       .statement = "Weight of a token on itself minus its share 1/L, mean over the rows",
       .published = "",
       .measure = [](const Weights& weights) {
         double sum = 0;
         for (std::int64_t i = 0; i < weights.size(0); ++i) {
           sum += static_cast<double>(weights(i, i));
         }
         return (sum - 1.0) / static_cast<double>(weights.size(0));
       }});
  return experiment;
}

}  // namespace attention::experiments
