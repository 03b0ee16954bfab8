#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <attention/core/atomic_file.hpp>
#include <attention/render/save.hpp>
#include <attention/train/trainer.hpp>

#include "cli/app.hpp"
#include "experiments/recall.hpp"

namespace attention::cli {
namespace {

struct TrainOptions {
  CommonOptions common;
  std::string task = "repeat";
  experiments::RecallSettings settings;
  std::string output;
  std::string checkpoint;
  std::int64_t checkpoint_every = 100;
  bool resume = false;
};

std::atomic<bool> stop_asked = false;

/// While one lives, Ctrl-C asks training to stop, and says so at once. A second one ends the
/// program.
class StopOnInterrupt {
 public:
  StopOnInterrupt() {
    stop_asked = false;
    struct sigaction action = {};
    action.sa_handler = [](int /*signal*/) {
      stop_asked = true;
      constexpr std::string_view kText =
          "\nattention: finishing the step, then saving (Ctrl-C again: end at once)\n";
      [[maybe_unused]] const auto written = ::write(STDERR_FILENO, kText.data(), kText.size());
    };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    ::sigaction(SIGINT, &action, &before_);
  }
  StopOnInterrupt(const StopOnInterrupt&) = delete;
  StopOnInterrupt& operator=(const StopOnInterrupt&) = delete;
  StopOnInterrupt(StopOnInterrupt&&) = delete;
  StopOnInterrupt& operator=(StopOnInterrupt&&) = delete;
  ~StopOnInterrupt() { ::sigaction(SIGINT, &before_, nullptr); }

 private:
  struct sigaction before_ = {};
};

std::string progress_line(const train::Progress& progress) {
  return fmt::format("step {:>{}} of {}  loss {:.4f}  {:.0f} steps/s  {:.0f} s left", progress.step,
                     std::to_string(progress.steps).size(), progress.steps, progress.loss,
                     progress.steps_per_second, progress.seconds_left);
}

/// A line that is written over on a terminal, ten lines in all elsewhere.
void print_progress(const Terminal& terminal, const train::Progress& progress) {
  const std::int64_t tenth = std::max<std::int64_t>(progress.steps / 10, 1);
  if (terminal.stderr_is_terminal) {
    fmt::print(stderr, "\r\033[K{}", progress_line(progress));
    std::fflush(stderr);
  } else if (progress.step % tenth == 0 || progress.step == progress.steps) {
    fmt::print(stderr, "{}\n", progress_line(progress));
  }
}

render::LineChart loss_curve(const TrainOptions& options, const experiments::RecallResult& result) {
  render::Series series;
  series.name = "loss";
  for (std::size_t n = 0; n < result.losses.size(); ++n) {
    series.x.push_back(static_cast<double>(n + 1));
    series.y.push_back(result.losses[n]);
  }
  return {
      .series = {std::move(series)},
      .title = fmt::format("Learning to {}: {} layers, {} heads, seed {}", options.task,
                           options.settings.layers, options.settings.heads, options.settings.seed),
      .x = {.title = "step"},
      .y = {.title = "cross entropy, nats"}};
}

/// Before training, so that nobody waits for a folder that cannot be made.
void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    throw OutputError(
        fmt::format("{}: the folder cannot be made: {}", folder.string(), error.message()));
  }
}

void write_curve(const TrainOptions& options, const experiments::RecallResult& result) {
  const std::filesystem::path folder = options.output;
  writing([&] {
    train::write_losses_csv(folder / "losses.csv", result.losses);
    const render::LineChart chart = loss_curve(options, result);
    render::save(chart, folder / "losses.svg");
    render::save(chart, folder / "losses.png");
  });
}

void print_result(const TrainOptions& options, const experiments::RecallResult& result) {
  if (options.common.json) {
    nlohmann::ordered_json json;
    json["task"] = options.task;
    json["seed"] = options.settings.seed;
    json["steps"] = result.losses.size();
    json["parameters"] = result.parameters;
    json["losses"] = result.losses;
    json["accuracy"] = result.accuracy;
    json["chance"] = result.chance;
    fmt::print("{}\n", json.dump(1));
    return;
  }
  fmt::print("task        {}, {} tokens of {}\n", options.task, options.settings.length,
             options.settings.tokens);
  fmt::print("model       {} layers, {} heads, {} features, {} parameters\n",
             options.settings.layers, options.settings.heads, options.settings.embed_dim,
             result.parameters);
  fmt::print("steps       {}, seed {}\n", result.losses.size(), options.settings.seed);
  if (!result.losses.empty()) {
    fmt::print("loss        {:.4f}, at first {:.4f}\n", result.losses.back(),
               result.losses.front());
  }
  fmt::print("accuracy    {:.1f} % of tokens in 256 freshly drawn sequences (guessing: {:.1f} %)\n",
             100 * result.accuracy, 100 * result.chance);
  if (!options.output.empty()) {
    fmt::print("loss curve  {}\n", (std::filesystem::path(options.output) / "losses.*").string());
  }
  if (!options.checkpoint.empty()) {
    fmt::print("checkpoint  {}\n", options.checkpoint);
  }
}

void run_train(TrainOptions options) {
  if (options.resume && options.checkpoint.empty()) {
    throw UsageError("--resume goes with --checkpoint");
  }
  options.settings.task = options.task == "reverse" ? experiments::RecallTask::reverse
                                                    : experiments::RecallTask::repeat;
  const Terminal terminal = look_at_terminal(options.common.color);
  const bool goes_on = options.resume && std::filesystem::exists(options.checkpoint);
  if (!options.output.empty()) {
    make_folder(options.output);
  }
  const StopOnInterrupt guard;
  const experiments::RecallResult result = experiments::learn_recall(
      options.settings,
      {.checkpoint = options.checkpoint,
       .checkpoint_every = options.checkpoint_every,
       .on_step = [&](const train::Progress& progress) { print_progress(terminal, progress); },
       .stop = &stop_asked},
      goes_on ? std::optional<std::filesystem::path>(options.checkpoint) : std::nullopt);
  if (terminal.stderr_is_terminal) {
    fmt::print(stderr, "\r\033[K");
  }
  if (!options.output.empty()) {
    write_curve(options, result);
  }
  print_result(options, result);
  if (!result.finished) {
    throw Interrupted();
  }
}

}  // namespace

void add_train_verb(CLI::App& app) {
  auto options = std::make_shared<TrainOptions>();
  CLI::App* const verb = app.add_subcommand(
      "train", "Train a small decoder on a task that only attention to earlier places solves");
  experiments::RecallSettings& settings = options->settings;
  verb->add_option("task", options->task,
                   "repeat: say random tokens again after a separator; reverse: backwards")
      ->check(CLI::IsMember({"repeat", "reverse"}))
      ->capture_default_str();
  const auto add_number = [&](const char* name, std::int64_t& value, const char* text) {
    verb->add_option(name, value, text)->check(CLI::Range(1, 1000000))->capture_default_str();
  };
  add_number("--steps", settings.steps, "Steps of training");
  add_number("--layers", settings.layers, "Blocks of the decoder");
  add_number("--heads", settings.heads, "Attention heads of each block");
  add_number("--embed-dim", settings.embed_dim, "Features of a token");
  add_number("--length", settings.length, "Tokens to be said again");
  add_number("--tokens", settings.tokens, "Different tokens");
  add_number("--batch", settings.batch, "Sequences of a step");
  verb->add_option("--learning-rate", settings.learning_rate, "The highest; it falls by a cosine")
      ->check(CLI::Range(0.0, 10.0))
      ->capture_default_str();
  verb->add_option("--dropout", settings.dropout, "Probability of dropping an element in training")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  verb->add_option("--seed", settings.seed, "Seeds parameters, data and dropout")
      ->capture_default_str();
  verb->add_option("-o,--output", options->output, "A folder for the loss curve: CSV, SVG and PNG");
  verb->add_option("--checkpoint", options->checkpoint,
                   "A file that training can go on from, in the same bits");
  add_number("--checkpoint-every", options->checkpoint_every, "Steps from one to the next");
  verb->add_flag("--resume", options->resume, "Go on from the checkpoint, if there is one");
  add_threads_option(*verb, settings.threads);
  add_common_options(*verb, options->common);
  verb->callback([options] { run_train(*options); });
}

}  // namespace attention::cli
