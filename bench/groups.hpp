#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bench/case.hpp"

/// The grid: groups of cases, each with its bar. B is 1 and H is 8 unless a label says otherwise.
namespace attention::bench {

struct Group {
  std::string_view name;
  /// What is measured against what.
  std::string_view title;
  std::vector<Case> (*cases)(const Settings& settings);
};

/// All groups, in the order in which they run.
const std::vector<Group>& groups();

/// How much lower the first bars are for a binary of this compiler: 0.03 for g++, else 0.
double compiler_allowance();

// groups_sdpa.cpp
std::vector<Case> full_cases(const Settings& settings);
std::vector<Case> causal_cases(const Settings& settings);
std::vector<Case> bf16_cases(const Settings& settings);
std::vector<Case> avx2_cases(const Settings& settings);
std::vector<Case> size_cases(const Settings& settings);
// groups_backward.cpp
std::vector<Case> backward_cases(const Settings& settings);
// groups_rules.cpp
std::vector<Case> rule_cases(const Settings& settings);
// groups_small.cpp
std::vector<Case> decode_cases(const Settings& settings);
std::vector<Case> memory_cases(const Settings& settings);
std::vector<Case> tiny_cases(const Settings& settings);
// groups_layers.cpp
std::vector<Case> linear_cases(const Settings& settings);
std::vector<Case> linear_backward_cases(const Settings& settings);
std::vector<Case> mha_cases(const Settings& settings);
std::vector<Case> training_cases(const Settings& settings);

}  // namespace attention::bench
