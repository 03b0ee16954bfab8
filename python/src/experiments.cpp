#include "experiments.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include "arrays.hpp"
#include "experiments/experiment.hpp"
#include "experiments/run.hpp"
#include "without_gil.hpp"

namespace attention::python {
namespace {

namespace ex = attention::experiments;

nb::object handed_over_vector(const std::vector<double>& values) {
  return handed_over(Tensor<double>({static_cast<std::int64_t>(values.size())}, values));
}

nb::dict event(const ex::EventResult& result, bool measured) {
  nb::dict event;
  event["label"] = result.label;
  event["one_draw"] = result.one_draw;
  event["control"] = result.control;
  if (measured) {
    event["count"] = result.count;
    event["probability"] = result.probability;
    event["interval"] = nb::make_tuple(result.interval.low, result.interval.high);
  }
  event["exact"] = nb::cast(result.exact);
  return event;
}

nb::dict claim(const ex::ClaimResult& result, bool measured) {
  nb::dict claim;
  claim["id"] = result.claim->id;
  claim["statement"] = result.claim->statement;
  claim["published"] = result.claim->published;
  claim["exact"] = result.claim->exact;
  claim["proof"] = result.claim->proof;
  claim["verdict"] = nb::cast(std::string(ex::name_of(result.verdict)));
  nb::list events;
  for (const ex::EventResult& one : result.events) {
    events.append(event(one, measured));
  }
  claim["events"] = events;
  return claim;
}

nb::dict effect(const ex::EffectResult& result) {
  nb::dict effect;
  effect["id"] = result.effect->id;
  effect["statement"] = result.effect->statement;
  effect["published"] = result.effect->published;
  effect["proof"] = result.effect->proof;
  effect["one_draw"] = result.one_draw;
  effect["control"] = result.control;
  effect["exact_mean"] = nb::cast(result.effect->exact_mean);
  effect["over_seeds"] = handed_over_vector(result.over_seeds);
  if (!result.over_seeds.empty()) {
    effect["mean"] = result.moments.mean;
    effect["standard_error"] = result.moments.standard_error;
    effect["standard_deviation"] = result.moments.standard_deviation;
    effect["minimum"] = result.moments.minimum;
    effect["maximum"] = result.moments.maximum;
    effect["middle_95_percent"] = nb::make_tuple(ex::quantile(result.over_seeds, 0.025),
                                                 ex::quantile(result.over_seeds, 0.975));
    effect["rank_of_one_draw"] = ex::rank_of(result.one_draw, result.over_seeds);
  }
  return effect;
}

/// Everything of a result, as the fields of the Python class.
nb::dict fields_of(ex::Result&& result) {
  nb::dict fields;
  fields["name"] = result.experiment->name;
  fields["title"] = result.experiment->title;
  fields["labels"] = nb::cast(result.experiment->input.labels);
  fields["tokens"] = handed_over(Tensor<float>(result.experiment->input.tokens));
  fields["seed"] = result.draw.seed;
  nb::dict parameters;
  for (auto& [name, value] : result.draw.parameters) {
    parameters[name.c_str()] = handed_over(std::move(value));
  }
  fields["parameters"] = parameters;
  fields["weights"] = handed_over(std::move(result.draw.weights));
  fields["output"] = handed_over(std::move(result.draw.output));
  fields["control_weights"] = handed_over(std::move(result.control_weights));
  fields["mean"] = handed_over(std::move(result.distribution.mean));
  fields["standard_deviation"] = handed_over(std::move(result.distribution.standard_deviation));
  fields["largest_share"] = handed_over(std::move(result.distribution.largest_share));
  nb::list claims;
  for (const ex::ClaimResult& one : result.claims) {
    claims.append(claim(one, result.settings.seeds > 0));
  }
  fields["claims"] = claims;
  nb::list effects;
  for (const ex::EffectResult& one : result.effects) {
    effects.append(effect(one));
  }
  fields["effects"] = effects;
  return fields;
}

nb::dict fields_of_run(const ex::Experiment& experiment, const ex::Settings& settings) {
  ex::Result result;
  without_gil([&] { result = ex::run(experiment, settings); });
  return fields_of(std::move(result));
}

std::string known_names() {
  std::string names;
  for (const ex::Experiment& experiment : ex::all_experiments()) {
    names += (names.empty() ? "" : ", ") + experiment.name;
  }
  return names;
}

nb::dict run_named(const std::string& name, std::uint64_t seed, std::int64_t seeds,
                   std::int64_t heads, double score_factor, int threads) {
  const ex::Experiment* const experiment = ex::find_experiment(name);
  if (experiment == nullptr) {
    throw_value_error("experiment", "name", "must be one of " + known_names(), "'" + name + "'");
  }
  return fields_of_run(*experiment, {.seed = seed,
                                     .seeds = seeds,
                                     .heads = heads,
                                     .score_factor = score_factor,
                                     .threads = threads});
}

nb::dict run_on_tokens(nb::handle tokens, std::optional<std::vector<std::string>> labels,
                       std::uint64_t seed, std::int64_t seeds, std::int64_t heads,
                       double score_factor, int threads) {
  const Array array = Array::reading("experiment", "tokens", tokens);
  const ex::Experiment experiment =
      ex::custom_experiment(array.view(), std::move(labels).value_or(std::vector<std::string>()));
  return fields_of_run(experiment, {.seed = seed,
                                    .seeds = seeds,
                                    .heads = heads,
                                    .score_factor = score_factor,
                                    .threads = threads});
}

}  // namespace

void bind_experiments(nb::module_& module) {
  module.def("experiment_names", [] {
    nb::list names;
    for (const ex::Experiment& experiment : ex::all_experiments()) {
      names.append(experiment.name);
    }
    return names;
  });
  module.def("run_experiment", &run_named, nb::arg("name"), nb::arg("seed"), nb::arg("seeds"),
             nb::arg("heads"), nb::arg("score_factor"), nb::arg("threads"));
  module.def("run_experiment_on_tokens", &run_on_tokens, nb::arg("tokens").none(),
             nb::arg("labels").none(), nb::arg("seed"), nb::arg("seeds"), nb::arg("heads"),
             nb::arg("score_factor"), nb::arg("threads"));
}

}  // namespace attention::python
