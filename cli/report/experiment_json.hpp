#pragma once

#include <nlohmann/json.hpp>

#include "experiments/run.hpp"

namespace attention::cli {

/// All that a result holds but the effects' values seed by seed. docs/experiment-json.md describes
/// it.
nlohmann::ordered_json to_json(const experiments::Result& result);

}  // namespace attention::cli
