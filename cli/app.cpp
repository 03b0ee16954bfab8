#include "cli/app.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <system_error>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <attention/core/error.hpp>
#include <attention/core/version.hpp>

#include "cli/suggest.hpp"

namespace attention::cli {
namespace {

constexpr const char* kDescription =
    "Attention, from scratch: run the experiments, compute attention, look at its weights.";

constexpr const char* kFooter = R"(Examples:
  attention experiment pattern              one experiment, here in the terminal
  attention experiment all --output out     all of them: figures, data and out/report.html
  attention compute qkv.npz --causal --output result.npz --weights
  attention heatmap result.npz:weights      look at the weights
  attention train repeat --output out       a decoder learns to look back

Exit codes: 0 success, 1 unforeseen failure, 2 wrong usage, 3 an input cannot be read or breaks a rule,
4 an output cannot be written, 130 interrupted.)";

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

int terminal_width() {
  if (const int columns = std::atoi(environment("COLUMNS").c_str()); columns > 0) {
    return columns;
  }
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

bool locale_is_utf8() {
  // The first of these that is set decides, as for the C library.
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string value = environment(name);
    if (!value.empty()) {
      return value.find("UTF-8") != std::string::npos || value.find("utf8") != std::string::npos ||
             value.find("UTF8") != std::string::npos;
    }
  }
  return false;
}

int fail(ExitCode code, std::string_view message) {
  fmt::print(stderr, "attention: {}\n", message);
  return static_cast<int>(code);
}

/// What CLI11 says of a command line that it cannot parse, with a suggestion for a verb or an
/// option that is nearly one.
std::string usage_message(const CLI::App& app, const CLI::ParseError& error, int argc,
                          const char* const* argv) {
  std::vector<std::string> verbs;
  const CLI::App* chosen = nullptr;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    verbs.push_back(verb->get_name());
    chosen = verb->parsed() ? verb : chosen;
  }
  if (chosen == nullptr && argc > 1 && argv[1][0] != '-' &&
      std::ranges::find(verbs, argv[1]) == verbs.end()) {
    return fmt::format("there is no verb '{}'{}\nRun 'attention --help' for the list.", argv[1],
                       suggestion(argv[1], verbs));
  }
  std::string hint;
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    std::vector<std::string> options;
    const CLI::App& place = chosen == nullptr ? app : *chosen;
    for (const CLI::Option* option : place.get_options()) {
      for (const std::string& name : option->get_lnames()) {
        options.push_back("--" + name);
      }
    }
    for (int i = 1; i < argc && hint.empty(); ++i) {
      const std::string typed = std::string(argv[i]).substr(0, std::string_view(argv[i]).find('='));
      if (typed.starts_with("--") && std::ranges::find(options, typed) == options.end()) {
        hint = suggestion(typed, options);
      }
    }
  }
  const std::string verb = chosen == nullptr ? "" : " " + chosen->get_name();
  return fmt::format("{}{}\nRun 'attention{} --help' for help.", error.what(), hint, verb);
}

}  // namespace

void writing(const std::function<void()>& write) {
  try {
    write();
  } catch (const FileError& error) {
    throw OutputError(error.what());
  }
}

Terminal look_at_terminal(const std::string& color) {
  Terminal terminal;
  terminal.stdout_is_terminal = isatty(STDOUT_FILENO) != 0;
  terminal.stderr_is_terminal = isatty(STDERR_FILENO) != 0;
  render::TerminalEnvironment known{.is_terminal = terminal.stdout_is_terminal,
                                    .term = environment("TERM"),
                                    .colorterm = environment("COLORTERM"),
                                    .no_color = environment("NO_COLOR"),
                                    .force_color = environment("FORCE_COLOR"),
                                    .clicolor_force = environment("CLICOLOR_FORCE")};
  if (color == "always") {
    known.no_color.clear();
    known.force_color = "1";
  } else if (color == "never") {
    known.no_color = "1";
  }
  terminal.options.color = render::color_support(known);
  terminal.options.charset = locale_is_utf8() ? render::Charset::unicode : render::Charset::ascii;
  terminal.options.width = std::clamp(terminal_width(), 20, 1000);
  return terminal;
}

Progress::Progress(const Terminal& terminal, std::string label, std::int64_t total)
    : shown_(terminal.stderr_is_terminal), label_(std::move(label)), total_(total) {}

Progress::~Progress() {
  if (shown_) {
    fmt::print(stderr, "\r\033[K");
  }
}

void Progress::update(std::int64_t done) {
  if (shown_) {
    fmt::print(stderr, "\r\033[K{}: {} of {}", label_, done, total_);
    std::fflush(stderr);
  }
}

void add_common_options(CLI::App& verb, CommonOptions& options) {
  verb.add_flag("--json", options.json, "Print the result as JSON");
  verb.add_option("--color", options.color,
                  "Colours: auto (as the terminal and NO_COLOR say), always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->capture_default_str();
}

void add_threads_option(CLI::App& verb, int& threads) {
  verb.add_option("--threads", threads,
                  "Threads; 0: one for each processor. Results do not depend on it")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
}

int run(int argc, const char* const* argv) {
  CLI::App app(kDescription, "attention");
  app.footer(kFooter);
  app.set_version_flag("--version", std::string("attention ") + ATTENTION_VERSION);
  app.require_subcommand(1);
  add_experiment_verb(app);
  add_compute_verb(app);
  add_heatmap_verb(app);
  add_train_verb(app);
  add_info_verb(app);
  add_completion_verb(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
      return app.exit(error);  // --help and --version
    }
    if (argc <= 1) {
      fmt::print("{}", app.help());
      return static_cast<int>(ExitCode::usage);
    }
    return fail(ExitCode::usage, usage_message(app, error, argc, argv));
  } catch (const Interrupted&) {
    std::fflush(stdout);
    return static_cast<int>(ExitCode::interrupted);
  } catch (const UsageError& error) {
    return fail(ExitCode::usage, error.what());
  } catch (const OutputError& error) {
    return fail(ExitCode::output, error.what());
  } catch (const FileError& error) {
    return fail(ExitCode::input, error.what());
  } catch (const Error& error) {
    return fail(ExitCode::input, error.what());
  } catch (const std::bad_alloc&) {
    return fail(ExitCode::failure, "there is not enough memory");
  } catch (const std::system_error& error) {
    return fail(ExitCode::output, fmt::format("standard output: {}",
                                              error.code().message()));  // thrown by fmt::print
  } catch (const std::exception& error) {
    return fail(ExitCode::failure, error.what());
  }
  if (std::fflush(stdout) != 0) {
    return fail(ExitCode::output, fmt::format("standard output: {}", std::strerror(errno)));
  }
  return static_cast<int>(ExitCode::success);
}

}  // namespace attention::cli
