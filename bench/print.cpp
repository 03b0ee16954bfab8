#include <algorithm>
#include <cstdio>
#include <ostream>
#include <string>

#include "bench/report.hpp"

namespace attention::bench {
namespace {

constexpr std::size_t kLabelWidth = 54;

/// A number with its digits after the point and its unit.
std::string with_unit(double value, int digits, const char* unit) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f %s", digits, value, unit);
  return text;
}

std::string left(std::string text, std::size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

std::string right(const std::string& text, std::size_t width) {
  return std::string(width > text.size() ? width - text.size() : 0, ' ') + text;
}

/// `ours` or `limit` of a sample.
std::string rate_text(Measure measure, double value) {
  switch (measure) {
    case Measure::share_of_peak:
      return with_unit(value * 1e-9, 1, "GFLOP/s");
    case Measure::share_of_bandwidth:
      return with_unit(value * 1e-9, 1, "GB/s");
    case Measure::time_ratio:
      return with_unit(value * 1e9, 3, "ns");
    case Measure::microseconds:
    case Measure::mebibytes:
      break;
  }
  return "";
}

/// The value that the bar is about, and the bar.
std::string value_text(Measure measure, double value) {
  switch (measure) {
    case Measure::share_of_peak:
    case Measure::share_of_bandwidth:
      return with_unit(value * 100.0, 1, "%");
    case Measure::time_ratio:
      return with_unit(value, 2, "x");
    case Measure::microseconds:
      return with_unit(value, 2, "us");
    case Measure::mebibytes:
      break;
  }
  return with_unit(value, 2, "MiB");
}

std::string bar_text(const Case& one) {
  if (!one.bar) {
    return "-";
  }
  return (is_share(one.measure) ? ">= " : "<= ") + value_text(one.measure, *one.bar);
}

std::string threads_text(int threads) {
  return std::to_string(threads) + (threads == 1 ? " thread" : " threads");
}

}  // namespace

void print_header(std::ostream& out, const Machine& machine, const Settings& settings) {
  out << "CPU       " << machine.cpu << ", " << machine.processors << " processors\n"
      << "kernels   " << machine.isa << "\n"
      << "compiler  " << machine.compiler << "\n"
      << "commit    " << machine.commit << "\n"
      << "rounds    " << settings.rounds << ", limits and ours in turn; medians\n";
  if (compiler_allowance() > 0) {
    out << "note      built by g++: the bars of `full` and `causal` are 3 points lower\n";
  }
  out << "note      operations: 2 x visible cells x (D + Dv); B 1, H 8 unless a line says "
         "otherwise\n"
      << "note      `at the bar`: within one point of it\n";
}

void print_limits(std::ostream& out, const std::vector<MachineLimit>& limits) {
  out << "\nlimits: the best of the rounds\n";
  for (const MachineLimit& limit : limits) {
    out << "  " << left(limit.name + ", " + threads_text(limit.threads), kLabelWidth)
        << right(with_unit(limit.rate * 1e-9, 1, limit.of_bytes ? "GB/s" : "GFLOP/s"), 16) << "\n";
  }
}

void print_group(std::ostream& out, const Group& group) {
  out << "\n"
      << group.name << ": " << group.title << "\n  " << left("", kLabelWidth) << right("ours", 16)
      << right("beside", 16) << right("value", 11) << right("bar", 13) << "  verdict\n";
}

void print_line(std::ostream& out, const Line& line) {
  const Case& what = line.what;
  const Sample& median = line.result.median;
  out << "  " << left(what.label + ", " + threads_text(what.facts.threads), kLabelWidth)
      << right(rate_text(what.measure, median.ours), 16)
      << right(rate_text(what.measure, median.limit), 16)
      << right(value_text(what.measure, median.value), 11) << right(bar_text(what), 13) << "  "
      << name_of(line.result.verdict) << "\n"
      << std::flush;
}

void print_summary(std::ostream& out, const std::vector<Line>& lines) {
  const auto count = [&](Verdict verdict) {
    return std::ranges::count(lines, verdict, [](const Line& line) { return line.result.verdict; });
  };
  out << "\nbars: " << count(Verdict::met) << " met, " << count(Verdict::at_the_bar)
      << " at the bar, " << count(Verdict::missed) << " missed\n";
  for (const Line& line : lines) {
    if (line.result.verdict == Verdict::missed) {
      out << "  missed: " << line.what.group << ": " << line.what.label << ", "
          << threads_text(line.what.facts.threads) << ": "
          << value_text(line.what.measure, line.result.median.value) << ", bar "
          << bar_text(line.what) << "\n";
    }
  }
}

}  // namespace attention::bench
