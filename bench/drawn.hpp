#pragma once

#include <cstdint>

#include <attention/core/tensor.hpp>

namespace attention::bench {

/// Standard normal numbers, the same in every run.
Tensor<float> drawn(const Shape& shape, std::uint64_t seed);

}  // namespace attention::bench
