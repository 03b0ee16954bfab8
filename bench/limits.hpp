#pragma once

#include <chrono>
#include <cstddef>
#include <span>

#include "bench/limit_loops.hpp"

/// The limits of this machine that attention is measured against.
namespace attention::bench {

using Seconds = std::chrono::duration<double>;

/// Operations a second that this many threads reach together within the time.
double arithmetic_rate(const ArithmeticLoop& loop, int threads, Seconds time);

/// Bytes a second that the threads read together, each its part of the memory, over and over within
/// the time (once at least): what fits into caches is read from there.
double read_rate(const ReadLoop& loop, std::span<const std::byte> memory, int threads,
                 Seconds time);

/// The same for memory far beyond the caches, in huge pages where the system gives them: the best
/// of the rounds. 0 if there is not so much memory.
double main_memory_read_rate(const ReadLoop& loop, int threads, int rounds);

}  // namespace attention::bench
