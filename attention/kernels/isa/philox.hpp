#pragma once

#include <attention/kernels/dropout_args.hpp>
#include <attention/kernels/isa/simd.hpp>

/// Private to the sources of the instruction sets: the random words of core/counter_random.hpp, a
/// counter to a lane.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

/// Replaces the counters, words 0 to 3 of each lane, by what Philox4x32-10 makes of them.
ATTENTION_INLINE void philox(Words (&x)[4], std::uint64_t key) {
  auto k0 = static_cast<std::uint32_t>(key);
  auto k1 = static_cast<std::uint32_t>(key >> 32);
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round) {
    const WordProducts product0 = products(x[0], set1_words(0xD2511F53U));
    const WordProducts product1 = products(x[2], set1_words(0xCD9E8D57U));
    x[0] = exclusive_or(product1.high, x[1], set1_words(k0));
    x[1] = product1.low;
    x[2] = exclusive_or(product0.high, x[3], set1_words(k1));
    x[3] = product0.low;
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
}

/// The words of the weights of four keys, 4 quarter to 4 quarter + 3: of query `query` and head
/// `head` in each lane.
ATTENTION_INLINE void words_of_weights(std::uint64_t key, Words quarter, Words query, Words head,
                                       Words (&x)[4]) {
  x[0] = quarter;
  x[1] = query;
  x[2] = head;
  x[3] = set1_words(1);
  philox(x, key);
}

/// The lanes whose word is that of a cell to keep, a bit each.
ATTENTION_INLINE std::uint32_t kept_lanes(const DropoutRule& rule, Words words) {
  return bits_of(less(set1_words(rule.last_dropped), words));
}

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
