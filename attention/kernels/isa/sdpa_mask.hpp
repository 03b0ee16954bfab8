#pragma once

#include <attention/kernels/isa/elements.hpp>
#include <attention/kernels/sdpa_args.hpp>

/// Private to the sources of the instruction sets: how masks are read.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

ATTENTION_INLINE Index clamp(Index x, Index low, Index high) {
  return x < low ? low : x > high ? high : x;
}

/// A bit for each lane before `lane`.
ATTENTION_INLINE std::uint64_t lanes_below(int lane) {
  return lane >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << lane) - 1;
}

/// Bit n for the n-th of `count` <= 64 bytes, each 0 or 1.
ATTENTION_INLINE std::uint64_t bits_of_bytes(const std::uint8_t* bytes, Index stride, Index count) {
  if (stride == 1 && count == 64) {
    return bits_of_64_bytes(bytes);
  }
  std::uint64_t bits = 0;
  for (Index n = 0; n < count; ++n) {
    bits |= std::uint64_t{bytes[n * stride] != 0} << n;
  }
  return bits;
}

/// kLanes elements of an additive mask from key `n`, of which `count` exist, as float. Numbers that
/// only double has become the nearest finite ones; infinities stay.
ATTENTION_INLINE Vec load_bias(const SdpaHead& head, const void* row, Index n, Index count) {
  const Index at = n * head.mask_key;
  switch (head.mask_element) {
    case Element::bf16:
      return load_strided(static_cast<const Bfloat16*>(row) + at, head.mask_key, count);
    case Element::f16:
      return load_strided(static_cast<const Float16*>(row) + at, head.mask_key, count);
    case Element::f32:
      return load_strided(static_cast<const float*>(row) + at, head.mask_key, count);
    case Element::f64:
      break;
  }
  float elements[kLanes] = {};
  for (Index i = 0; i < least(count, kLanes); ++i) {
    const double x = static_cast<const double*>(row)[at + i * head.mask_key];
    const auto rounded = static_cast<float>(x);
    const bool overflows = rounded - rounded != 0 && x - x == 0;
    elements[i] = !overflows ? rounded : x < 0 ? -__FLT_MAX__ : __FLT_MAX__;
  }
  return load(elements);
}

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
