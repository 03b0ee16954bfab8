#pragma once

#include <cstdint>
#include <vector>

#include "experiments/experiment.hpp"

/// Claims and measures that several experiments make.
namespace attention::experiments {

/// "Equal tokens have equal rows and equal columns", bit for bit. Always true.
Claim equal_tokens_claim(const Input& input);

/// The largest minus the smallest weight of a row, mean over the rows.
Effect spread_effect();

/// True if every weight of `row` on `keys` is larger than every weight on another key.
bool gets_most(const Weights& weights, std::int64_t row, const std::vector<std::int64_t>& keys);

/// The key with the largest weight of the row; the first of equals.
std::int64_t largest_key(const Weights& weights, std::int64_t row);

}  // namespace attention::experiments
