#include "bench/limit_loops.hpp"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace attention::bench {
namespace {

// A multiply-add has a latency of 4 or 5 cycles and two start each cycle: 10 independent chains
// keep the units busy. The 12 chains and their two operands also fit into the 16 registers of AVX2.
constexpr int kChains = 12;
// Multiply-adds of each chain in one call: some ten microseconds.
constexpr std::int64_t kSteps = 8192;
// Where the chains start: all at different numbers, else a compiler sees that they are one chain.
constexpr std::array<float, kChains> kStarts = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

/// The operations of one call of a loop whose registers take so many multiply-adds.
constexpr double operations_of(int multiply_adds) {
  return 2.0 * kChains * static_cast<double>(kSteps) * multiply_adds;
}

using Float4 __attribute__((vector_size(16))) = float;
using Long2 __attribute__((vector_size(16))) = long long;

// The compiler fuses the two operations where the baseline of the machine has such an instruction
// (see CMakeLists.txt).
float multiply_add_portable(float factor, float addend) {
  const Float4 a = {factor, factor, factor, factor};
  const Float4 b = {addend, addend, addend, addend};
  Float4 c0 = b * kStarts[0], c1 = b * kStarts[1], c2 = b * kStarts[2], c3 = b * kStarts[3],
         c4 = b * kStarts[4], c5 = b * kStarts[5];
  Float4 c6 = b * kStarts[6], c7 = b * kStarts[7], c8 = b * kStarts[8], c9 = b * kStarts[9],
         c10 = b * kStarts[10], c11 = b * kStarts[11];
  for (std::int64_t step = 0; step < kSteps; ++step) {
    c0 = c0 * a + b, c1 = c1 * a + b, c2 = c2 * a + b, c3 = c3 * a + b;
    c4 = c4 * a + b, c5 = c5 * a + b, c6 = c6 * a + b, c7 = c7 * a + b;
    c8 = c8 * a + b, c9 = c9 * a + b, c10 = c10 * a + b, c11 = c11 * a + b;
  }
  const Float4 sum = c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7 + c8 + c9 + c10 + c11;
  return sum[0] + sum[1] + sum[2] + sum[3];
}

// The read loops combine integers by exclusive or: whatever the bytes are, they are no slow floats.
[[maybe_unused]] std::uint64_t read_portable(std::span<const std::byte> memory) {
  std::array<Long2, 8> sums = {};
  for (std::size_t i = 0; i < memory.size(); i += 128) {
    for (std::size_t j = 0; j < sums.size(); ++j) {
      Long2 x;
      std::memcpy(&x, memory.data() + i + 16 * j, sizeof x);
      sums[j] ^= x;
    }
  }
  std::uint64_t total = 0;
  for (const Long2& sum : sums) {
    total ^= static_cast<std::uint64_t>(sum[0] ^ sum[1]);
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

__attribute__((target("avx2,fma"))) float multiply_add_avx2(float factor, float addend) {
  const __m256 a = _mm256_set1_ps(factor);
  const __m256 b = _mm256_set1_ps(addend);
  __m256 c0 = _mm256_set1_ps(kStarts[0]), c1 = _mm256_set1_ps(kStarts[1]),
         c2 = _mm256_set1_ps(kStarts[2]), c3 = _mm256_set1_ps(kStarts[3]),
         c4 = _mm256_set1_ps(kStarts[4]), c5 = _mm256_set1_ps(kStarts[5]);
  __m256 c6 = _mm256_set1_ps(kStarts[6]), c7 = _mm256_set1_ps(kStarts[7]),
         c8 = _mm256_set1_ps(kStarts[8]), c9 = _mm256_set1_ps(kStarts[9]),
         c10 = _mm256_set1_ps(kStarts[10]), c11 = _mm256_set1_ps(kStarts[11]);
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

__attribute__((target("avx2"))) std::uint64_t read_avx2(std::span<const std::byte> memory) {
  __m256i c0 = _mm256_setzero_si256(), c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0,
          c7 = c0;
  for (std::size_t i = 0; i < memory.size(); i += 256) {
    const auto* const p = reinterpret_cast<const __m256i*>(memory.data() + i);
    c0 ^= _mm256_loadu_si256(p + 0);
    c1 ^= _mm256_loadu_si256(p + 1);
    c2 ^= _mm256_loadu_si256(p + 2);
    c3 ^= _mm256_loadu_si256(p + 3);
    c4 ^= _mm256_loadu_si256(p + 4);
    c5 ^= _mm256_loadu_si256(p + 5);
    c6 ^= _mm256_loadu_si256(p + 6);
    c7 ^= _mm256_loadu_si256(p + 7);
  }
  std::array<std::uint64_t, 4> lanes = {};
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes.data()),
                      c0 ^ c1 ^ c2 ^ c3 ^ c4 ^ c5 ^ c6 ^ c7);
  std::uint64_t total = 0;
  for (const std::uint64_t lane : lanes) {
    total ^= lane;
  }
  return total;
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

__attribute__((target("avx512f"))) float multiply_add_avx512(float factor, float addend) {
  const __m512 a = _mm512_set1_ps(factor);
  const __m512 b = _mm512_set1_ps(addend);
  __m512 c0 = _mm512_set1_ps(kStarts[0]), c1 = _mm512_set1_ps(kStarts[1]),
         c2 = _mm512_set1_ps(kStarts[2]), c3 = _mm512_set1_ps(kStarts[3]),
         c4 = _mm512_set1_ps(kStarts[4]), c5 = _mm512_set1_ps(kStarts[5]);
  __m512 c6 = _mm512_set1_ps(kStarts[6]), c7 = _mm512_set1_ps(kStarts[7]),
         c8 = _mm512_set1_ps(kStarts[8]), c9 = _mm512_set1_ps(kStarts[9]),
         c10 = _mm512_set1_ps(kStarts[10]), c11 = _mm512_set1_ps(kStarts[11]);
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

__attribute__((target("avx512f,avx512bf16"))) float dot_bf16(float factor, float addend) {
  const __m512bh a = _mm512_cvtne2ps_pbh(_mm512_set1_ps(factor), _mm512_set1_ps(factor));
  const __m512bh b = _mm512_cvtne2ps_pbh(_mm512_set1_ps(addend), _mm512_set1_ps(addend));
  __m512 c0 = _mm512_set1_ps(kStarts[0]), c1 = _mm512_set1_ps(kStarts[1]),
         c2 = _mm512_set1_ps(kStarts[2]), c3 = _mm512_set1_ps(kStarts[3]),
         c4 = _mm512_set1_ps(kStarts[4]), c5 = _mm512_set1_ps(kStarts[5]);
  __m512 c6 = _mm512_set1_ps(kStarts[6]), c7 = _mm512_set1_ps(kStarts[7]),
         c8 = _mm512_set1_ps(kStarts[8]), c9 = _mm512_set1_ps(kStarts[9]),
         c10 = _mm512_set1_ps(kStarts[10]), c11 = _mm512_set1_ps(kStarts[11]);
  for (std::int64_t step = 0; step < kSteps; ++step) {
    c0 = _mm512_dpbf16_ps(c0, a, b);
    c1 = _mm512_dpbf16_ps(c1, a, b);
    c2 = _mm512_dpbf16_ps(c2, a, b);
    c3 = _mm512_dpbf16_ps(c3, a, b);
    c4 = _mm512_dpbf16_ps(c4, a, b);
    c5 = _mm512_dpbf16_ps(c5, a, b);
    c6 = _mm512_dpbf16_ps(c6, a, b);
    c7 = _mm512_dpbf16_ps(c7, a, b);
    c8 = _mm512_dpbf16_ps(c8, a, b);
    c9 = _mm512_dpbf16_ps(c9, a, b);
    c10 = _mm512_dpbf16_ps(c10, a, b);
    c11 = _mm512_dpbf16_ps(c11, a, b);
  }
  return total_of(c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7 + c8 + c9 + c10 + c11);
}

__attribute__((target("avx512f"))) std::uint64_t read_avx512(std::span<const std::byte> memory) {
  __m512i c0 = _mm512_setzero_si512(), c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0,
          c7 = c0;
  for (std::size_t i = 0; i < memory.size(); i += 512) {
    const auto* const p = reinterpret_cast<const __m512i*>(memory.data() + i);
    c0 ^= _mm512_loadu_si512(p + 0);
    c1 ^= _mm512_loadu_si512(p + 1);
    c2 ^= _mm512_loadu_si512(p + 2);
    c3 ^= _mm512_loadu_si512(p + 3);
    c4 ^= _mm512_loadu_si512(p + 4);
    c5 ^= _mm512_loadu_si512(p + 5);
    c6 ^= _mm512_loadu_si512(p + 6);
    c7 ^= _mm512_loadu_si512(p + 7);
  }
  std::array<std::uint64_t, 8> lanes = {};
  _mm512_storeu_si512(reinterpret_cast<__m512i*>(lanes.data()),
                      c0 ^ c1 ^ c2 ^ c3 ^ c4 ^ c5 ^ c6 ^ c7);
  std::uint64_t total = 0;
  for (const std::uint64_t lane : lanes) {
    total ^= lane;
  }
  return total;
}

bool has_avx2() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

bool has_avx512() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f");
}
#endif

}  // namespace

std::vector<ArithmeticLoop> multiply_add_loops() {
  std::vector<ArithmeticLoop> loops = {
      {.isa = "portable", .operations = operations_of(4), .run = multiply_add_portable}};
#if defined(__x86_64__)
  if (has_avx2()) {
    loops.push_back({.isa = "avx2", .operations = operations_of(8), .run = multiply_add_avx2});
  }
  if (has_avx512()) {
    loops.push_back({.isa = "avx512", .operations = operations_of(16), .run = multiply_add_avx512});
  }
#endif
  return loops;
}

std::optional<ArithmeticLoop> bf16_dot_loop() {
#if defined(__x86_64__)
  if (has_avx512() && __builtin_cpu_supports("avx512bf16")) {
    return ArithmeticLoop{.isa = "avx512_bf16", .operations = operations_of(32), .run = dot_bf16};
  }
#endif
  return std::nullopt;
}

ReadLoop read_loop() {
#if defined(__x86_64__)
  if (has_avx512()) {
    return {.isa = "avx512", .run = read_avx512};
  }
  if (has_avx2()) {
    return {.isa = "avx2", .run = read_avx2};
  }
#endif
  return {.isa = "portable", .run = read_portable};
}

}  // namespace attention::bench
