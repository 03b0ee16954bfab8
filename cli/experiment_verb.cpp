#include <charconv>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <attention/core/atomic_file.hpp>
#include <attention/core/error.hpp>
#include <attention/render/save.hpp>
#include <attention/render/terminal.hpp>

#include "cli/app.hpp"
#include "cli/arrays.hpp"
#include "cli/report/experiment_json.hpp"
#include "cli/report/figures.hpp"
#include "cli/report/findings.hpp"
#include "cli/report/page.hpp"
#include "cli/suggest.hpp"
#include "experiments/run.hpp"

namespace attention::cli {
namespace {

struct ExperimentOptions {
  CommonOptions common;
  std::string name = "all";
  std::string tokens;
  std::string labels;
  experiments::Settings settings;
  std::string output;
  std::vector<std::string> formats = {"svg", "png"};
};

/// As torch takes them: negative seeds count as their two's complement.
std::uint64_t parse_seed(const std::string& text) {
  std::uint64_t seed = 0;
  std::int64_t negative = 0;
  const char* const end = text.data() + text.size();
  if (const auto [stop, error] = std::from_chars(text.data(), end, seed);
      error == std::errc{} && stop == end) {
    return seed;
  }
  if (const auto [stop, error] = std::from_chars(text.data(), end, negative);
      error == std::errc{} && stop == end) {
    return static_cast<std::uint64_t>(negative);
  }
  throw UsageError(
      fmt::format("--seed must be a whole number from -2^63 to 2^64 - 1; it is '{}'", text));
}

/// The experiments that the options name. `custom` holds the one made of the user's own tokens.
std::vector<const experiments::Experiment*> chosen_experiments(
    const ExperimentOptions& options, std::optional<experiments::Experiment>& custom) {
  if (!options.tokens.empty()) {
    const std::vector<std::string> labels =
        options.labels.empty() ? std::vector<std::string>() : split_labels(options.labels);
    custom = experiments::custom_experiment(read_one_array(options.tokens), labels);
    return {&*custom};
  }
  if (!options.labels.empty()) {
    throw UsageError("--labels goes with --tokens");
  }
  std::vector<std::string> names = {"all"};
  std::vector<const experiments::Experiment*> chosen;
  for (const experiments::Experiment& experiment : experiments::all_experiments()) {
    names.push_back(experiment.name);
    if (options.name == "all" || options.name == experiment.name) {
      chosen.push_back(&experiment);
    }
  }
  if (chosen.empty()) {
    throw UsageError(fmt::format("there is no experiment '{}'{}; there are: {}", options.name,
                                 suggestion(options.name, names), fmt::join(names, ", ")));
  }
  return chosen;
}

void print_result(const experiments::Result& result, const Terminal& terminal) {
  const experiments::Experiment& experiment = *result.experiment;
  fmt::print("{}\n{}\n", experiment.title, experiment.description);
  if (!experiment.expectation.empty()) {
    fmt::print("Expected: {}\n", experiment.expectation);
  }
  const NamedFigure weights = weights_figure(result);
  fmt::print("\n");
  if (const auto* heatmap = std::get_if<render::Heatmap>(&weights.figure)) {
    fmt::print("{}", render::to_terminal(*heatmap, terminal.options));
  } else if (const auto* grid = std::get_if<render::HeatmapGrid>(&weights.figure)) {
    fmt::print("{}", render::to_terminal(*grid, terminal.options));
  }
  for (const Finding& finding : findings_of(result)) {
    fmt::print("\n{}\n", finding.statement);
    const auto line = [](const char* name, const std::string& text) {
      if (!text.empty()) {
        fmt::print("  {:<20} {}\n", name, text);
      }
    };
    line("published", finding.published);
    line(fmt::format("seed {}", result.settings.seed).c_str(), finding.one_draw);
    line(fmt::format("{} seeds", with_thousands(result.settings.seeds)).c_str(),
         finding.over_seeds);
    line("exact", finding.exact);
    line("without projections", finding.control);
    line("verdict", finding.verdict);
  }
  fmt::print("\n");
}

void write_folder(const ExperimentOptions& options, const std::vector<experiments::Result>& results,
                  const nlohmann::ordered_json& json) {
  const std::filesystem::path folder = options.output;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    throw OutputError(
        fmt::format("{}: the folder cannot be made: {}", folder.string(), error.message()));
  }
  std::vector<ReportSection> sections;
  std::size_t files = 0;
  for (const experiments::Result& result : results) {
    sections.push_back({.result = &result, .figures = figures_of(result)});
    for (const NamedFigure& figure : sections.back().figures) {
      for (const std::string& format : options.formats) {
        writing([&] { render::save(figure.figure, folder / (figure.name + "." + format)); });
        ++files;
      }
    }
  }
  writing([&] {
    write_file_atomically(folder / "experiments.json", json.dump(1) + "\n");
    write_file_atomically(folder / "report.html", report_page(sections));
  });
  if (!options.common.json) {
    fmt::print("{} figures    {}\n", files, (folder / "*").string());
    fmt::print("data          {}\n", (folder / "experiments.json").string());
    fmt::print("report        {}\n", (folder / "report.html").string());
  }
}

void run_experiment(const ExperimentOptions& options) {
  std::optional<experiments::Experiment> custom;
  const std::vector<const experiments::Experiment*> chosen = chosen_experiments(options, custom);
  const Terminal terminal = look_at_terminal(options.common.color);
  std::vector<experiments::Result> results;
  for (const experiments::Experiment* experiment : chosen) {
    experiments::Settings settings = options.settings;
    Progress progress(terminal, experiment->name, settings.seeds);
    settings.progress = [&progress](std::int64_t done) { progress.update(done); };
    results.push_back(experiments::run(*experiment, settings));
  }
  nlohmann::ordered_json json;
  if (chosen.size() == 1) {
    json = to_json(results.front());
  } else {
    json["experiments"] = nlohmann::ordered_json::array();
    for (const experiments::Result& result : results) {
      json["experiments"].push_back(to_json(result));
    }
  }
  if (!options.output.empty()) {
    write_folder(options, results, json);
  }
  if (options.common.json) {
    fmt::print("{}\n", json.dump(1));
  } else if (options.output.empty()) {
    for (const experiments::Result& result : results) {
      print_result(result, terminal);
    }
  }
}

}  // namespace

void add_experiment_verb(CLI::App& app) {
  auto options = std::make_shared<ExperimentOptions>();
  CLI::App* verb = app.add_subcommand(
      "experiment", "Run the experiments of the tutorial, or one on your own tokens");
  verb->add_option("NAME", options->name, "pattern, fibonacci, sequential, uniform, focused or all")
      ->capture_default_str();
  verb->add_option("--tokens", options->tokens,
                   "Your own tokens (L, E), as FILE.npy or FILE.npz:NAME");
  verb->add_option("--labels", options->labels,
                   R"(Their labels, separated by commas ("\," is a comma))");
  verb->add_option_function<std::string>(
          "--seed",
          [options](const std::string& text) { options->settings.seed = parse_seed(text); },
          "Seed of the draw that is shown, from -2^63 to 2^64 - 1 as in torch")
      ->default_str("42");
  verb->add_option("--seeds", options->settings.seeds,
                   "Seeds 0 .. N-1 of the distributions; 0: none")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{100'000'000}))
      ->capture_default_str();
  verb->add_option("--heads", options->settings.heads,
                   "Heads; they must divide E (8 in the experiments)")
      ->capture_default_str();
  verb->add_option("--score-factor", options->settings.score_factor, "Multiplies the scores")
      ->capture_default_str();
  verb->add_option("--output,-o", options->output,
                   "Folder to write: figures, experiments.json and report.html");
  verb->add_option("--format", options->formats,
                   "Formats of the figures: svg, png, pdf, separated by commas")
      ->delimiter(',')
      ->check(CLI::IsMember({"svg", "png", "pdf"}))
      ->capture_default_str();
  add_threads_option(*verb, options->settings.threads);
  add_common_options(*verb, options->common);
  verb->footer(R"(Examples:
  attention experiment pattern
  attention experiment fibonacci --seed 7 --heads 2 --json
  attention experiment all --output out
  attention experiment --tokens mine.npy --labels the,cat,sat --output mine)");
  verb->callback([options] { run_experiment(*options); });
}

}  // namespace attention::cli
