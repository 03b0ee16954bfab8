#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

#include "bench/case.hpp"
#include "bench/groups.hpp"

/// What a run says: a table to read, and JSON.
namespace attention::bench {

/// What a run was made on and with.
struct Machine {
  std::string cpu;
  /// The instruction set that the library takes by itself.
  std::string isa;
  std::string compiler;
  std::string commit;
  int processors = 1;
};

/// `commit` is what the caller knows of it.
Machine this_machine(std::string commit);

/// One limit of the machine, in operations or bytes a second.
struct MachineLimit {
  std::string name;
  int threads = 1;
  double rate = 0.0;
  bool of_bytes = false;
};

/// The arithmetic peak of each instruction set, and the bandwidth of reading.
std::vector<MachineLimit> measured_limits(const Settings& settings);

struct Line {
  Case what;
  Result result;
};

void print_header(std::ostream& out, const Machine& machine, const Settings& settings);
void print_limits(std::ostream& out, const std::vector<MachineLimit>& limits);
void print_group(std::ostream& out, const Group& group);
void print_line(std::ostream& out, const Line& line);
/// How many of the bars are met, and those that are not.
void print_summary(std::ostream& out, const std::vector<Line>& lines);

/// Everything that a run measured.
struct Run {
  Machine machine;
  Settings settings;
  std::vector<MachineLimit> limits = {};
  std::vector<Line> lines = {};
};

/// The run as JSON, every round included.
std::string to_json(const Run& run);

}  // namespace attention::bench
