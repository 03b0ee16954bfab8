#include <cstdint>
#include <iostream>

#include <attention/core/random.hpp>
#include <attention/ops/kv_cache.hpp>
#include <attention/ops/sdpa.hpp>

namespace {

/// As a layer would make them of `count` tokens: (1, 8, count, 64).
attention::Tensor<float> drawn(std::int64_t count, attention::random::Generator& generator) {
  attention::Tensor<float> tensor({1, 8, count, 64});
  attention::random::normal(tensor, 0.0, 1.0, generator);
  return tensor;
}

}  // namespace

int main() {
  attention::random::Generator generator(42);
  // [decoding]
  attention::KvCache<float> cache({.B = 1, .Hkv = 8, .D = 64, .Dv = 64});
  for (const std::int64_t count : {100, 1, 1}) {  // a prompt, then token by token
    const auto q = drawn(count, generator);
    cache.append(drawn(count, generator), drawn(count, generator));
    const auto result =
        attention::sdpa(q, cache.keys(), cache.values(),
                        {.causal = true, .alignment = attention::Alignment::bottom_right()});
    std::cout << to_string(result.out.shape()) << " of " << cache.length() << " keys\n";
  }
  // [/decoding]
}
