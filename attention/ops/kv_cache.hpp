#pragma once

#include <cstdint>

#include <attention/core/export.hpp>
#include <attention/core/tensor.hpp>

namespace attention {

/// The sizes of a KvCache.
struct KvCacheSize {
  std::int64_t B = 1;
  std::int64_t Hkv = 1;
  std::int64_t D = 0;
  std::int64_t Dv = 0;
};

/// The keys and values of the positions that were seen up to now, for decoding one step after the
/// other. Those of one head lie contiguous; the memory grows by doubling, so that a step costs O(1)
/// copies on average.
///
///   KvCache<float> cache({.B = 1, .Hkv = 8, .D = 64, .Dv = 64});
///   cache.append(k, v);                                           // (1, 8, L, 64) each
///   sdpa(q, cache.keys(), cache.values(), {.causal = true, .alignment =
///   Alignment::bottom_right()});
///
/// Element types: float, double, float16, bfloat16. With a 16-bit type a cache takes half of the
/// memory, and decoding half of the time where memory is what limits it.
///
/// See also: sdpa; prefill_multiple.
template <class T>
class ATTENTION_API KvCache {
 public:
  /// Empty, with room for `capacity` positions. Throws Error when a size or the capacity is
  /// negative.
  explicit KvCache(const KvCacheSize& size, std::int64_t capacity = 0);

  /// Adds n positions: k (B, Hkv, n, D), v (B, Hkv, n, Dv), of any strides and of any floating
  /// element type, rounded to T. They may be views of the cache itself.
  ///
  /// Throws Error when a shape does not fit or an element type is not a floating one; the cache is
  /// then as it was, as it is when memory runs out.
  void append(const AnyView& k, const AnyView& v);

  /// (B, Hkv, length, D) and (B, Hkv, length, Dv), in place: valid until the cache grows.
  TensorView<const T> keys() const noexcept;
  TensorView<const T> values() const noexcept;

  std::int64_t length() const noexcept { return length_; }
  /// Positions for which there is room without new memory.
  std::int64_t capacity() const noexcept { return capacity_; }
  const KvCacheSize& size() const noexcept { return size_; }

  /// Makes room for `capacity` positions at least. Throws Error when it is negative.
  void reserve(std::int64_t capacity);
  /// Forgets the positions from `length` on. Throws Error unless it lies in [0, length()].
  void truncate(std::int64_t length);

 private:
  KvCacheSize size_;
  std::int64_t length_ = 0;
  std::int64_t capacity_ = 0;
  Tensor<T> keys_;    // (B, Hkv, capacity, D)
  Tensor<T> values_;  // (B, Hkv, capacity, Dv)
};

}  // namespace attention
