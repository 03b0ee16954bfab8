#pragma once

#include <attention/kernels/isa/philox.hpp>
#include <attention/kernels/isa/sdpa_visibility.hpp>

/// Private to the sources of the instruction sets: dropout of the weights of a panel. One
/// evaluation of Philox gives the words of four keys for a vector of rows.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

/// kept[n] gets a bit for each lane that sees key n of the block and keeps its weight. `seen` are
/// the words of the view, and may be `kept`.
__attribute__((noinline)) void find_kept(const SdpaHead& head, const SdpaRows& rows, Index block,
                                         const BlockView& view, const std::uint64_t* seen,
                                         std::uint64_t* kept) {
  for (Index n = view.begin(); n < view.end(); ++n) {
    kept[n] = view.visible == Visible::all ? lanes_in_use(rows) : seen[n];
  }
  const DropoutRule rule = head.dropout;  // a copy, which the writes to `kept` cannot change
  for (int w = 0; w < kVectors; ++w) {
    const int lane = w * kLanes;
    const Words query = load_words(rows.query + lane);
    const Words head_of_row = load_words(rows.head + lane);
    for (Index n = view.begin() / 4 * 4; n < view.range.end[w]; n += 4) {
      const Words quarter = set1_words(static_cast<std::uint32_t>((block + n) / 4));
      Words words[4];
      words_of_weights(rule.key, quarter, query, head_of_row, words);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const std::uint64_t dropped = ~kept_lanes(rule, words[i]) & kAllLanes;
        kept[n + i] &= ~(dropped << lane);
      }
    }
  }
}

/// Weights, or their residual, of the keys that some vectors (a bit each) see of a block: those
/// that are not kept become 0.
template <class T>
void drop_weights(const BlockView& view, std::uint32_t vectors, const std::uint64_t* kept,
                  float* weights) {
  constexpr int kElements = Term<T>::kElements;
  for (int w = 0; w < kVectors; ++w) {
    const int lane = w * kLanes;
    const KeyRange keys = {.begin = view.begin(), .end = view.range.end[w]};
    if (((vectors >> w) & 1U) == 0 || keys.begin >= keys.end) {
      continue;
    }
    const KeyRange terms = terms_of<T>(keys);
    for (Index n = terms.begin; n < terms.end; ++n) {
      float* const place = weights + n * kPanel + lane;
      const Vec row = load(place);
      const auto kept_element = [&](int i) __attribute__((always_inline)) {
        const auto lanes = static_cast<std::uint32_t>(kept[n * kElements + i] >> lane);
        return select(mask_of(lanes), Term<T>::element(row, i), zero());
      };
      store(place, Term<T>::joined_exactly(kept_element(0), kept_element(kElements - 1)));
    }
  }
}

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
