// The limits of this machine that attention is measured against: the peak of float32 fused
// multiply-add in GFLOP/s, and the bandwidth of reading memory in GB/s, on the best instruction set
// of the CPU.
//   bench_fma_peak THREADS [--fma-only]      prints one JSON object

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRounds = 5;
constexpr auto kFmaTime = std::chrono::milliseconds(100);
// A multiply-add has a latency of 4 or 5 cycles and two start each cycle: 10 independent chains
// keep the units busy. The 12 chains and their two operands also fit into the 16 registers of AVX2.
constexpr int kChains = 12;
// Multiply-adds of each chain between two looks at the clock: some ten microseconds.
constexpr std::int64_t kSteps = 8192;

/// Where the chains start: all at different numbers, else a compiler sees that they are one chain.
using Starts = std::array<float, kChains>;

/// One instruction set: how many floats a register holds, and the two loops.
struct Kernel {
  std::string_view isa;
  int lanes;
  /// Runs kSteps multiply-adds of every chain; the returned sum keeps the compiler from dropping
  /// them.
  float (*multiply_add)(const Starts& starts, float factor, float addend);
  /// Reads every float; the size is a multiple of kReadBlock.
  float (*read)(std::span<const float> values);
};

// Floats that one turn of a read loop takes: eight of the widest registers.
constexpr std::size_t kReadBlock = 128;

using Vec4 __attribute__((vector_size(16))) = float;

// The compiler fuses the two operations where the baseline of the machine has such an instruction
// (see CMakeLists.txt).
float multiply_add_portable(const Starts& s, float factor, float addend) {
  const Vec4 a = {factor, factor, factor, factor};
  const Vec4 b = {addend, addend, addend, addend};
  Vec4 c0 = b * s[0], c1 = b * s[1], c2 = b * s[2], c3 = b * s[3], c4 = b * s[4], c5 = b * s[5];
  Vec4 c6 = b * s[6], c7 = b * s[7], c8 = b * s[8], c9 = b * s[9], c10 = b * s[10], c11 = b * s[11];
  for (std::int64_t step = 0; step < kSteps; ++step) {
    c0 = c0 * a + b, c1 = c1 * a + b, c2 = c2 * a + b, c3 = c3 * a + b;
    c4 = c4 * a + b, c5 = c5 * a + b, c6 = c6 * a + b, c7 = c7 * a + b;
    c8 = c8 * a + b, c9 = c9 * a + b, c10 = c10 * a + b, c11 = c11 * a + b;
  }
  const Vec4 sum = c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7 + c8 + c9 + c10 + c11;
  return sum[0] + sum[1] + sum[2] + sum[3];
}

float read_portable(std::span<const float> values) {
  std::array<Vec4, kReadBlock / 4> sums = {};
  for (std::size_t i = 0; i < values.size(); i += kReadBlock) {
    for (std::size_t j = 0; j < sums.size(); ++j) {
      const float* const p = values.data() + i + 4 * j;
      sums[j] += Vec4{p[0], p[1], p[2], p[3]};
    }
  }
  float total = 0.0F;
  for (const Vec4& sum : sums) {
    total += sum[0] + sum[1] + sum[2] + sum[3];
  }
  return total;
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) float total_of(__m256 x) {
  std::array<float, 8> lanes = {};
  _mm256_storeu_ps(lanes.data(), x);
  float total = 0.0F;
  for (const float lane : lanes) {
    total += lane;
  }
  return total;
}

__attribute__((target("avx2,fma"))) float multiply_add_avx2(const Starts& s, float factor,
                                                            float addend) {
  const __m256 a = _mm256_set1_ps(factor);
  const __m256 b = _mm256_set1_ps(addend);
  __m256 c0 = _mm256_set1_ps(s[0]), c1 = _mm256_set1_ps(s[1]), c2 = _mm256_set1_ps(s[2]);
  __m256 c3 = _mm256_set1_ps(s[3]), c4 = _mm256_set1_ps(s[4]), c5 = _mm256_set1_ps(s[5]);
  __m256 c6 = _mm256_set1_ps(s[6]), c7 = _mm256_set1_ps(s[7]), c8 = _mm256_set1_ps(s[8]);
  __m256 c9 = _mm256_set1_ps(s[9]), c10 = _mm256_set1_ps(s[10]), c11 = _mm256_set1_ps(s[11]);
  for (std::int64_t step = 0; step < kSteps; ++step) {
    c0 = _mm256_fmadd_ps(c0, a, b);
    c1 = _mm256_fmadd_ps(c1, a, b);
    c2 = _mm256_fmadd_ps(c2, a, b);
    c3 = _mm256_fmadd_ps(c3, a, b);
    c4 = _mm256_fmadd_ps(c4, a, b);
    c5 = _mm256_fmadd_ps(c5, a, b);
    c6 = _mm256_fmadd_ps(c6, a, b);
    c7 = _mm256_fmadd_ps(c7, a, b);
    c8 = _mm256_fmadd_ps(c8, a, b);
    c9 = _mm256_fmadd_ps(c9, a, b);
    c10 = _mm256_fmadd_ps(c10, a, b);
    c11 = _mm256_fmadd_ps(c11, a, b);
  }
  return total_of(c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7 + c8 + c9 + c10 + c11);
}

__attribute__((target("avx2,fma"))) float read_avx2(std::span<const float> values) {
  __m256 c0 = _mm256_setzero_ps(), c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0, c7 = c0;
  for (std::size_t i = 0; i < values.size(); i += 64) {
    const float* const p = values.data() + i;
    c0 += _mm256_loadu_ps(p);
    c1 += _mm256_loadu_ps(p + 8);
    c2 += _mm256_loadu_ps(p + 16);
    c3 += _mm256_loadu_ps(p + 24);
    c4 += _mm256_loadu_ps(p + 32);
    c5 += _mm256_loadu_ps(p + 40);
    c6 += _mm256_loadu_ps(p + 48);
    c7 += _mm256_loadu_ps(p + 56);
  }
  return total_of(c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7);
}

__attribute__((target("avx512f"))) float total_of(__m512 x) {
  std::array<float, 16> lanes = {};
  _mm512_storeu_ps(lanes.data(), x);
  float total = 0.0F;
  for (const float lane : lanes) {
    total += lane;
  }
  return total;
}

__attribute__((target("avx512f"))) float multiply_add_avx512(const Starts& s, float factor,
                                                             float addend) {
  const __m512 a = _mm512_set1_ps(factor);
  const __m512 b = _mm512_set1_ps(addend);
  __m512 c0 = _mm512_set1_ps(s[0]), c1 = _mm512_set1_ps(s[1]), c2 = _mm512_set1_ps(s[2]);
  __m512 c3 = _mm512_set1_ps(s[3]), c4 = _mm512_set1_ps(s[4]), c5 = _mm512_set1_ps(s[5]);
  __m512 c6 = _mm512_set1_ps(s[6]), c7 = _mm512_set1_ps(s[7]), c8 = _mm512_set1_ps(s[8]);
  __m512 c9 = _mm512_set1_ps(s[9]), c10 = _mm512_set1_ps(s[10]), c11 = _mm512_set1_ps(s[11]);
  for (std::int64_t step = 0; step < kSteps; ++step) {
    c0 = _mm512_fmadd_ps(c0, a, b);
    c1 = _mm512_fmadd_ps(c1, a, b);
    c2 = _mm512_fmadd_ps(c2, a, b);
    c3 = _mm512_fmadd_ps(c3, a, b);
    c4 = _mm512_fmadd_ps(c4, a, b);
    c5 = _mm512_fmadd_ps(c5, a, b);
    c6 = _mm512_fmadd_ps(c6, a, b);
    c7 = _mm512_fmadd_ps(c7, a, b);
    c8 = _mm512_fmadd_ps(c8, a, b);
    c9 = _mm512_fmadd_ps(c9, a, b);
    c10 = _mm512_fmadd_ps(c10, a, b);
    c11 = _mm512_fmadd_ps(c11, a, b);
  }
  return total_of(c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7 + c8 + c9 + c10 + c11);
}

__attribute__((target("avx512f"))) float read_avx512(std::span<const float> values) {
  __m512 c0 = _mm512_setzero_ps(), c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0, c7 = c0;
  for (std::size_t i = 0; i < values.size(); i += 128) {
    const float* const p = values.data() + i;
    c0 += _mm512_loadu_ps(p);
    c1 += _mm512_loadu_ps(p + 16);
    c2 += _mm512_loadu_ps(p + 32);
    c3 += _mm512_loadu_ps(p + 48);
    c4 += _mm512_loadu_ps(p + 64);
    c5 += _mm512_loadu_ps(p + 80);
    c6 += _mm512_loadu_ps(p + 96);
    c7 += _mm512_loadu_ps(p + 112);
  }
  return total_of(c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7);
}
#endif

Kernel best_kernel() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) {
    return {
        .isa = "avx512f", .lanes = 16, .multiply_add = multiply_add_avx512, .read = read_avx512};
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return {.isa = "avx2+fma", .lanes = 8, .multiply_add = multiply_add_avx2, .read = read_avx2};
  }
#endif
  return {
      .isa = "portable", .lanes = 4, .multiply_add = multiply_add_portable, .read = read_portable};
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Calls work(thread) on each of the threads, which begin together; returns the sum of the rates
/// that they report.
template <typename Work>
double sum_of_rates(int threads, const Work& work) {
  std::atomic<int> ready = 0;
  std::vector<double> rates(static_cast<std::size_t>(threads));
  std::vector<std::thread> pool;
  pool.reserve(rates.size());
  for (int thread = 0; thread < threads; ++thread) {
    pool.emplace_back([&, thread] {
      ready.fetch_add(1);
      while (ready.load() < threads) {
        std::this_thread::yield();
      }
      rates[static_cast<std::size_t>(thread)] = work(thread);
    });
  }
  double sum = 0.0;
  for (int thread = 0; thread < threads; ++thread) {
    pool[static_cast<std::size_t>(thread)].join();
    sum += rates[static_cast<std::size_t>(thread)];
  }
  return sum;
}

constexpr Starts kStarts = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
// Operands that the compiler cannot know and a place for results that it cannot drop. The chains
// converge to 2.
volatile float g_factor = 0.5F;
volatile float g_addend = 1.0F;
volatile float g_sink = 0.0F;

double fma_gflops(const Kernel& kernel, int threads) {
  const auto rate_of = [&kernel](int /*thread*/) {
    const auto start = Clock::now();
    std::int64_t calls = 0;
    float sum = 0.0F;
    while (Clock::now() - start < kFmaTime) {
      sum += kernel.multiply_add(kStarts, g_factor, g_addend);
      ++calls;
    }
    const double seconds = seconds_since(start);
    g_sink = sum;
    return 2.0 * kChains * kernel.lanes * static_cast<double>(kSteps * calls) / seconds * 1e-9;
  };
  double best = 0.0;
  for (int round = 0; round < kRounds; ++round) {
    best = std::max(best, sum_of_rates(threads, rate_of));
  }
  return best;
}

struct Free {
  void operator()(float* memory) const { std::free(memory); }
};

/// Bytes far beyond the caches, within what most machines can spare.
std::size_t read_bytes() {
  constexpr std::size_t kMiB = std::size_t{1} << 20;
  const std::int64_t cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
  const std::size_t wanted = 8 * static_cast<std::size_t>(std::max<std::int64_t>(cache, 0));
  return std::clamp(wanted, 512 * kMiB, 2048 * kMiB);
}

double read_gb_per_s(const Kernel& kernel, int threads) {
  constexpr std::size_t kHugePage = std::size_t{1} << 21;
  const std::size_t slice =
      read_bytes() / static_cast<std::size_t>(threads) / kHugePage * kHugePage;
  const std::size_t floats = slice / sizeof(float);
  const std::size_t total = slice * static_cast<std::size_t>(threads);
  const std::unique_ptr<float, Free> buffer(
      static_cast<float*>(std::aligned_alloc(kHugePage, total)));
  if (!buffer) {
    return 0.0;
  }
  // Without huge pages the page walks are measured too. Only advice: where it is refused, the
  // figure is lower.
  madvise(buffer.get(), total, MADV_HUGEPAGE);
  const auto slice_of = [&](int thread) {
    return std::span(buffer.get() + floats * static_cast<std::size_t>(thread), floats);
  };
  // Each thread writes what it is going to read, so that the pages lie close to it.
  sum_of_rates(threads, [&](int thread) {
    std::ranges::fill(slice_of(thread), 1.0F);
    return 0.0;
  });
  const auto rate_of = [&](int thread) {
    const auto start = Clock::now();
    g_sink = kernel.read(slice_of(thread));
    return static_cast<double>(slice) / seconds_since(start) * 1e-9;
  };
  double best = 0.0;
  for (int round = 0; round < kRounds; ++round) {
    best = std::max(best, sum_of_rates(threads, rate_of));
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string_view> arguments(argv + 1, argv + argc);
  const bool fma_only = arguments.size() == 2 && arguments[1] == "--fma-only";
  const int threads = arguments.empty() ? 0 : std::atoi(argv[1]);
  if (threads < 1 || threads > 256 || (arguments.size() > 1 && !fma_only)) {
    std::cerr << "usage: bench_fma_peak THREADS [--fma-only]\n";
    return 2;
  }
  const Kernel kernel = best_kernel();
  std::cout << R"({"isa": ")" << kernel.isa << R"(", "threads": )" << threads
            << R"(, "fma_gflops": )" << fma_gflops(kernel, threads);
  if (!fma_only) {
    std::cout << R"(, "read_gb_per_s": )" << read_gb_per_s(kernel, threads);
  }
  std::cout << "}\n";
  return 0;
}
