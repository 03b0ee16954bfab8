#include "cli/report/experiment_json.hpp"

#include <string>

#include "cli/report/findings.hpp"

namespace attention::cli {
namespace {

using Json = nlohmann::ordered_json;

/// Nested lists. Floats become doubles, whose text reads back as the same float.
template <class T>
Json nested(const TensorView<const T>& view) {
  if (view.rank() == 0) {
    return static_cast<double>(view());
  }
  Json list = Json::array();
  for (std::int64_t i = 0; i < view.size(0); ++i) {
    list.push_back(nested(view.select(0, i)));
  }
  return list;
}

template <class T>
Json nested(const Tensor<T>& tensor) {
  return nested<T>(tensor.view());
}

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json to_json(const experiments::ClaimResult& claim, const experiments::Settings& settings) {
  Json events = Json::array();
  for (const experiments::EventResult& event : claim.events) {
    Json entry = {{"label", event.label}, {"one_draw", event.one_draw}, {"control", event.control}};
    entry["exact"] = or_null(event.exact);
    if (settings.seeds > 0) {
      entry["count"] = event.count;
      entry["probability"] = event.probability;
      entry["interval"] = {event.interval.low, event.interval.high};
    }
    events.push_back(std::move(entry));
  }
  return {{"id", claim.claim->id},
          {"statement", claim.claim->statement},
          {"published", claim.claim->published},
          {"exact", claim.claim->exact},
          {"proof", claim.claim->proof},
          {"verdict", std::string(name_of(claim.verdict))},
          {"events", std::move(events)}};
}

Json to_json(const experiments::EffectResult& effect, const experiments::Settings& settings) {
  Json entry = {{"id", effect.effect->id},
                {"statement", effect.effect->statement},
                {"published", effect.effect->published},
                {"one_draw", effect.one_draw},
                {"control", effect.control},
                {"exact_mean", or_null(effect.effect->exact_mean)},
                {"proof", effect.effect->proof}};
  if (settings.seeds > 0) {
    entry["mean"] = effect.moments.mean;
    entry["standard_error"] = effect.moments.standard_error;
    entry["standard_deviation"] = effect.moments.standard_deviation;
    entry["minimum"] = effect.moments.minimum;
    entry["maximum"] = effect.moments.maximum;
    entry["middle_95_percent"] = {experiments::quantile(effect.over_seeds, 0.025),
                                  experiments::quantile(effect.over_seeds, 0.975)};
    entry["rank_of_one_draw"] = experiments::rank_of(effect.one_draw, effect.over_seeds);
  }
  return entry;
}

}  // namespace

Json to_json(const experiments::Result& result) {
  const experiments::Experiment& experiment = *result.experiment;
  const experiments::Settings& settings = result.settings;
  Json json;
  json["name"] = experiment.name;
  json["title"] = experiment.title;
  json["description"] = experiment.description;
  json["expectation"] = experiment.expectation;
  json["command"] = command_for(result) + " --json";
  json["settings"] = {{"seed", settings.seed},
                      {"seeds", settings.seeds},
                      {"heads", settings.heads},
                      {"score_factor", settings.score_factor}};
  json["labels"] = experiment.input.labels;
  json["tokens"] = nested(experiment.input.tokens);
  for (const auto& parameter : result.draw.parameters) {
    json["parameters"][parameter.name] = nested(parameter.value);
  }
  json["weights"] = nested(result.draw.weights);
  json["output"] = nested(result.draw.output);
  json["control_weights"] = nested<float>(result.control_weights.view().select(0, 0));
  json["claims"] = Json::array();
  for (const experiments::ClaimResult& claim : result.claims) {
    json["claims"].push_back(to_json(claim, settings));
  }
  json["effects"] = Json::array();
  for (const experiments::EffectResult& effect : result.effects) {
    json["effects"].push_back(to_json(effect, settings));
  }
  if (settings.seeds > 0) {
    json["interval_coverage"] =
        "all intervals of the experiment hold at once with probability 99.9 %";
    json["distribution"] = {{"mean", nested(result.distribution.mean)},
                            {"standard_deviation", nested(result.distribution.standard_deviation)},
                            {"largest_share", nested(result.distribution.largest_share)}};
  }
  return json;
}

}  // namespace attention::cli
