#include "cli/report/findings.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace attention::cli {
namespace {

using experiments::ClaimResult;
using experiments::EffectResult;
using experiments::EventResult;
using experiments::Result;
using experiments::Settings;
using experiments::Verdict;

/// "yes", "no", or "2 of 3 rows".
std::string answers(const std::vector<EventResult>& events, bool EventResult::* answer) {
  const auto count = std::ranges::count_if(events, [&](const EventResult& e) { return e.*answer; });
  if (events.size() == 1) {
    return count == 1 ? "yes" : "no";
  }
  return fmt::format("{} of {}", count, events.size());
}

std::string percent(double probability) {
  return fmt::format("{:.1f} %", 100 * probability);
}

std::string probabilities(const std::vector<EventResult>& events, std::int64_t seeds) {
  if (seeds == 0) {
    return "not run";
  }
  const auto [low, high] = std::ranges::minmax_element(events, {}, &EventResult::probability);
  if (low->probability == high->probability) {
    return percent(low->probability);
  }
  return fmt::format("{:.1f} to {}", 100 * low->probability, percent(high->probability));
}

std::string verdict_in_words(Verdict verdict) {
  switch (verdict) {
    case Verdict::proved:
      return "always true (proved)";
    case Verdict::impossible:
      return "cannot hold for every row (proved)";
    case Verdict::chance:
      return "not supported: chance (proved)";
    case Verdict::measured:
      return "measured";
    case Verdict::differs:
      return "differs from the exact value";
  }
  return "";
}

Finding finding_of(const ClaimResult& claim, const Settings& settings) {
  // Where the exact result does not apply (extreme score factors), it is not stated.
  const bool exact_applies =
      std::ranges::all_of(claim.events, [](const EventResult& e) { return e.exact.has_value(); });
  return {.id = claim.claim->id,
          .statement = claim.claim->statement,
          .published = claim.claim->published,
          .one_draw = answers(claim.events, &EventResult::one_draw),
          .over_seeds = probabilities(claim.events, settings.seeds),
          .exact = exact_applies ? claim.claim->exact : "",
          .control = answers(claim.events, &EventResult::control),
          .verdict = verdict_in_words(claim.verdict),
          .kind = std::string(name_of(claim.verdict)),
          .proof = claim.claim->proof};
}

std::string signed_number(double value) {
  return fmt::format("{:+.4f}", value == 0 ? 0.0 : value);
}

Finding finding_of(const EffectResult& effect, const Settings& settings) {
  Finding finding{
      .id = effect.effect->id,
      .statement = effect.effect->statement,
      .published = effect.effect->published,
      .one_draw = signed_number(effect.one_draw),
      .over_seeds = "not run",
      .exact = effect.effect->exact_mean ? fmt::format("mean {}", *effect.effect->exact_mean) : "",
      .control = signed_number(effect.control),
      .verdict = "measured",
      .kind = "measured",
      .proof = effect.effect->proof};
  if (settings.seeds == 0) {
    return finding;
  }
  const double low = experiments::quantile(effect.over_seeds, 0.025);
  const double high = experiments::quantile(effect.over_seeds, 0.975);
  finding.over_seeds =
      fmt::format("mean {}; 95 % of seeds in {} to {}", signed_number(effect.moments.mean),
                  signed_number(low), signed_number(high));
  const double rank = experiments::rank_of(effect.one_draw, effect.over_seeds);
  const bool usual = low <= effect.one_draw && effect.one_draw <= high;
  finding.kind = usual ? "chance" : "measured";
  finding.verdict = effect.moments.standard_deviation == 0
                        ? "the same for every seed"
                        : fmt::format("the one draw lies above {:.0f} % of seeds: {}", 100 * rank,
                                      usual ? "chance" : "unusual for chance");
  return finding;
}

}  // namespace

std::vector<Finding> findings_of(const Result& result) {
  std::vector<Finding> findings;
  findings.reserve(result.claims.size() + result.effects.size());
  for (const ClaimResult& claim : result.claims) {
    findings.push_back(finding_of(claim, result.settings));
  }
  for (const EffectResult& effect : result.effects) {
    findings.push_back(finding_of(effect, result.settings));
  }
  return findings;
}

std::string with_thousands(std::int64_t number) {
  const std::string digits = std::to_string(number < 0 ? -number : number);
  std::string text = number < 0 ? "-" : "";
  for (std::size_t i = 0; i < digits.size(); ++i) {
    const bool starts_group = i > 0 && (digits.size() - i) % 3 == 0;
    text += starts_group ? "," : "";
    text += digits[i];
  }
  return text;
}

std::string command_for(const Result& result) {
  const Settings& settings = result.settings;
  std::string command = "attention experiment";
  command +=
      result.experiment->name == "custom" ? " --tokens FILE.npy" : " " + result.experiment->name;
  command += fmt::format(" --seed {}", settings.seed);
  const Settings defaults;
  if (settings.seeds != defaults.seeds) {
    command += fmt::format(" --seeds {}", settings.seeds);
  }
  if (settings.heads != defaults.heads) {
    command += fmt::format(" --heads {}", settings.heads);
  }
  if (settings.score_factor != defaults.score_factor) {
    command += fmt::format(" --score-factor {}", settings.score_factor);
  }
  return command;
}

}  // namespace attention::cli
