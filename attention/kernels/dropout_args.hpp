#pragma once

#include <cstdint>

/// Private: what crosses the border to the code that is compiled once for each instruction set; see
/// sdpa_args.hpp.
namespace attention::kernels {

/// Which cells dropout keeps, see core/counter_random.hpp.
struct DropoutRule {
  bool any;  // whether some cell may be dropped
  std::uint64_t key;
  std::uint32_t last_dropped;  // the largest word of a cell that is dropped
  float factor;                // of the others
};

/// Dropout of `count` elements of a row, the first of them number `index` of its tensor.
struct DropoutTask {
  DropoutRule rule;
  std::int64_t index;
  std::int64_t count;
  const float* x;
  std::int64_t x_step;
  float* out;  // may be x
  std::int64_t out_step;
};

}  // namespace attention::kernels
