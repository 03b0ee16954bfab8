#include <cstdio>
#include <sstream>
#include <string>
#include <string_view>

#include "bench/report.hpp"

namespace attention::bench {
namespace {

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
    }
    // Names of processors and compilers hold no control characters.
    result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return result + "\"";
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

std::string_view word_of(Measure measure) {
  switch (measure) {
    case Measure::share_of_peak:
      return "share_of_peak";
    case Measure::share_of_bandwidth:
      return "share_of_bandwidth";
    case Measure::time_ratio:
      return "time_ratio";
    case Measure::microseconds:
      return "microseconds";
    case Measure::mebibytes:
      break;
  }
  return "mebibytes";
}

std::string case_json(const Line& line) {
  const Case& what = line.what;
  const Facts& facts = what.facts;
  const Result& result = line.result;
  std::ostringstream out;
  out << R"({"group": )" << quoted(what.group) << R"(, "label": )" << quoted(what.label)
      << R"(, "dtype": )" << quoted(attention::name_of(facts.dtype)) << R"(, "threads": )"
      << facts.threads << R"(, "L": )" << facts.L << R"(, "S": )" << facts.S << R"(, "D": )"
      << facts.D << R"(, "causal": )" << (facts.causal ? "true" : "false") << R"(, "measure": )"
      << quoted(word_of(what.measure)) << R"(, "ours": )" << number(result.median.ours)
      << R"(, "beside": )" << number(result.median.limit) << R"(, "value": )"
      << number(result.median.value) << R"(, "bar": )" << (what.bar ? number(*what.bar) : "null")
      << R"(, "verdict": )" << quoted(name_of(result.verdict)) << R"(, "rounds": [)";
  const char* separator = "";
  for (const double value : result.values) {
    out << separator << number(value);
    separator = ", ";
  }
  out << "]}";
  return out.str();
}

}  // namespace

std::string to_json(const Run& run) {
  std::ostringstream out;
  out << "{\n  \"cpu\": " << quoted(run.machine.cpu) << ",\n  \"isa\": " << quoted(run.machine.isa)
      << ",\n  \"compiler\": " << quoted(run.machine.compiler)
      << ",\n  \"commit\": " << quoted(run.machine.commit)
      << ",\n  \"rounds\": " << run.settings.rounds << ",\n  \"limits\": [";
  const char* separator = "\n    ";
  for (const MachineLimit& limit : run.limits) {
    out << separator << R"({"name": )" << quoted(limit.name) << R"(, "threads": )" << limit.threads
        << R"(, "rate": )" << number(limit.rate) << R"(, "unit": )"
        << (limit.of_bytes ? R"("B/s"})" : R"("FLOP/s"})");
    separator = ",\n    ";
  }
  out << "\n  ],\n  \"cases\": [";
  separator = "\n    ";
  for (const Line& line : run.lines) {
    out << separator << case_json(line);
    separator = ",\n    ";
  }
  out << "\n  ]\n}\n";
  return out.str();
}

}  // namespace attention::bench
