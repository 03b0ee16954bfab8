#pragma once

#include <attention/core/execution.hpp>

namespace attention {

/// How layer_norm and rms_norm compute.
struct NormOptions {
  /// Added to the mean square before the root: at least 0, and finite.
  double epsilon = 1e-5;
  Execution execution = {};
};

}  // namespace attention
