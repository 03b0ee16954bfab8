#include <limits>
#include <utility>

#include <attention/core/error.hpp>
#include <attention/nn/detail/joined_mask.hpp>

namespace attention::nn::detail {
namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

/// A mask of the kind over a view, where the kinds of mask and element fit.
Mask mask_of(MaskKind kind, const AnyView& view) {
  switch (kind) {
    case MaskKind::none:
      return {};
    case MaskKind::keep:
      return Mask::keep(view.as<bool>());
    case MaskKind::block:
      return Mask::block(view.as<bool>());
    case MaskKind::add:
      break;
  }
  switch (view.dtype()) {
    case DType::float16:
      return Mask::add(view.as<float16>());
    case DType::bfloat16:
      return Mask::add(view.as<bfloat16>());
    case DType::float64:
      return Mask::add(view.as<double>());
    default:
      return Mask::add(view.as<float>());
  }
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

/// Calls put(i, value) for each cell of the joined mask in row-major order.
template <class Put>
void for_each_cell(const MaskParts& parts, const MaskSize& size, const Shape& shape,
                   const Put& put) {
  const auto strides_of = [](const Mask& mask, const Shape& full) {
    return mask.kind() == MaskKind::none ? Strides{0, 0, 0, 0}
                                         : mask.view().broadcast_to(full).strides();
  };
  const Strides mask = strides_of(parts.mask, {size.B, size.H, size.L, size.S});
  const Mask padding_mask = parts.key_padding_mask.kind() == MaskKind::none
                                ? Mask()
                                : mask_of(parts.key_padding_mask.kind(),
                                          parts.key_padding_mask.view().unsqueeze(1).unsqueeze(1));
  const Strides padding = strides_of(padding_mask, {size.B, size.H, size.L, size.S});
  std::int64_t cell = 0;
  for (std::int64_t b = 0; b < shape[0]; ++b) {
    for (std::int64_t h = 0; h < shape[1]; ++h) {
      for (std::int64_t i = 0; i < size.L; ++i) {
        for (std::int64_t j = 0; j < shape[3]; ++j, ++cell) {
          if (j >= size.S) {
            put(cell, 0.0);
            continue;
          }
          const double first =
              added(parts.mask, b * mask[0] + h * mask[1] + i * mask[2] + j * mask[3]);
          const double second = added(padding_mask, b * padding[0] + j * padding[3]);
          const bool blocked =
              first == kMinusInfinity || second == kMinusInfinity || (parts.causal && j > i);
          put(cell, blocked ? kMinusInfinity : first + second);
        }
      }
    }
  }
}

}  // namespace

JoinedMask joined_mask(const char* function, const MaskParts& parts, const MaskSize& size) {
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
    joined.mask =
        has_padding ? mask_of(padding.kind(), padding.view().unsqueeze(1).unsqueeze(1)) : mask;
    return joined;
  }
  joined.causal = false;  // it counts to S, not to the appended keys: it goes into the mask
  const Shape& given = mask.view().shape();
  const bool by_head = has_mask && given.rank() >= 3 && given[given.rank() - 3] != 1;
  const bool by_batch = has_padding || (has_mask && given.rank() == 4 && given[0] != 1);
  const Shape shape = {by_batch ? size.B : 1, by_head ? size.H : 1, size.L, size.S + size.appended};
  if (mask.kind() == MaskKind::add || padding.kind() == MaskKind::add) {
    joined.bias = Tensor<double>(shape);
    for_each_cell(parts, size, shape,
                  [&](std::int64_t cell, double value) { joined.bias.data()[cell] = value; });
    joined.mask = Mask::add(std::as_const(joined.bias).view());
  } else {
    joined.keep = Tensor<bool>(shape);
    for_each_cell(parts, size, shape, [&](std::int64_t cell, double value) {
      joined.keep.data()[cell] = value == 0.0;
    });
    joined.mask = Mask::keep(std::as_const(joined.keep).view());
  }
  return joined;
}

}  // namespace attention::nn::detail
