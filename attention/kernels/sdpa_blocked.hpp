#pragma once

#include <cstddef>
#include <cstdint>

#include <attention/core/sdpa_problem.hpp>

/// Private: the fast loops. Called by ops with checked problems; knows pointers, strides and sizes.
namespace attention::kernels {

/// Queries that go through the keys together, one per lane.
inline constexpr std::int64_t kSdpaBlockedQueries = 16;

/// Bytes of scratch for one panel of queries: O(D + Dv), whatever L and S.
std::size_t sdpa_blocked_scratch(std::int64_t D, std::int64_t Dv) noexcept;

/// Attention of queries [i_begin, i_begin + count) of head h in batch entry b, count <=
/// kSdpaBlockedQueries, in one pass over blocks of keys with the online softmax, in float32; a
/// second pass writes the weights if they are wanted.
///
/// The same passes as reference/sdpa.cpp, a block of keys at a time: scores; maximum and sum;
/// weighted values. What the earlier blocks summed is rescaled when the maximum grows. Source:
/// Milakov and Gimelshein 2018, "Online normalizer calculation for softmax"; Dao et al. 2022,
/// "FlashAttention", section 3.1.
///
/// `scratch` is aligned to 64 bytes. Instantiated for float, float16 and bfloat16.
template <class T>
void sdpa_blocked(const SdpaProblem<T>& problem, std::int64_t b, std::int64_t h,
                  std::int64_t i_begin, std::int64_t count, std::byte* scratch) noexcept;

}  // namespace attention::kernels
