#include <algorithm>
#include <functional>
#include <thread>
#include <utility>

#include <attention/core/isa.hpp>
#include <attention/ops/kernel_isas.hpp>

#include "bench/report.hpp"

namespace attention::bench {

Machine this_machine(std::string commit) {
#if defined(__clang__)
  const std::string compiler = std::string("clang++ ") + __clang_version__;
#else
  const std::string compiler = std::string("g++ ") + __VERSION__;
#endif
  return {.cpu = cpu_name(),
          .isa = std::string(name_of(default_kernel_isa())),
          .compiler = compiler.substr(0, compiler.find(" (")),
          .commit = std::move(commit),
          .processors = static_cast<int>(std::thread::hardware_concurrency())};
}

std::vector<MachineLimit> measured_limits(const Settings& settings) {
  const auto best_of_rounds = [&](const std::function<double()>& rate) {
    double best = 0.0;
    for (int round = 0; round < settings.rounds; ++round) {
      best = std::max(best, rate());
    }
    return best;
  };
  std::vector<ArithmeticLoop> loops = multiply_add_loops();
  const auto float32_loops = loops.size();
  if (const auto dot = bf16_dot_loop()) {
    loops.push_back(*dot);
  }
  std::vector<MachineLimit> limits;
  for (std::size_t i = 0; i < loops.size(); ++i) {
    const std::string what = i < float32_loops ? "float32 FMA, " : "bf16 dot, ";
    for (const int threads : thread_counts()) {
      limits.push_back({.name = what + std::string(loops[i].isa),
                        .threads = threads,
                        .rate = best_of_rounds(peak_of(loops[i], threads, settings.limit_time))});
    }
  }
  for (const int threads : thread_counts()) {
    limits.push_back({.name = "read memory",
                      .threads = threads,
                      .rate = main_memory_read_rate(read_loop(), threads, settings.rounds),
                      .of_bytes = true});
  }
  return limits;
}

}  // namespace attention::bench
