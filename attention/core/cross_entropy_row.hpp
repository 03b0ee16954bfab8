#pragma once

#include <cstdint>

namespace attention {

/// One row of cross entropy as every way to compute it takes it: C logits, `stride` elements from
/// one to the next, and the class that they are to name, of [0, C).
template <class T>
struct CrossEntropyRow {
  const T* logits = nullptr;
  std::int64_t stride = 1;
  std::int64_t C = 0;
  std::int64_t target = 0;
  double label_smoothing = 0;
};

struct CrossEntropyRowLoss {
  double loss = 0;
  double lse = 0;
};

/// The way back: `lse` as the forward pass found it (and rounded it), `d_loss` the gradient of the
/// row's loss. d_logits may be the logits.
template <class T>
struct CrossEntropyRowGradient {
  CrossEntropyRow<T> row;
  T* d_logits = nullptr;
  std::int64_t d_stride = 1;
  double lse = 0;
  double d_loss = 0;
};

}  // namespace attention
