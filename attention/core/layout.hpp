#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include <attention/core/export.hpp>

namespace attention {

/// The largest rank of a tensor.
inline constexpr int kMaxRank = 6;

/// Up to kMaxRank integers by value: the extents or the strides of a tensor. Never allocates.
class ATTENTION_API Dims {
 public:
  Dims() = default;
  /// Throws Error for more than kMaxRank values.
  Dims(std::initializer_list<std::int64_t> values);
  explicit Dims(std::span<const std::int64_t> values);

  int rank() const noexcept { return rank_; }
  std::int64_t operator[](int dim) const noexcept { return values_[static_cast<std::size_t>(dim)]; }
  std::int64_t& operator[](int dim) noexcept { return values_[static_cast<std::size_t>(dim)]; }
  const std::int64_t* begin() const noexcept { return values_.data(); }
  const std::int64_t* end() const noexcept { return values_.data() + rank_; }

  /// Adds one value at the end, or before position `dim`. Throws Error when the rank is kMaxRank.
  void push_back(std::int64_t value) { insert(rank_, value); }
  void insert(int dim, std::int64_t value);
  void erase(int dim) noexcept;

  friend bool operator==(const Dims& a, const Dims& b) noexcept {
    return a.rank_ == b.rank_ && a.values_ == b.values_;
  }

 private:
  int rank_ = 0;
  std::array<std::int64_t, kMaxRank> values_ = {};  // those past rank_ are 0
};

using Shape = Dims;
using Strides = Dims;

/// "(2, 4, 8)", "(3,)", "()": as NumPy and PyTorch print a shape.
ATTENTION_API std::string to_string(const Dims& dims);

/// The product of the extents: 1 for rank 0. Throws Error if an extent is negative or the product
/// overflows int64.
ATTENTION_API std::int64_t element_count(const Shape& shape);

/// Strides (in elements) of a dense row-major tensor.
ATTENTION_API Strides row_major_strides(const Shape& shape) noexcept;

/// Where the elements of a tensor lie: element (i, j, ...) is at i * strides[0] + j * strides[1] +
/// ... elements from the base. Strides may be negative (reversed) or 0 (broadcast).
struct ATTENTION_API Layout {
  Shape shape;
  Strides strides;

  int rank() const noexcept { return shape.rank(); }
  /// True when the elements lie dense in row-major order.
  bool is_contiguous() const noexcept;
  /// The lowest and the highest offset (in elements) of any element; {0, -1} when there is none.
  struct Extent {
    std::int64_t lowest;
    std::int64_t highest;
  };
  Extent extent() const noexcept;
  /// True when two different indices may name the same element: a stride of 0 over more than one
  /// element, or dimensions that interleave. Exact for slices, permutations and broadcasts of a
  /// dense tensor; otherwise errs to true.
  bool overlaps_itself() const noexcept;
};

/// A layout after a change of view, and how far its base moved, in elements.
struct ATTENTION_API LayoutView {
  Layout layout;
  std::int64_t offset = 0;
};

/// The views below throw Error naming the dimension, the rule and the shape. Negative `dim` counts
/// from the end.
ATTENTION_API LayoutView select(const Layout& layout, int dim, std::int64_t index);
/// `count` elements of `dim` from `start`.
ATTENTION_API LayoutView slice(const Layout& layout, int dim, std::int64_t start,
                               std::int64_t count);
/// `dim` from its last element to its first, by a negative stride.
ATTENTION_API LayoutView reverse(const Layout& layout, int dim);
/// Dimension i of the result is dimension order[i] of the source.
ATTENTION_API Layout permute(const Layout& layout, const Dims& order);
/// Exchanges two dimensions.
ATTENTION_API Layout transpose(const Layout& layout, int dim_a, int dim_b);
/// A new dimension of extent 1 before `dim` (`dim` = rank adds it last).
ATTENTION_API Layout unsqueeze(const Layout& layout, int dim);
/// Dimension `dim` in two: extents `outer` and extent / outer. The inverse of merging heads: (B, L,
/// E) -> (B, L, H, D).
ATTENTION_API Layout split(const Layout& layout, int dim, std::int64_t outer);
/// Dimensions `dim` and `dim` + 1 in one: (B, L, H, D) -> (B, L, E). Throws Error also when one
/// stride does not reach all of their elements: views never copy.
ATTENTION_API Layout merge(const Layout& layout, int dim);
/// NumPy's rule: right-aligned, extents of 1 (and missing ones) repeat by stride 0.
ATTENTION_API Layout broadcast_to(const Layout& layout, const Shape& shape);

/// True when the two layouts, at these byte addresses and element sizes, may share memory. Exact
/// for disjoint ranges and for equally strided slices of one packed buffer (a packed QKV);
/// otherwise errs to true.
struct ATTENTION_API Placement {
  const void* base;
  Layout layout;
  std::size_t element_size;
};
ATTENTION_API bool may_overlap(const Placement& a, const Placement& b) noexcept;

}  // namespace attention
