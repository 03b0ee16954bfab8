// The speed of sdpa and linear by path, as GFLOP/s: 4 B H L S D operations, half of them if causal.

#include <cstdint>
#include <vector>

#include <benchmark/benchmark.h>

#include <attention/core/isa.hpp>
#include <attention/core/parallel.hpp>
#include <attention/core/random.hpp>
#include <attention/ops/linear.hpp>
#include <attention/ops/sdpa.hpp>

namespace attention {
namespace {

constexpr std::int64_t kHeads = 8;

Tensor<float> drawn(const Shape& shape, std::uint64_t seed) {
  random::Generator generator(seed);
  Tensor<float> tensor(shape);
  random::normal(tensor, 0.0, 1.0, generator);
  return tensor;
}

void set_gflops(benchmark::State& state, double operations) {
  state.counters["GFLOP/s"] =
      benchmark::Counter(operations * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

/// Arguments: L = S, D, causal, threads.
void sdpa_on(benchmark::State& state, Path path) {
  const std::int64_t L = state.range(0);
  const std::int64_t D = state.range(1);
  const bool causal = state.range(2) != 0;
  const Tensor<float> q = drawn({1, kHeads, L, D}, 1);
  const Tensor<float> k = drawn({1, kHeads, L, D}, 2);
  const Tensor<float> v = drawn({1, kHeads, L, D}, 3);
  Tensor<float> out({1, kHeads, L, D});
  const Execution execution{.path = path, .threads = static_cast<int>(state.range(3))};
  const SdpaOptions options{.causal = causal, .execution = execution};
  std::vector<std::byte> workspace(sdpa_workspace_size(
      {.H = kHeads, .Hkv = kHeads, .L = L, .S = L, .D = D, .Dv = D}, execution));
  for ([[maybe_unused]] auto iteration : state) {
    sdpa_into({.out = out}, q, k, v, options, workspace);
    benchmark::DoNotOptimize(out.data());
  }
  const auto cells = static_cast<double>(causal ? L * (L + 1) / 2 : L * L);
  set_gflops(state, 4.0 * kHeads * cells * static_cast<double>(D));
}

/// Arguments: rows, features in and out, threads.
void linear_on(benchmark::State& state, Path path) {
  const std::int64_t rows = state.range(0);
  const std::int64_t features = state.range(1);
  const Tensor<float> x = drawn({rows, features}, 1);
  const Tensor<float> weight = drawn({features, features}, 2);
  Tensor<float> out({rows, features});
  const Execution execution{.path = path, .threads = static_cast<int>(state.range(2))};
  std::vector<std::byte> workspace(linear_workspace_size(features, DType::float32, execution));
  for ([[maybe_unused]] auto iteration : state) {
    linear_into(out, x, weight, {}, execution, workspace);
    benchmark::DoNotOptimize(out.data());
  }
  set_gflops(state, 2.0 * static_cast<double>(rows * features * features));
}

BENCHMARK_CAPTURE(sdpa_on, fused, Path::fused)
    ->ArgNames({"L", "D", "causal", "threads"})
    ->ArgsProduct({{128, 512, 2048}, {64}, {0, 1}, {1, 2}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(sdpa_on, reference, Path::reference)
    ->ArgNames({"L", "D", "causal", "threads"})
    ->ArgsProduct({{128, 512}, {64}, {0}, {1}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(linear_on, fused, Path::fused)
    ->ArgNames({"rows", "features", "threads"})
    ->ArgsProduct({{512}, {768}, {1, 2}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace attention

int main(int argc, char** argv) {
  benchmark::AddCustomContext("attention_cpu", attention::cpu_name());
  benchmark::AddCustomContext("attention_isa",
                              std::string(attention::name_of(attention::Isa::portable)));
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
