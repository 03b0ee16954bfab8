// The limits of this machine that bench/peers compares with: the peak of float32 fused multiply-add
// in GFLOP/s, and the bandwidth of reading memory in GB/s, on the best instruction set of the CPU.
//   bench_fma_peak THREADS [--fma-only]      prints one JSON object

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string_view>
#include <vector>

#include "bench/limits.hpp"

namespace bench = attention::bench;

int main(int argc, char** argv) {
  constexpr int kRounds = 5;
  constexpr bench::Seconds kTime{0.1};
  const std::vector<std::string_view> arguments(argv + 1, argv + argc);
  const bool fma_only = arguments.size() == 2 && arguments[1] == "--fma-only";
  const int threads = arguments.empty() ? 0 : std::atoi(argv[1]);
  if (threads < 1 || threads > 256 || (arguments.size() > 1 && !fma_only)) {
    std::cerr << "usage: bench_fma_peak THREADS [--fma-only]\n";
    return 2;
  }
  const bench::ArithmeticLoop loop = bench::multiply_add_loops().back();
  double peak = 0.0;
  for (int round = 0; round < kRounds; ++round) {
    peak = std::max(peak, bench::arithmetic_rate(loop, threads, kTime));
  }
  std::cout << R"({"isa": ")" << loop.isa << R"(", "threads": )" << threads << R"(, "fma_gflops": )"
            << peak * 1e-9;
  if (!fma_only) {
    std::cout << R"(, "read_gb_per_s": )"
              << bench::main_memory_read_rate(bench::read_loop(), threads, kRounds) * 1e-9;
  }
  std::cout << "}\n";
  return 0;
}
