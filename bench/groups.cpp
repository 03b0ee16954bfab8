#include "bench/groups.hpp"

namespace attention::bench {

const std::vector<Group>& groups() {
  static const std::vector<Group> all = {
      {.name = "full", .title = "float32; share of the FMA peak", .cases = full_cases},
      {.name = "causal", .title = "float32; share of the FMA peak", .cases = causal_cases},
      {.name = "backward",
       .title = "float32; operations: 2.5 x the forward pass; share of the FMA peak",
       .cases = backward_cases},
      {.name = "bf16",
       .title = "bfloat16, full; share of the bf16 dot peak, or of the FMA peak without a bar",
       .cases = bf16_cases},
      {.name = "avx2",
       .title = "float32, full, kernels of AVX2; share of the 256-bit FMA peak",
       .cases = avx2_cases},
      {.name = "sizes", .title = "other D, and Dv; share of the FMA peak", .cases = size_cases},
      {.name = "rules",
       .title = "time for a visible cell, as a multiple of the same problem without the rule",
       .cases = rule_cases},
      {.name = "decode",
       .title = "one query; share of the bandwidth of reading the same keys and values",
       .cases = decode_cases},
      {.name = "memory",
       .title = "MiB a thread beyond inputs and outputs, one head of 64",
       .cases = memory_cases},
      {.name = "tiny", .title = "microseconds of a call, one head of 8", .cases = tiny_cases},
      {.name = "linear",
       .title = "float32; share of the FMA peak (its bar is a peer: see bench/peers)",
       .cases = linear_cases},
      {.name = "linear_backward",
       .title = "float32; operations of each gradient: those of the forward pass; share of the FMA "
                "peak",
       .cases = linear_backward_cases},
      {.name = "mha",
       .title = "MultiHeadAttention with its projections, B 4; share of the FMA peak",
       .cases = mha_cases},
      {.name = "training",
       .title = "a step of a decoder block: forward, backward, AdamW; share of the FMA peak",
       .cases = training_cases}};
  return all;
}

double compiler_allowance() {
#if defined(__clang__)
  return 0.0;
#else
  return 0.03;
#endif
}

}  // namespace attention::bench
