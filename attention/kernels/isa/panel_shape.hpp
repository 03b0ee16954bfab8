#pragma once

#include <attention/kernels/isa/simd.hpp>
#include <attention/kernels/sdpa_args.hpp>

/// Private to the sources of the instruction sets: the shape of the work.
///
/// A panel is kPanel rows (queries of sdpa, rows of x of linear), one to a lane. Its arrays are
/// "lane rows" of kPanel floats: queries[d] (that is, q^T), scores[n] for key n of a block, out[d].
/// So a key is a scalar that is broadcast to all queries, whatever its strides; maximum and sum run
/// down the keys, lane by lane, and no horizontal sum is ever needed.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int kGroup = 4;  // vectors of queries in a register tile: there are 32 registers
#else
inline constexpr int kGroup = 2;  // there are 16
#endif
inline constexpr int kVectors = 4;  // of queries in a panel
inline constexpr int kTile = 6;     // keys, or value columns, in a register tile
inline constexpr int kPanel = kVectors * kLanes;
static_assert(kPanel <= kMaxPanel);
inline constexpr Index kBlock = 128;  // keys in a block; blocks start at multiples of it

/// Vectors whose keys end together: one, or a group where a panel has several groups.
inline constexpr int kStep = kGroup == kVectors ? 1 : kGroup;

/// Calls body.operator()<count>(n) for tiles that cover [begin, end): of kTile, and at the end of
/// as many as keep the multipliers busy, for a tile of one or two would wait for its own sums.
template <class Body>
ATTENTION_INLINE void for_each_tile(Index begin, Index end, const Body& body) {
  static_assert(kTile == 6);
  Index n = begin;
  for (; end - n > 8 || end - n == 6; n += 6) {
    body.template operator()<6>(n);
  }
  if (end - n > 6) {  // 8 as 4 + 4, 7 as 4 + 3
    body.template operator()<4>(n);
    n += 4;
  }
  switch (end - n) {
    case 5:
      body.template operator()<5>(n);
      break;
    case 4:
      body.template operator()<4>(n);
      break;
    case 3:
      body.template operator()<3>(n);
      break;
    case 2:
      body.template operator()<2>(n);
      break;
    case 1:
      body.template operator()<1>(n);
      break;
    default:
      break;
  }
}

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
