#include "cli/report/figures.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "cli/report/findings.hpp"

namespace attention::cli {
namespace {

using experiments::Result;

/// How many further draws stand beside the one that is shown: the seeds 0, 1, 2, ...
constexpr std::uint64_t kOtherDraws = 5;

std::string file_name(const Result& result, std::string_view figure) {
  return fmt::format("{}_{}", result.experiment->name, figure);
}

render::Heatmap labelled(const Result& result, Tensor<double> values, std::string title) {
  render::Heatmap heatmap{.values = std::move(values), .decimals = 3};
  heatmap.row_labels = result.experiment->input.labels;
  heatmap.column_labels = result.experiment->input.labels;
  heatmap.title = std::move(title);
  return heatmap;
}

Tensor<double> head_of(const Tensor<float>& weights, std::int64_t head) {
  return converted<double>(weights.view().select(0, head));
}

NamedFigure other_draws_figure(const Result& result) {
  render::HeatmapGrid grid{
      .panels = {}, .columns = 3, .title = result.experiment->title + ": six draws, one scale"};
  const auto add = [&](const Tensor<float>& weights, std::uint64_t seed) {
    grid.panels.push_back(labelled(result, head_of(weights, 0), fmt::format("Seed {}", seed)));
    grid.panels.back().decimals = 2;
  };
  add(result.draw.weights, result.settings.seed);
  for (std::uint64_t seed = 0; seed < kOtherDraws; ++seed) {
    // The shown seed may be one of them; then the next one takes its place.
    const std::uint64_t other = seed >= result.settings.seed ? seed + 1 : seed;
    add(experiments::draw(*result.experiment, result.settings, other).weights, other);
  }
  return {.name = file_name(result, "draws"),
          .caption = fmt::format("Six untrained draws of the same module on the same tokens{}. "
                                 "What looks like a pattern in "
                                 "one is another pattern in the next.",
                                 result.settings.heads > 1 ? ", head 0" : ""),
          .figure = std::move(grid)};
}

NamedFigure control_figure(const Result& result) {
  render::Heatmap heatmap = labelled(result, head_of(result.control_weights, 0),
                                     result.experiment->title + ": without projections");
  return {.name = file_name(result, "control"),
          .caption =
              "The control: q = k = v = the tokens themselves, no projections. Here the weights "
              "follow the dot products "
              "of the tokens.",
          .figure = std::move(heatmap)};
}

NamedFigure largest_figure(const Result& result) {
  render::Heatmap heatmap = labelled(result, result.distribution.largest_share,
                                     result.experiment->title + ": which key gets the most weight");
  // White is never, the middle blue is chance.
  const auto values = result.distribution.largest_share.values();
  const double chance = 1.0 / static_cast<double>(result.distribution.largest_share.size(1));
  heatmap.color.minimum = 0.0;
  heatmap.color.maximum = std::max(2 * chance, std::ranges::max(values));
  heatmap.color.title = "Share of seeds";
  return {.name = file_name(result, "largest"),
          .caption = fmt::format("How often each key has the largest weight of its row, over {} "
                                 "seeds; equal weights share.",
                                 with_thousands(result.settings.seeds)),
          .figure = std::move(heatmap)};
}

NamedFigure effect_figure(const Result& result, const experiments::EffectResult& effect) {
  render::Histogram histogram{.values = effect.over_seeds};
  histogram.bins = 60;
  histogram.title =
      result.experiment->title + ": " + with_thousands(result.settings.seeds) + " untrained draws";
  histogram.value_title = effect.effect->statement;
  histogram.count_title = "Seeds";
  histogram.markers = {
      {.at = effect.one_draw, .label = fmt::format("seed {}", result.settings.seed)},
      {.at = effect.moments.mean, .label = "mean"}};
  // The control is marked where it does not squeeze the histogram.
  const double width = effect.moments.maximum - effect.moments.minimum;
  const bool near = std::abs(effect.control - effect.moments.mean) <= 1.5 * width;
  if (near) {
    histogram.markers.push_back({.at = effect.control, .label = "without projections"});
  }
  std::string caption = fmt::format(
      "{}, for each of {} seeds: mean {:+.5f} (standard error {:.5f}), seed {} {:+.5f}.",
      effect.effect->statement, with_thousands(result.settings.seeds), effect.moments.mean,
      effect.moments.standard_error, result.settings.seed, effect.one_draw);
  if (effect.effect->exact_mean) {
    caption += fmt::format(" Its expectation is exactly {}.", *effect.effect->exact_mean);
  }
  if (!near) {
    caption += fmt::format(" Without projections it is {:+.4f}.", effect.control);
  }
  return {.name = file_name(result, effect.effect->id),
          .caption = std::move(caption),
          .figure = std::move(histogram)};
}

/// The probabilities of a claim's events, which are its rows as a rule.
NamedFigure claim_figure(const Result& result, const experiments::ClaimResult& claim) {
  render::BarChart chart{.bars = {}};
  for (const experiments::EventResult& event : claim.events) {
    chart.bars.push_back(
        {.label = event.label,
         .value = event.probability,
         .interval = render::Interval{.low = event.interval.low, .high = event.interval.high},
         .reference = event.exact});
  }
  chart.title = claim.claim->statement;
  chart.value_title = "Share of seeds";
  chart.interval_label = "99.9 % interval, all at once";
  std::string caption =
      fmt::format("How often it holds, over {} seeds", with_thousands(result.settings.seeds));
  caption +=
      claim.claim->exact.empty() ? "." : fmt::format(", and exactly: {}.", claim.claim->exact);
  return {.name = file_name(result, "claim_" + claim.claim->id),
          .caption = claim.claim->statement + " " + caption +
                     " All intervals of the experiment hold at once with probability 99.9 %.",
          .figure = std::move(chart)};
}

/// Not a certainty, of which there is nothing to see.
bool has_figure(const experiments::ClaimResult& claim) {
  return claim.verdict != experiments::Verdict::proved;
}

}  // namespace

NamedFigure weights_figure(const Result& result) {
  const std::int64_t heads = result.settings.heads;
  const std::string title =
      fmt::format("{}: untrained, seed {}", result.experiment->title, result.settings.seed);
  NamedFigure figure{
      .name = file_name(result, "weights"),
      .caption = fmt::format("The attention weights of one untrained draw (seed {}), {}.",
                             result.settings.seed,
                             heads == 1 ? "one head" : fmt::format("{} heads", heads)),
      .figure = {}};
  if (heads == 1) {
    figure.figure = labelled(result, head_of(result.draw.weights, 0), title);
    return figure;
  }
  render::HeatmapGrid grid{.panels = {}, .title = title};
  for (std::int64_t head = 0; head < heads; ++head) {
    grid.panels.push_back(
        labelled(result, head_of(result.draw.weights, head), fmt::format("Head {}", head)));
  }
  figure.figure = std::move(grid);
  return figure;
}

std::vector<NamedFigure> figures_of(const Result& result) {
  // In the order in which they are read: beside the one draw, the distribution of what is claimed
  // of it.
  std::vector<NamedFigure> figures = {weights_figure(result)};
  if (result.settings.seeds > 0) {
    for (const experiments::EffectResult& effect : result.effects) {
      if (effect.moments.standard_deviation > 0) {
        figures.push_back(effect_figure(result, effect));
      }
    }
    figures.push_back(largest_figure(result));
    for (const experiments::ClaimResult& claim : result.claims) {
      if (has_figure(claim)) {
        figures.push_back(claim_figure(result, claim));
      }
    }
  }
  const auto after_first_effect =
      figures.begin() + std::min<std::ptrdiff_t>(2, std::ssize(figures));
  figures.insert(after_first_effect, other_draws_figure(result));
  // The control: third in rank, but the first where it is what the experiment is about.
  const bool first = result.experiment->shows_control_first;
  figures.insert(figures.begin() + (first ? 0 : std::min<std::ptrdiff_t>(3, std::ssize(figures))),
                 control_figure(result));
  return figures;
}

}  // namespace attention::cli
