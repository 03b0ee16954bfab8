#include "strided_buffer.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace attention::tests {
namespace {

/// What an arrangement does to a tensor of one rank.
struct Plan {
  Dims order;                                // the dimensions, the outermost in memory first
  std::array<std::int64_t, kMaxRank> gap{};  // elements left free after each run of a dimension
  std::array<bool, kMaxRank> reversed{};
  std::array<bool, kMaxRank> repeated{};
  std::int64_t innermost_stride = 1;
  std::int64_t first = 0;
};

std::size_t at(std::int64_t dim) {
  return static_cast<std::size_t>(dim);
}

Plan plan_of(const Shape& shape, Arrangement arrangement, Draws& draws) {
  const int rank = shape.rank();
  Plan plan;
  for (int dim = 0; dim < rank; ++dim) {
    plan.order.push_back(dim);
  }
  const bool heads_inside =
      arrangement == Arrangement::heads_inside || arrangement == Arrangement::packed;
  if (heads_inside && rank >= 3) {
    std::swap(plan.order[1], plan.order[2]);
  }
  const std::int64_t last = rank - 1;
  if (arrangement == Arrangement::packed && rank > 0) {
    plan.gap[at(last)] = 2 * std::max<std::int64_t>(shape[rank - 1], 1);
    plan.first = draws.below(3) * std::max<std::int64_t>(shape[rank - 1], 1);
  } else if (arrangement == Arrangement::misaligned && rank > 0) {
    plan.first = 1 + draws.below(7);
    plan.gap[at(last)] = 1;
  } else if (arrangement == Arrangement::permuted) {
    plan.innermost_stride = 1 + draws.below(3);
    for (int dim = rank - 1; dim > 0; --dim) {
      std::swap(plan.order[dim], plan.order[static_cast<int>(draws.below(dim + 1))]);
    }
    for (int dim = 0; dim < rank; ++dim) {
      plan.gap[at(dim)] = draws.below(3);
    }
  }
  for (int dim = 0; dim < rank; ++dim) {
    plan.reversed[at(dim)] = arrangement == Arrangement::reversed && draws.chance(0.6);
    plan.repeated[at(dim)] = arrangement == Arrangement::repeated && draws.chance(0.5);
  }
  return plan;
}

}  // namespace

std::string_view name_of(Arrangement arrangement) noexcept {
  switch (arrangement) {
    case Arrangement::dense:
      return "dense";
    case Arrangement::heads_inside:
      return "heads_inside";
    case Arrangement::packed:
      return "packed";
    case Arrangement::permuted:
      return "permuted";
    case Arrangement::reversed:
      return "reversed";
    case Arrangement::repeated:
      return "repeated";
    case Arrangement::misaligned:
      return "misaligned";
  }
  return "unknown";
}

Place place(const Shape& shape, Arrangement arrangement, Draws& draws) {
  const Plan plan = plan_of(shape, arrangement, draws);
  Place result{.layout = {.shape = shape, .strides = shape}, .base = plan.first, .elements = 0};
  std::int64_t stride = plan.innermost_stride;
  for (int position = shape.rank() - 1; position >= 0; --position) {
    const std::int64_t dim = plan.order[position];
    const std::int64_t extent = std::max<std::int64_t>(shape[static_cast<int>(dim)], 1);
    std::int64_t& own = result.layout.strides[static_cast<int>(dim)];
    if (plan.repeated[at(dim)]) {
      own = 0;
      continue;
    }
    own = stride;
    if (plan.reversed[at(dim)]) {
      own = -stride;
      result.base += (extent - 1) * stride;
    }
    stride *= extent + plan.gap[at(dim)];
  }
  result.elements = stride + plan.first;
  return result;
}

}  // namespace attention::tests
