#pragma once

#include <cstdint>

/// Words of the vector vocabulary made of its other words, for instruction sets without a shorter
/// way. See simd.hpp for what each word means.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

ATTENTION_INLINE Vec sums_of_lanes(const Vec (&x)[kLanes]) {
  Vec t[kLanes];
#pragma GCC unroll 8
  for (int i = 0; i < kLanes; ++i) {
    t[i] = x[i];
  }
  transpose(t);
#pragma GCC unroll 4
  for (int width = kLanes / 2; width > 0; width /= 2) {
#pragma GCC unroll 4
    for (int i = 0; i < width; ++i) {
      t[i] = add(t[i], t[i + width]);
    }
  }
  return t[0];
}

/// Bit n for the n-th of 64 bytes, each 0 or 1: eight at a time by a multiplication.
ATTENTION_INLINE std::uint64_t bits_of_64_bytes(const std::uint8_t* p) {
  std::uint64_t bits = 0;
  for (int n = 0; n < 64; n += 8) {
    std::uint64_t eight = 0;
    __builtin_memcpy(&eight, p + n, sizeof(eight));
    bits |= ((eight * 0x0102040810204080U) >> 56) << n;
  }
  return bits;
}

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
