#pragma once

#include <cstdint>

#include <attention/core/tensor.hpp>
#include <attention/ops/mask.hpp>

/// Private to nn.
namespace attention::nn::detail {

/// What multi-head attention blocks and adds, all at once.
struct MaskParts {
  Mask mask = {};              // broadcasts to (B, H, L, S)
  Mask key_padding_mask = {};  // (B, S)
  bool causal = false;         // query i sees keys 0 to i
};

struct MaskSize {
  std::int64_t B = 0;
  std::int64_t H = 0;
  std::int64_t L = 0;
  std::int64_t S = 0;
  /// Keys after the S ones that everybody sees.
  std::int64_t appended = 0;
};

/// One mask for sdpa, and the elements that it views if it had to be put together.
struct JoinedMask {
  Mask mask = {};
  bool causal = false;
  Tensor<bool> keep = {};
  Tensor<double> bias = {};
};

/// Joins the parts to one mask over (B, H, L, S + appended). A part that is alone and fits is
/// passed on as it is; otherwise the joined mask is made, with a head dimension only if `mask` has
/// one.
///
/// Throws Error naming `function` when a shape does not fit.
JoinedMask joined_mask(const char* function, const MaskParts& parts, const MaskSize& size,
                       int threads);

/// The part of a mask that broadcasts to (B, H, L, S) for `count` batch entries from `first` on.
Mask mask_of_entries(const Mask& mask, std::int64_t first, std::int64_t count);

}  // namespace attention::nn::detail
