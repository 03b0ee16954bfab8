#include <attention/kernels/isa/elements.hpp>
#include <attention/kernels/isa/functions.hpp>
#include <attention/kernels/isa/philox.hpp>

/// Dropout of a tensor's elements. One evaluation of Philox gives the words of 4 kLanes of them:
/// lane l has those of elements 4 l to 4 l + 3.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

constexpr Index kElements = Index{4} * kLanes;
static_assert(kElements <= 64);

/// Bit l of 16 becomes bit 4 l: each step moves the upper half of every group of bits.
ATTENTION_INLINE std::uint64_t every_fourth(std::uint64_t bits) {
  bits = (bits | bits << 24) & 0x000000FF000000FFU;
  bits = (bits | bits << 12) & 0x000F000F000F000FU;
  bits = (bits | bits << 6) & 0x0303030303030303U;
  return (bits | bits << 3) & 0x1111111111111111U;
}

/// A bit for each of kElements elements to keep, from number 4 group on.
ATTENTION_INLINE std::uint64_t kept_elements(const DropoutRule& rule, std::uint64_t group) {
  std::uint32_t low[kLanes];
  std::uint32_t high[kLanes];
  for (int lane = 0; lane < kLanes; ++lane) {
    const std::uint64_t its_group = group + static_cast<std::uint64_t>(lane);
    low[lane] = static_cast<std::uint32_t>(its_group);
    high[lane] = static_cast<std::uint32_t>(its_group >> 32);
  }
  Words words[4] = {load_words(low), load_words(high), set1_words(0), set1_words(0)};
  philox(words, rule.key);
  std::uint64_t kept = 0;
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    kept |= every_fourth(kept_lanes(rule, words[i])) << i;
  }
  return kept;
}

}  // namespace

void dropout(const DropoutTask& task) noexcept {
  const DropoutRule rule = task.rule;
  const Vec factor = set1(rule.factor);
  const Index end = task.index + task.count;
  for (Index first = task.index / 4 * 4; first < end; first += kElements) {
    const Index begin = largest(first, task.index);
    const Index count = least(first + kElements, end) - begin;
    const std::uint64_t kept =
        rule.any ? kept_elements(rule, static_cast<std::uint64_t>(first / 4)) >> (begin - first)
                 : ~std::uint64_t{0};
    for (Index n = 0; n < count; n += kLanes) {
      const Index at = begin + n - task.index;
      const Vec x = load_strided(task.x + at * task.x_step, task.x_step, count - n);
      const Mask keeps = mask_of(static_cast<std::uint32_t>(kept >> n));
      store_strided(task.out + at * task.out_step, task.out_step, count - n,
                    select(keeps, mul(x, factor), zero()));
    }
  }
}

}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
