#pragma once

#include <functional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <attention/render/terminal.hpp>

/// The command line: one file for each verb, listed in app.cpp.
namespace attention::cli {

/// The exit codes, as the help states them.
enum class ExitCode : int {
  success = 0,
  failure = 1,       // something unforeseen: a defect, no memory
  usage = 2,         // the command line cannot be understood
  input = 3,         // an input cannot be read, or breaks a rule
  output = 4,        // an output cannot be written
  interrupted = 130  // Ctrl-C, as shells count it
};

/// Thrown by a verb to say that its command line makes no sense, where CLI11 cannot see it.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Thrown where writing fails, so that it is told apart from reading.
class OutputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Thrown by a verb that Ctrl-C has stopped, after it has saved what there was.
class Interrupted : public std::runtime_error {
 public:
  Interrupted() : std::runtime_error("interrupted") {}
};

/// Runs `write` and turns its failure into an OutputError.
void writing(const std::function<void()>& write);

/// What the terminal can show, and how to treat it.
struct Terminal {
  bool stdout_is_terminal = false;
  bool stderr_is_terminal = false;
  render::TerminalOptions options;
};

/// Looks at the file descriptors and the environment (NO_COLOR, FORCE_COLOR, TERM, COLUMNS, ...).
/// `color` is what the user said: "auto", "always" or "never".
Terminal look_at_terminal(const std::string& color);

/// Prints "label: done of total" on one line of stderr, if that is a terminal; the destructor
/// clears the line.
class Progress {
 public:
  Progress(const Terminal& terminal, std::string label, std::int64_t total);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  Progress(Progress&&) = delete;
  Progress& operator=(Progress&&) = delete;
  ~Progress();
  void update(std::int64_t done);

 private:
  bool shown_;
  std::string label_;
  std::int64_t total_;
};

/// Options that every verb has.
struct CommonOptions {
  bool json = false;
  std::string color = "auto";
};
void add_common_options(CLI::App& verb, CommonOptions& options);
void add_threads_option(CLI::App& verb, int& threads);

/// The whole program: parses, runs a verb, prints errors to stderr. Returns the exit code.
int run(int argc, const char* const* argv);

/// Each adds its verb, and keeps its options alive through the callback.
void add_experiment_verb(CLI::App& app);
void add_compute_verb(CLI::App& app);
void add_heatmap_verb(CLI::App& app);
void add_info_verb(CLI::App& app);
void add_train_verb(CLI::App& app);
void add_completion_verb(CLI::App& app);

}  // namespace attention::cli
