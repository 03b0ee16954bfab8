#include "bench/limits.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

namespace attention::bench {
namespace {

using Clock = std::chrono::steady_clock;

// Operands that the compiler cannot know and a place for results that it cannot drop. The chains
// converge to 2.
volatile float g_factor = 0.5F;
volatile float g_addend = 1.0F;
std::atomic<float> g_sum = 0.0F;
std::atomic<std::uint64_t> g_bits = 0;

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

/// Calls work() until the time has passed, once at least; returns calls a second.
template <typename Work>
double calls_per_second(Seconds time, const Work& work) {
  const auto start = Clock::now();
  std::int64_t calls = 0;
  Seconds passed{0};
  do {
    work();
    ++calls;
    passed = Clock::now() - start;
  } while (passed < time);
  return static_cast<double>(calls) / passed.count();
}

/// The part of the memory that one of the threads reads.
std::span<const std::byte> part_of(std::span<const std::byte> memory, int thread, int threads) {
  const std::size_t size =
      memory.size() / static_cast<std::size_t>(threads) / kReadBlock * kReadBlock;
  return memory.subspan(size * static_cast<std::size_t>(thread), size);
}

struct Free {
  void operator()(std::byte* memory) const { std::free(memory); }
};

/// Bytes far beyond the caches, within what most machines can spare.
std::size_t bytes_beyond_caches() {
  constexpr std::size_t kMiB = std::size_t{1} << 20;
  const std::int64_t cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
  const std::size_t wanted = 8 * static_cast<std::size_t>(std::max<std::int64_t>(cache, 0));
  return std::clamp(wanted, 512 * kMiB, 2048 * kMiB);
}

}  // namespace

double arithmetic_rate(const ArithmeticLoop& loop, int threads, Seconds time) {
  return loop.operations * sum_of_rates(threads, [&](int /*thread*/) {
           float sum = 0.0F;
           const double calls =
               calls_per_second(time, [&] { sum += loop.run(g_factor, g_addend); });
           g_sum.store(sum);
           return calls;
         });
}

double read_rate(const ReadLoop& loop, std::span<const std::byte> memory, int threads,
                 Seconds time) {
  return sum_of_rates(threads, [&](int thread) {
    const std::span<const std::byte> part = part_of(memory, thread, threads);
    std::uint64_t bits = 0;
    const double calls = calls_per_second(time, [&] { bits ^= loop.run(part); });
    g_bits.store(bits);
    return calls * static_cast<double>(part.size());
  });
}

double main_memory_read_rate(const ReadLoop& loop, int threads, int rounds) {
  constexpr std::size_t kHugePage = std::size_t{1} << 21;
  const auto count = static_cast<std::size_t>(threads);
  const std::size_t slice = bytes_beyond_caches() / count / kHugePage * kHugePage;
  const std::size_t total = slice * count;
  const std::unique_ptr<std::byte, Free> buffer(
      static_cast<std::byte*>(std::aligned_alloc(kHugePage, total)));
  if (!buffer) {
    return 0.0;
  }
  // Without huge pages the page walks are measured too. Only advice: where it is refused, the
  // figure is lower.
  madvise(buffer.get(), total, MADV_HUGEPAGE);
  // Each thread writes what it is going to read, so that the pages lie close to it.
  sum_of_rates(threads, [&](int thread) {
    std::memset(buffer.get() + slice * static_cast<std::size_t>(thread), 1, slice);
    return 0.0;
  });
  double best = 0.0;
  for (int round = 0; round < rounds; ++round) {
    best = std::max(best, read_rate(loop, {buffer.get(), total}, threads, Seconds{0}));
  }
  return best;
}

}  // namespace attention::bench
