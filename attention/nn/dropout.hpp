#pragma once

#include <cstdint>

#include <attention/autograd/variable.hpp>
#include <attention/core/execution.hpp>
#include <attention/core/export.hpp>
#include <attention/ops/dropout.hpp>

namespace attention::nn {

/// Where the dropout of forward passes takes its randomness from: a seed, and the number of the
/// next call. Given to a forward pass while training; null while evaluating, where nothing is
/// dropped.
///
/// The same seed and the same number of calls before give the same masks: to go on from a
/// checkpoint, restore both.
struct DropoutCalls {
  std::uint64_t seed = 0;
  std::uint64_t next = 0;

  /// The options of the next call.
  DropoutOptions take(double probability, const Execution& execution = {}) noexcept {
    return {.probability = probability, .seed = seed, .call = next++, .execution = execution};
  }
};

/// Drops elements while training (`calls` given), else returns x itself. Nothing is drawn for a
/// probability of 0.
template <class T>
ATTENTION_API autograd::Variable<T> dropout(const autograd::Variable<T>& x, double probability,
                                            DropoutCalls* calls, const Execution& execution = {});

}  // namespace attention::nn
