#pragma once

#include <cstdint>

#include "experiments/experiment.hpp"

/// The list of the experiments: one function, in a file of its own, for each. See experiment.cpp.
namespace attention::experiments {

/// E, the embedding size of every experiment.
inline constexpr std::int64_t kEmbedding = 8;

Experiment pattern_experiment();
Experiment fibonacci_experiment();
Experiment sequential_experiment();
Experiment uniform_experiment();
Experiment focused_experiment();

}  // namespace attention::experiments
