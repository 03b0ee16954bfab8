// Measures the limits of this machine and the library against them: each number with its bar.
//   attention_bench [--quick] [--only GROUP]... [--json FILE] [--commit TEXT]

#include <algorithm>
#include <exception>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <attention/core/atomic_file.hpp>

#include "bench/groups.hpp"
#include "bench/report.hpp"

namespace attention::bench {
namespace {

struct Arguments {
  bool quick = false;
  std::vector<std::string> only = {};
  std::string json = {};
  std::string commit = "unknown";
};

void print_usage(std::ostream& out) {
  out << "usage: attention_bench [--quick] [--only GROUP]... [--json FILE] [--commit TEXT]\n"
         "  --quick      fewer shapes, shorter times: whether it works, not how fast it is\n"
         "  --only       this group; may be given several times\n"
         "  --json       write everything that was measured to this file\n"
         "  --commit     what to call the state of the sources\n"
         "groups:";
  for (const Group& group : groups()) {
    out << " " << group.name;
  }
  out << "\n";
}

bool is_group(std::string_view name) {
  return std::ranges::any_of(groups(), [&](const Group& group) { return group.name == name; });
}

/// None when they are not understood.
std::optional<Arguments> parsed(const std::vector<std::string>& words) {
  Arguments result;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--quick") {
      result.quick = true;
      continue;
    }
    if (i + 1 == words.size()) {
      return std::nullopt;
    }
    const std::string& value = words[++i];
    if (word == "--only" && is_group(value)) {
      result.only.push_back(value);
    } else if (word == "--json") {
      result.json = value;
    } else if (word == "--commit") {
      result.commit = value;
    } else {
      return std::nullopt;
    }
  }
  return result;
}

Settings settings_of(const Arguments& arguments) {
  if (arguments.quick) {
    return {.rounds = 3, .time = Seconds(0.02), .limit_time = Seconds(0.02), .quick = true};
  }
  return {};
}

Run run(const Arguments& arguments) {
  const Settings settings = settings_of(arguments);
  Run run{.machine = this_machine(arguments.commit), .settings = settings};
  print_header(std::cout, run.machine, settings);
  run.limits = measured_limits(settings);
  print_limits(std::cout, run.limits);
  for (const Group& group : groups()) {
    if (!arguments.only.empty() &&
        std::ranges::find(arguments.only, group.name) == arguments.only.end()) {
      continue;
    }
    print_group(std::cout, group);
    const std::vector<Case> cases = group.cases(settings);
    if (cases.empty()) {
      std::cout << "  not on this processor\n";
    }
    for (const Case& one : cases) {
      run.lines.push_back({.what = one, .result = measured(one, settings)});
      print_line(std::cout, run.lines.back());
    }
  }
  print_summary(std::cout, run.lines);
  return run;
}

}  // namespace
}  // namespace attention::bench

int main(int argc, char** argv) {
  namespace bench = attention::bench;
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words == std::vector<std::string>{"--help"}) {
    bench::print_usage(std::cout);
    return 0;
  }
  const std::optional<bench::Arguments> arguments = bench::parsed(words);
  if (!arguments) {
    bench::print_usage(std::cerr);
    return 2;
  }
  try {
    const bench::Run run = bench::run(*arguments);
    if (!arguments->json.empty()) {
      attention::write_file_atomically(arguments->json, bench::to_json(run));
    }
  } catch (const std::exception& error) {
    std::cerr << "attention_bench: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
