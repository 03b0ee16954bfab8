#pragma once

#include <functional>

#include "bench/sdpa_call.hpp"

namespace attention::bench {

/// A call of sdpa_backward with its tensors, which live as long as the call: standard normal ones,
/// the same in every run. Float, as many keys as queries; full or causal.
std::function<void()> backward_call(const SdpaShape& shape);

}  // namespace attention::bench
