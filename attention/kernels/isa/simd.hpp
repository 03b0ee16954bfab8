#pragma once

#include <attention/kernels/sdpa_args.hpp>

/// Private to the sources that are compiled once for each instruction set: a small vocabulary of
/// vectors of float. ATTENTION_KERNEL_ISA, which the build defines, names the instruction set and
/// the namespace; everything in it has internal linkage.
///
///   Vec, Mask             kLanes floats; one truth value for each lane
///   load, store           of any alignment
///   fma(a, b, c)          a * b + c; rounded once where the instruction set can
///   max(a, b)             b if either is NaN
///   mask_of, bits_of      bit l belongs to lane l
///   select(m, a, b)       a where m is true, else b
///   fraction(x)           x - floor(x) (0 for infinities)
///   times_exp2_floor(a, x)  a * 2^floor(x), x <= 127; 0 for x = -inf; NaN if a is NaN
///   load_converted, store_converted   kLanes elements of float or of a 16-bit type
///   load_pair(p, x)       2 kLanes elements, in the order of two vectors that is quickest for
///   their
///                         type; to_pair_order(p, x), from_pair_order(p, x) from and to natural
///                         order
///   transpose             of kLanes vectors
///   sums_of_lanes(x)      lane n: the sum of the lanes of x[n]; of Vec, of Wide
///   bits_of_64_bytes      of bytes that are 0 or 1
///   set1_pair, pairs_of, interleave, any_denormal, first_of_pairs, second_of_pairs   where the
///   instruction set multiplies
///                         pairs (__AVX512BF16__): a lane as two bfloat16, rounded to nearest, ties
///                         to even, where denormals become 0; pairs_of_bfloat16: of what needs no
///                         rounding, denormals stay
///   fma_pairs(a, b, c)    c + a.second * b.second + a.first * b.first, rounded after each sum;
///                         denormals are taken for 0
///   Words                 kLanes integers of 32 bits; load_words, set1_words; less(a, b) as a Mask
///   products(a, b)        the high and the low halves of a * b; exclusive_or of three
///   Wide, widened, load_wide   kLanes / 2 doubles, from as many floats or doubles; + and -
///   store_rounded(p, x)   a Wide as floats
#define ATTENTION_INLINE inline __attribute__((always_inline))

#if defined(__AVX512F__)
#include <attention/kernels/isa/simd/avx512.hpp>
#elif defined(__AVX2__)
#include <attention/kernels/isa/simd/avx2.hpp>
#elif defined(__aarch64__) && defined(ATTENTION_KERNEL_NEON)
#include <attention/kernels/isa/simd/neon.hpp>
#else
#include <attention/kernels/isa/simd/portable.hpp>
#endif

namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

using Index = std::int64_t;

inline constexpr float kInfinity = __builtin_inff();
inline constexpr float kLog2E = 0x1.715476p+0F;
inline constexpr float kLn2 = 0x1.62e430p-1F;

inline constexpr std::uint32_t kAllLanes = (std::uint32_t{1} << kLanes) - 1;

ATTENTION_INLINE Index least(Index a, Index b) {
  return a < b ? a : b;
}
ATTENTION_INLINE Index largest(Index a, Index b) {
  return a < b ? b : a;
}

template <class T>
ATTENTION_INLINE void load_pair(const T* p, Vec (&x)[2]) {
  x[0] = load_converted(p);
  x[1] = load_converted(p + kLanes);
}
template <class T>
ATTENTION_INLINE void to_pair_order(const T* /*type*/, Vec (& /*x*/)[2]) {}
template <class T>
ATTENTION_INLINE void from_pair_order(const T* /*type*/, Vec (& /*x*/)[2]) {}

/// Replaces each x <= 127 by 2^x; exactly 1 for 0, 0 for -inf, NaN for NaN.
///
/// 2^x = 2^floor(x) 2^f with f in [0, 1); 2^f by a polynomial of degree 5 whose constant is 1 and
/// whose relative error is at most 8.3e-8 (minimax, by linear programming), 1.5e-7 with its
/// roundings. Step by step for all of x: a chain of dependent steps leaves the processor waiting.
template <int kCount>
ATTENTION_INLINE void exp2(Vec (&x)[kCount]) {
  Vec f[kCount];
  Vec p[kCount];
  const auto step = [&](float constant) __attribute__((always_inline)) {
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) {
      p[i] = fma(p[i], f[i], set1(constant));
    }
  };
#pragma GCC unroll 8
  for (int i = 0; i < kCount; ++i) {
    f[i] = fraction(x[i]);
    p[i] = set1(0x1.e974fcp-10F);
  }
  step(0x1.277854p-7F);
  step(0x1.c91ce6p-5F);
  step(0x1.ebdb56p-3F);
  step(0x1.62e4bap-1F);
  step(1.0F);
#pragma GCC unroll 8
  for (int i = 0; i < kCount; ++i) {
    x[i] = times_exp2_floor(p[i], x[i]);
  }
}
ATTENTION_INLINE Vec exp2(Vec x) {
  Vec one[1] = {x};
  exp2(one);
  return one[0];
}

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
