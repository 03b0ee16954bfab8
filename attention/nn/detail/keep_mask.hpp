#pragma once

#include <attention/core/tensor.hpp>

/// Private to nn.
namespace attention::nn::detail {

/// The modules' mask (0 blocks, 1 keeps, any element type) as a boolean tensor of rank 4 that
/// broadcasts to scores = (B, H, L, S); null for a null mask. Throws Error naming `function` for
/// another shape or another value.
Tensor<bool> keep_mask(const char* function, const AnyView& mask, const Shape& scores);

}  // namespace attention::nn::detail
