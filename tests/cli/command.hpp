#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cli/app.hpp"
#include "tests/support/files.hpp"

namespace attention::cli {

/// What a command printed and how it ended.
struct Outcome {
  int code;
  std::string out;
  std::string err;
};

/// Runs the command line inside this process.
inline Outcome run_command(const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {"attention"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<const char*> argv;
  for (const std::string& word : words) {
    argv.push_back(word.c_str());
  }
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int code = run(static_cast<int>(argv.size()), argv.data());
  Outcome outcome{.code = code, .out = testing::internal::GetCapturedStdout(), .err = {}};
  outcome.err = testing::internal::GetCapturedStderr();
  return outcome;
}

/// A test with a folder of its own.
class CommandTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::size_t files() const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path())) {
      count += entry.is_regular_file() ? 1 : 0;
    }
    return count;
  }

 private:
  test::TemporaryFolder folder_;
};

}  // namespace attention::cli
