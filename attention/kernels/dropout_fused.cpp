#include <attention/kernels/dropout_fused.hpp>

namespace attention::kernels {

DropoutRule dropout_rule(const random::DropoutMask& mask) noexcept {
  return {.any = mask.drops_any(),
          .key = mask.key(),
          .last_dropped = mask.drops_any() ? static_cast<std::uint32_t>(mask.threshold() - 1) : 0,
          .factor = static_cast<float>(mask.factor())};
}

void dropout_fused(const IsaFunctions& isa, const TensorView<float>& out,
                   const TensorView<const float>& x, const random::DropoutMask& mask,
                   std::int64_t begin, std::int64_t end) {
  const int last = x.rank() - 1;
  const std::int64_t x_step = last < 0 ? 0 : x.strides()[last];
  const std::int64_t out_step = last < 0 ? 0 : out.strides()[last];
  for_each_part_of_a_row(
      x.shape(), begin, end,
      [&](std::int64_t index, std::int64_t count, std::int64_t to, std::int64_t from) {
        isa.dropout({.rule = dropout_rule(mask),
                     .index = index,
                     .count = count,
                     .x = x.data() + from,
                     .x_step = x_step,
                     .out = out.data() + to,
                     .out_step = out_step});
      },
      out.strides(), x.strides());
}

}  // namespace attention::kernels
