#pragma once

#include <string>
#include <vector>

#include "experiments/run.hpp"

/// What an experiment found, in words: for the terminal, the page and the tutorial.
namespace attention::cli {

/// One line of the table of claims.
struct Finding {
  std::string id;
  std::string statement;
  std::string published;
  std::string one_draw;
  std::string over_seeds;
  std::string exact;
  std::string control;  // without projections
  std::string verdict;
  /// "proved", "impossible", "chance", "measured" or "differs".
  std::string kind;
  std::string proof;
};

/// The claims of the experiment, then its effects.
std::vector<Finding> findings_of(const experiments::Result& result);

/// "10,000".
std::string with_thousands(std::int64_t number);

/// The command that gives this result again.
std::string command_for(const experiments::Result& result);

}  // namespace attention::cli
