#include <limits>
#include <utility>

#include <attention/core/error.hpp>
#include <attention/core/parallel.hpp>
#include <attention/nn/detail/joined_mask.hpp>

namespace attention::nn::detail {
namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

/// (B, S) as (B, 1, 1, S).
Mask by_key(const Mask& padding) {
  return padding.kind() == MaskKind::none
             ? Mask()
             : Mask::of(padding.kind(), padding.view().unsqueeze(1).unsqueeze(1));
}

void check_broadcast(const char* function, const Mask& mask, const MaskSize& size) {
  const Shape& shape = mask.view().shape();
  const Shape scores = {size.B, size.H, size.L, size.S};
  bool fits = shape.rank() <= 4;
  for (int dim = 0; fits && dim < shape.rank(); ++dim) {
    const std::int64_t wanted = scores[4 - shape.rank() + dim];
    fits = shape[dim] == 1 || shape[dim] == wanted;
  }
  require(fits, function, "mask must broadcast to (B, H, L, S)",
          [&] { return "mask " + to_string(shape) + ", (B, H, L, S) = " + to_string(scores); });
}

/// What a mask adds to a cell: 0, a number, or minus infinity where it blocks.
double added(const Mask& mask, std::int64_t offset) {
  switch (mask.kind()) {
    case MaskKind::none:
      return 0.0;
    case MaskKind::keep:
      return mask.view().load<bool>(offset) ? 0.0 : kMinusInfinity;
    case MaskKind::block:
      return mask.view().load<bool>(offset) ? kMinusInfinity : 0.0;
    case MaskKind::add:
      break;
  }
  return mask.view().load<double>(offset);
}

/// The strides of a mask as one of shape (B, H, L, S); 0 for no mask.
Strides strides_of(const AnyView& mask, const MaskSize& size) {
  return mask.is_null() ? Strides{0, 0, 0, 0}
                        : mask.broadcast_to({size.B, size.H, size.L, size.S}).strides();
}

/// Calls put(cell, value) for each cell of the joined mask but those of appended keys; `value` is
/// what is added there.
template <class Put>
void for_each_cell(const MaskParts& parts, const MaskSize& size, const Shape& joined, int threads,
                   const Put& put) {
  const Mask& mask = parts.mask;
  const Mask padding = by_key(parts.key_padding_mask);
  const Strides in_mask = strides_of(mask.view(), size);
  const Strides in_padding = strides_of(padding.view(), size);
  const std::int64_t rows = joined[0] * joined[1] * size.L;
  parallel_for(rows, threads, [&](std::int64_t row, int) {
    const std::int64_t b = row / size.L / joined[1];
    const std::int64_t h = row / size.L % joined[1];
    const std::int64_t i = row % size.L;
    const std::int64_t mask_row = b * in_mask[0] + h * in_mask[1] + i * in_mask[2];
    for (std::int64_t j = 0; j < size.S; ++j) {
      const double first = added(mask, mask_row + j * in_mask[3]);
      const double second = added(padding, b * in_padding[0] + j * in_padding[3]);
      const bool blocked =
          first == kMinusInfinity || second == kMinusInfinity || (parts.causal && j > i);
      put(row * joined[3] + j, blocked ? kMinusInfinity : first + second);
    }
  });
}

}  // namespace

JoinedMask joined_mask(const char* function, const MaskParts& parts, const MaskSize& size,
                       int threads) {
  const Mask& mask = parts.mask;
  const Mask& padding = parts.key_padding_mask;
  const bool has_mask = mask.kind() != MaskKind::none;
  const bool has_padding = padding.kind() != MaskKind::none;
  if (has_mask) {
    check_broadcast(function, mask, size);
  }
  require(!has_padding || padding.view().shape() == Shape{size.B, size.S}, function,
          "key_padding_mask must have the shape (B, S)", [&] {
            return "key_padding_mask " + to_string(padding.view().shape()) +
                   ", (B, S) = " + to_string({size.B, size.S});
          });
  JoinedMask joined{.causal = parts.causal};
  const bool passes_on = size.appended == 0 && !(has_mask && has_padding);
  if (passes_on || (!has_mask && !has_padding && !parts.causal)) {
    joined.mask = has_padding ? by_key(padding) : mask;
    return joined;
  }
  joined.causal = false;  // it counts to S, not to the appended keys: it goes into the mask
  const Shape& given = mask.view().shape();
  const bool by_head = has_mask && given.rank() >= 3 && given[given.rank() - 3] != 1;
  const bool by_batch = has_padding || (has_mask && given.rank() == 4 && given[0] != 1);
  const Shape shape = {by_batch ? size.B : 1, by_head ? size.H : 1, size.L, size.S + size.appended};
  if (mask.kind() == MaskKind::add || padding.kind() == MaskKind::add) {
    joined.bias = Tensor<double>(shape);
    for_each_cell(parts, size, shape, threads,
                  [&](std::int64_t cell, double value) { joined.bias.data()[cell] = value; });
    joined.mask = Mask::add(std::as_const(joined.bias).view());
  } else {
    joined.keep = Tensor<bool>::filled(shape, true);
    for_each_cell(parts, size, shape, threads, [&](std::int64_t cell, double value) {
      joined.keep.data()[cell] = value == 0.0;
    });
    joined.mask = Mask::keep(std::as_const(joined.keep).view());
  }
  return joined;
}

Mask mask_of_entries(const Mask& mask, std::int64_t first, std::int64_t count) {
  const AnyView& view = mask.view();
  if (view.rank() < 4 || view.size(0) == 1) {
    return mask;  // the same for all entries
  }
  return visit(view.dtype(), [&]<class T>() {
    return Mask::of(mask.kind(), view.as<T>().slice(0, first, count));
  });
}

}  // namespace attention::nn::detail
