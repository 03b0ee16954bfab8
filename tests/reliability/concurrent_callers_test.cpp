#include <cstddef>
#include <cstdint>
#include <functional>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <attention/core/random.hpp>
#include <attention/nn/multi_head_attention.hpp>
#include <attention/ops/kernel_isas.hpp>
#include <attention/ops/linear.hpp>
#include <attention/ops/sdpa.hpp>

#include "tests/ops/harness/every_path.hpp"

/// Many threads of a program that call the library at once, each with sizes, a number of threads
/// and an instruction set of its own, get the bits that each of them gets alone.
namespace attention::tests {
namespace {

#if defined(__SANITIZE_THREAD__)
constexpr std::size_t kRounds =
    3;  // it takes fifty times as long, and sees each race the first time
#else
constexpr std::size_t kRounds = 20;
#endif
constexpr int kCallers = 6;

/// A call with its inputs: its results for this way of running it.
using Call = std::function<Tensor<float>(const Execution&)>;

Call sdpa_call(const InputSizes& sizes, std::uint64_t seed) {
  return [inputs = random_inputs<float>(sizes, seed)](const Execution& execution) {
    return sdpa(inputs.q, inputs.k, inputs.v, {.execution = execution}).out;
  };
}

Call linear_call(std::int64_t rows, std::int64_t I, std::int64_t O) {
  return [x = random_tensor<float>({rows, I}, 1),
          weight = random_tensor<float>({O, I}, 2)](const Execution& execution) {
    return linear(x, weight, {}, {.execution = execution});
  };
}

/// Of one layer, that all callers share.
Call multi_head_call(std::int64_t L, std::int64_t S) {
  random::Generator generator(1);
  return [layer = nn::MultiHeadAttention(24, 4, generator),
          query = random_tensor<float>({2, L, 24}, 2),
          memory = random_tensor<float>({2, S, 24}, 3)](const Execution& execution) {
    return layer.forward(query, memory, memory, nn::MultiHeadForwardOptions{.execution = execution})
        .output;
  };
}

std::vector<Call> calls() {
  return {sdpa_call({.B = 2, .H = 4, .Hkv = 2, .L = 70, .S = 130, .D = 40, .Dv = 24}, 1),
          sdpa_call({.H = 2, .Hkv = 1, .L = 1, .S = 3000, .D = 17, .Dv = 17}, 2),
          linear_call(57, 64, 33),
          multi_head_call(40, 40),
          sdpa_call({.B = 3, .H = 6, .Hkv = 2, .L = 3, .S = 90}, 3),
          multi_head_call(1, 600),
          linear_call(1, 700, 130),
          sdpa_call({.L = 5, .S = 1000, .D = 8, .Dv = 64}, 4)};
}

/// On instruction set number n.
Execution on_isa(std::size_t n, int threads) {
  const std::vector<Isa> isas = kernel_isas();
  return {.path = Path::fused, .isa = isas[n % isas.size()], .threads = threads};
}

/// One caller: every call in every round, in an order of its own, on changing instruction sets and
/// numbers of threads. Returns how many results differ from `expected[isa][call]`.
int count_different(const std::vector<Call>& all,
                    const std::vector<std::vector<Tensor<float>>>& expected, std::size_t caller) {
  constexpr int kThreads[] = {1, 2, 3, 8, 0};
  int different = 0;
  for (std::size_t round = 0; round < kRounds; ++round) {
    for (std::size_t c = 0; c < all.size(); ++c) {
      const std::size_t turn = caller + round;
      const std::size_t call = (c + turn) % all.size();
      const std::size_t isa = turn / 2 % expected.size();
      const auto found = all[call](on_isa(isa, kThreads[(turn + c) % std::size(kThreads)]));
      different += same_bits(found, expected[isa][call]) ? 0 : 1;
    }
  }
  return different;
}

TEST(ConcurrentCallers, GetTheBitsThatEachGetsAlone) {
  const std::vector<Call> all = calls();
  std::vector<std::vector<Tensor<float>>> expected(kernel_isas().size());
  for (std::size_t isa = 0; isa < expected.size(); ++isa) {
    for (const Call& call : all) {
      expected[isa].push_back(call(on_isa(isa, 1)));
    }
  }
  std::latch start(kCallers);
  std::vector<int> different(kCallers, 0);
  std::vector<std::thread> callers;
  for (std::size_t caller = 0; caller < kCallers; ++caller) {
    callers.emplace_back([&, caller] {
      start.arrive_and_wait();
      different[caller] = count_different(all, expected, caller);
    });
  }
  for (std::thread& caller : callers) {
    caller.join();
  }
  for (std::size_t caller = 0; caller < kCallers; ++caller) {
    EXPECT_EQ(different[caller], 0) << "caller " << caller;
  }
}

}  // namespace
}  // namespace attention::tests
