#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <utility>

#include <attention/core/error.hpp>
#include <attention/core/layout.hpp>

namespace attention {
namespace {

int checked_dim(const char* function, int dim, int rank, const Shape& shape) {
  const int wrapped = dim < 0 ? dim + rank : dim;
  require(wrapped >= 0 && wrapped < rank, function, "dim must name a dimension of the tensor",
          [&] { return "dim " + std::to_string(dim) + ", shape " + to_string(shape); });
  return wrapped;
}

/// The dimensions of more than one element, by rising |stride|.
struct Steps {
  struct Step {
    std::int64_t stride = 0;
    std::int64_t extent = 0;
  };
  std::array<Step, kMaxRank> items = {};
  std::size_t count = 0;

  explicit Steps(const Layout& layout) {
    for (int dim = 0; dim < layout.rank(); ++dim) {
      if (layout.shape[dim] > 1) {
        insert({.stride = std::abs(layout.strides[dim]), .extent = layout.shape[dim]});
      }
    }
  }

 private:
  void insert(Step step) {
    std::size_t at = count++;
    for (; at > 0 && items[at - 1].stride > step.stride; --at) {
      items[at] = items[at - 1];
    }
    items[at] = step;
  }
};

/// A set of addresses base + n * period + [0, run) in bytes, n from a finite range; period 0 means
/// one run.
struct Comb {
  std::int64_t run;
  std::int64_t period;
};

/// Merges the dimensions that continue each other into one run; the rest only counts by the
/// greatest common divisor of its strides.
Comb comb_of(const Layout& layout, std::int64_t element_size) {
  const Steps steps(layout);
  Comb comb{.run = element_size, .period = 0};
  std::size_t next = 0;
  for (; next < steps.count && steps.items[next].stride * element_size <= comb.run; ++next) {
    comb.run += (steps.items[next].extent - 1) * steps.items[next].stride * element_size;
  }
  for (; next < steps.count; ++next) {
    comb.period = std::gcd(comb.period, steps.items[next].stride * element_size);
  }
  return comb;
}

}  // namespace

Dims::Dims(std::initializer_list<std::int64_t> values)
    : Dims(std::span<const std::int64_t>(values.begin(), values.size())) {}

Dims::Dims(std::span<const std::int64_t> values) : rank_(static_cast<int>(values.size())) {
  require(values.size() <= kMaxRank, "Dims", "a tensor has at most 6 dimensions",
          [&] { return std::to_string(values.size()); });
  std::ranges::copy(values, values_.begin());
}

void Dims::insert(int dim, std::int64_t value) {
  require(rank_ < kMaxRank, "Dims", "a tensor has at most 6 dimensions",
          [&] { return to_string(*this) + " and one more"; });
  const auto at = values_.begin() + dim;
  std::copy_backward(at, values_.begin() + rank_, values_.begin() + rank_ + 1);
  *at = value;
  ++rank_;
}

void Dims::erase(int dim) noexcept {
  const auto at = values_.begin() + dim;
  std::copy(at + 1, values_.begin() + rank_, at);
  values_[static_cast<std::size_t>(--rank_)] = 0;
}

std::string to_string(const Dims& dims) {
  std::string text = "(";
  for (int dim = 0; dim < dims.rank(); ++dim) {
    text += (dim > 0 ? ", " : "") + std::to_string(dims[dim]);
  }
  return text + (dims.rank() == 1 ? ",)" : ")");
}

std::int64_t element_count(const Shape& shape) {
  std::int64_t count = 1;
  bool representable = true;
  bool empty = false;
  for (const std::int64_t extent : shape) {
    require(extent >= 0, "element_count", "an extent must not be negative",
            [&] { return to_string(shape); });
    empty = empty || extent == 0;
    representable = representable && !__builtin_mul_overflow(count, extent, &count);
  }
  if (empty) {
    return 0;
  }
  require(representable, "element_count", "the number of elements must fit in 63 bits",
          [&] { return to_string(shape); });
  return count;
}

Strides row_major_strides(const Shape& shape) noexcept {
  Strides strides = shape;
  std::int64_t stride = 1;
  for (int dim = shape.rank() - 1; dim >= 0; --dim) {
    strides[dim] = stride;
    stride *= std::max<std::int64_t>(shape[dim], 1);
  }
  return strides;
}

bool Layout::is_contiguous() const noexcept {
  std::int64_t expected = 1;
  for (int dim = rank() - 1; dim >= 0; --dim) {
    if (shape[dim] == 0) {
      return true;
    }
    if (shape[dim] != 1 && strides[dim] != expected) {
      return false;
    }
    expected *= shape[dim];
  }
  return true;
}

Layout::Extent Layout::extent() const noexcept {
  Extent result{.lowest = 0, .highest = 0};
  for (int dim = 0; dim < rank(); ++dim) {
    if (shape[dim] == 0) {
      return {.lowest = 0, .highest = -1};
    }
    const std::int64_t reach = (shape[dim] - 1) * strides[dim];
    (reach < 0 ? result.lowest : result.highest) += reach;
  }
  return result;
}

bool Layout::overlaps_itself() const noexcept {
  if (std::ranges::find(shape, 0) != shape.end()) {
    return false;
  }
  const Steps steps(*this);
  std::int64_t reach = 0;  // the highest offset that the dimensions so far can make
  for (std::size_t i = 0; i < steps.count; ++i) {
    if (steps.items[i].stride <= reach) {
      return true;
    }
    reach += (steps.items[i].extent - 1) * steps.items[i].stride;
  }
  return false;
}

LayoutView select(const Layout& layout, int dim, std::int64_t index) {
  dim = checked_dim("select", dim, layout.rank(), layout.shape);
  require(index >= 0 && index < layout.shape[dim], "select", "index must lie inside the dimension",
          [&] {
            return "index " + std::to_string(index) + " of dimension " + std::to_string(dim) +
                   ", shape " + to_string(layout.shape);
          });
  LayoutView result{.layout = layout, .offset = index * layout.strides[dim]};
  result.layout.shape.erase(dim);
  result.layout.strides.erase(dim);
  return result;
}

LayoutView slice(const Layout& layout, int dim, std::int64_t start, std::int64_t count) {
  dim = checked_dim("slice", dim, layout.rank(), layout.shape);
  const bool inside =
      start >= 0 && count >= 0 && start <= layout.shape[dim] && count <= layout.shape[dim] - start;
  require(inside, "slice", "start and count must lie inside the dimension", [&] {
    return "start " + std::to_string(start) + ", count " + std::to_string(count) +
           " of dimension " + std::to_string(dim) + ", shape " + to_string(layout.shape);
  });
  LayoutView result{.layout = layout, .offset = count > 0 ? start * layout.strides[dim] : 0};
  result.layout.shape[dim] = count;
  return result;
}

LayoutView reverse(const Layout& layout, int dim) {
  dim = checked_dim("reverse", dim, layout.rank(), layout.shape);
  LayoutView result{.layout = layout, .offset = 0};
  if (layout.shape[dim] > 0) {
    result.offset = (layout.shape[dim] - 1) * layout.strides[dim];
  }
  result.layout.strides[dim] = -layout.strides[dim];
  return result;
}

Layout permute(const Layout& layout, const Dims& order) {
  Layout result = layout;
  std::array<bool, kMaxRank> seen = {};
  bool valid = order.rank() == layout.rank();
  for (int dim = 0; valid && dim < order.rank(); ++dim) {
    const std::int64_t from = order[dim];
    valid = from >= 0 && from < layout.rank() &&
            !std::exchange(seen[static_cast<std::size_t>(from)], true);
    if (valid) {
      result.shape[dim] = layout.shape[static_cast<int>(from)];
      result.strides[dim] = layout.strides[static_cast<int>(from)];
    }
  }
  require(valid, "permute", "order must name each dimension once",
          [&] { return "order " + to_string(order) + ", shape " + to_string(layout.shape); });
  return result;
}

Layout transpose(const Layout& layout, int dim_a, int dim_b) {
  dim_a = checked_dim("transpose", dim_a, layout.rank(), layout.shape);
  dim_b = checked_dim("transpose", dim_b, layout.rank(), layout.shape);
  Layout result = layout;
  std::swap(result.shape[dim_a], result.shape[dim_b]);
  std::swap(result.strides[dim_a], result.strides[dim_b]);
  return result;
}

Layout unsqueeze(const Layout& layout, int dim) {
  const int wrapped = dim < 0 ? dim + layout.rank() + 1 : dim;
  require(wrapped >= 0 && wrapped <= layout.rank(), "unsqueeze", "dim must lie in [0, rank]",
          [&] { return "dim " + std::to_string(dim) + ", shape " + to_string(layout.shape); });
  Layout result = layout;
  result.shape.insert(wrapped, 1);
  result.strides.insert(wrapped, 0);
  return result;
}

Layout split(const Layout& layout, int dim, std::int64_t outer) {
  dim = checked_dim("split", dim, layout.rank(), layout.shape);
  require(outer > 0 && layout.shape[dim] % outer == 0, "split",
          "the extent must be a multiple of outer", [&] {
            return "outer " + std::to_string(outer) + ", dimension " + std::to_string(dim) +
                   " of " + to_string(layout.shape);
          });
  Layout result = layout;
  const std::int64_t inner = layout.shape[dim] / outer;
  result.shape[dim] = outer;
  result.strides[dim] = inner * layout.strides[dim];
  result.shape.insert(dim + 1, inner);
  result.strides.insert(dim + 1, layout.strides[dim]);
  return result;
}

Layout merge(const Layout& layout, int dim) {
  dim = checked_dim("merge", dim, layout.rank(), layout.shape);
  checked_dim("merge", dim + 1, layout.rank(), layout.shape);
  const std::int64_t inner = layout.shape[dim + 1];
  const std::int64_t stride = inner == 1 ? layout.strides[dim] : layout.strides[dim + 1] * inner;
  require(layout.shape[dim] <= 1 || inner == 0 || layout.strides[dim] == stride, "merge",
          "the elements of both dimensions must lie one stride apart", [&] {
            return "dimensions " + std::to_string(dim) + " and " + std::to_string(dim + 1) +
                   " of shape " + to_string(layout.shape) + ", strides " +
                   to_string(layout.strides);
          });
  Layout result = layout;
  result.shape[dim] *= inner;
  result.strides[dim] = inner == 1 ? layout.strides[dim] : layout.strides[dim + 1];
  result.shape.erase(dim + 1);
  result.strides.erase(dim + 1);
  return result;
}

Layout broadcast_to(const Layout& layout, const Shape& shape) {
  Layout result{.shape = shape, .strides = shape};
  const int missing = shape.rank() - layout.rank();
  bool fits = missing >= 0;
  for (int dim = 0; fits && dim < shape.rank(); ++dim) {
    const bool repeats = dim < missing || layout.shape[dim - missing] == 1;
    fits = repeats || layout.shape[dim - missing] == shape[dim];
    result.strides[dim] = repeats ? 0 : layout.strides[dim - missing];
  }
  require(fits, "broadcast_to", "each extent, from the last, must be 1 or equal",
          [&] { return to_string(layout.shape) + " to " + to_string(shape); });
  return result;
}

bool may_overlap(const Placement& a, const Placement& b) noexcept {
  const Layout::Extent extent_a = a.layout.extent();
  const Layout::Extent extent_b = b.layout.extent();
  if (extent_a.highest < extent_a.lowest || extent_b.highest < extent_b.lowest) {
    return false;
  }
  const auto size_a = static_cast<std::int64_t>(a.element_size);
  const auto size_b = static_cast<std::int64_t>(b.element_size);
  const auto low_a = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(a.base)) +
                     extent_a.lowest * size_a;
  const auto low_b = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(b.base)) +
                     extent_b.lowest * size_b;
  const std::int64_t end_a = low_a + (extent_a.highest - extent_a.lowest + 1) * size_a;
  const std::int64_t end_b = low_b + (extent_b.highest - extent_b.lowest + 1) * size_b;
  if (end_a <= low_b || end_b <= low_a) {
    return false;
  }
  // The ranges cross. Slices of one packed buffer repeat with a common period and stay apart inside
  // it.
  const Comb comb_a = comb_of(a.layout, size_a);
  const Comb comb_b = comb_of(b.layout, size_b);
  const std::int64_t period = std::gcd(comb_a.period, comb_b.period);
  if (period == 0) {
    return true;
  }
  const std::int64_t gap =
      ((low_b - low_a) % period + period) % period;  // from a's run to b's, inside one period
  return gap < comb_a.run || gap + comb_b.run > period;
}

}  // namespace attention
