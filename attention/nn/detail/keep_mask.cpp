#include <cmath>
#include <sstream>
#include <string>

#include <attention/core/error.hpp>
#include <attention/nn/detail/keep_mask.hpp>

namespace attention::nn::detail {
namespace {

[[noreturn]] void throw_value(const char* function, double value, const AnyView& mask,
                              std::int64_t position) {
  // The index of element number `position` in row-major order.
  Dims index = mask.shape();
  for (int dim = mask.rank() - 1; dim >= 0; --dim) {
    index[dim] = position % mask.size(dim);
    position /= mask.size(dim);
  }
  std::ostringstream found;
  found << value << " at " << to_string(index);
  throw Error(function,
              "mask must hold only 0 (blocked) and 1 (kept); an additive mask means the opposite "
              "and goes to sdpa as "
              "Mask::add",
              found.str());
}

}  // namespace

Tensor<bool> keep_mask(const char* function, const AnyView& mask, const Shape& scores) {
  if (mask.is_null()) {
    return {};
  }
  // (L, S) -> (1, 1, L, S); (B, L, S) -> (B, 1, L, S).
  AnyView full = mask;
  if (full.rank() == 3) {
    full = full.unsqueeze(1);
  } else if (full.rank() == 2) {
    full = full.unsqueeze(0).unsqueeze(0);
  }
  bool fits = full.rank() == 4;
  for (int dim = 0; fits && dim < 4; ++dim) {
    fits = full.size(dim) == 1 || full.size(dim) == scores[dim];
  }
  require(
      fits, function,
      "mask must have the shape (L, S), (B, L, S) or (B, H, L, S), where extents of 1 repeat",
      [&] { return "mask " + to_string(mask.shape()) + ", (B, H, L, S) = " + to_string(scores); });
  require(mask.data() != nullptr || mask.element_count() == 0, function, "mask must be given",
          [&] { return "a null view of shape " + to_string(mask.shape()); });
  Tensor<bool> keep(full.shape());
  std::int64_t position = 0;
  for_each_offset(
      full.shape(),
      [&](std::int64_t offset) {
        const auto value = full.load<double>(offset);
        if (value != 0.0 && value != 1.0) {
          throw_value(function, value, mask, position);
        }
        keep.data()[position++] = value == 1.0;
      },
      full.strides());
  return keep;
}

}  // namespace attention::nn::detail
