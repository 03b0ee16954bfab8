#pragma once

#include <attention/kernels/isa/sdpa_panel.hpp>

/// Private to the sources of the instruction sets: which cells of a block a panel sees, and the
/// additive mask.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

enum class Visible : std::uint8_t { none, some, all };

/// With fewer keys of a block the rounding of weights to 16 bits does not average out.
inline constexpr Index kFewKeys = 64;

/// The vectors of a panel that see few keys of a block, if products take weights that are rounded:
/// what the rounding takes off is multiplied too, in a product of its own. It depends on the rows
/// of a vector and on nothing else.
struct FewKeys {
  std::uint32_t vectors;  // a bit for each
  VectorRange range;      // of the residual; may hold other vectors, whose residual is 0
};

/// Which cells of a block of keys a panel sees, and the keys that are worth computing: those
/// before shared_end are seen by all rows.
struct BlockView {
  Visible visible;
  VectorRange range;
  Index shared_end;
  FewKeys few;

  Index begin() const { return range.begin; }
  Index end() const { return range.end[kVectors - 1]; }
};

/// The lanes of a vector, `lane` its first, that see key n of a view.
ATTENTION_INLINE Mask lanes_that_see(const BlockView& view, const std::uint64_t* words, Index n,
                                     int lane) {
  const std::uint64_t sees = view.visible == Visible::all ? ~std::uint64_t{0} : words[n];
  return mask_of(static_cast<std::uint32_t>(sees >> lane));
}

/// The cells within the rows' intervals; words[n] gets a bit for each lane that sees key n, unless
/// all see all.
BlockView view_intervals(const SdpaRows& rows, Index block, Index keys, std::uint64_t* words) {
  BlockView view = {
      .visible = Visible::none,
      .range = {.begin = clamp(rows.key_begin[rows.first] - block, 0, keys), .end = {}},
      .shared_end = 0,
      .few = {}};
  for (int w = 0; w < kVectors; w += kStep) {
    const int last = (w + kStep) * kLanes - 1;
    const Index end = last < rows.first ? 0 : clamp(rows.key_end[last] - block, 0, keys);
    for (int i = w; i < w + kStep; ++i) {
      view.range.end[i] = end;
    }
  }
  const Index end = view.end();
  if (view.begin() >= end) {
    return view;
  }
  if (rows.key_begin[kPanel - 1] <= block && rows.key_end[rows.first] >= block + keys) {
    view.visible = Visible::all;
    view.shared_end = end;
    return view;
  }
  view.visible = Visible::some;
  view.shared_end = rows.key_begin[kPanel - 1] <= block + view.begin()
                        ? clamp(rows.key_end[rows.first] - block, view.begin(), end)
                        : view.begin();
  // Neither begins nor ends fall: the lanes that have begun and those that have ended are the first
  // ones.
  int begun = rows.first;
  int ended = rows.first;
  for (Index n = view.begin(); n < end; ++n) {
    while (begun < kPanel && rows.key_begin[begun] <= block + n) {
      ++begun;
    }
    while (ended < kPanel && rows.key_end[ended] <= block + n) {
      ++ended;
    }
    words[n] = lanes_below(begun) & ~lanes_below(ended);
  }
  return view;
}

/// bits[r] bit c <-> bits[c] bit r.
void transpose_bits(std::uint64_t (&bits)[64]) {
  std::uint64_t low = 0x00000000FFFFFFFFU;
  for (int width = 32; width > 0; width /= 2, low ^= low << width) {
    for (int r = 0; r < 64; r = (r + width + 1) & ~width) {
      const std::uint64_t swapped = ((bits[r] >> width) ^ bits[r + width]) & low;
      bits[r] ^= swapped << width;
      bits[r + width] ^= swapped;
    }
  }
}

/// Takes away what a boolean mask blocks, 64 keys at a time.
void apply_boolean_mask(const SdpaHead& head, const SdpaRows& rows, Index block, KeyRange range,
                        std::uint64_t* words) {
  for (Index part = range.begin / 64 * 64; part < range.end; part += 64) {
    const Index keys = least(64, range.end - part);
    std::uint64_t bits[64] = {};
    std::uint64_t any = 0;
    std::uint64_t all = ~std::uint64_t{0};
    for (int lane = rows.first; lane < kPanel; ++lane) {
      if (lane > rows.first && rows.mask[lane] == rows.mask[lane - 1]) {
        bits[lane] = bits[lane - 1];
        continue;
      }
      const auto* const row = static_cast<const std::uint8_t*>(rows.mask[lane]);
      bits[lane] = bits_of_bytes(row + (block + part) * head.mask_key, head.mask_key, keys);
      any |= bits[lane];
      all &= bits[lane];
    }
    // Where the rows agree, as in a mask of documents, the keys' bits are known.
    const bool same = any == all;
    if (!same) {
      transpose_bits(bits);
    }
    for (Index n = largest(part, range.begin); n < part + keys; ++n) {
      const std::uint64_t all_rows = ((any >> (n - part)) & 1U) != 0 ? ~std::uint64_t{0} : 0;
      const std::uint64_t set = same ? all_rows : bits[n - part];
      words[n] &= head.mask_use == MaskUse::keep ? set : ~set;
    }
  }
}

/// Reads an additive mask into lane rows of `bias`, and takes away the cells where it is -inf.
void read_additive_mask(const SdpaHead& head, const SdpaRows& rows, Index block, KeyRange range,
                        std::uint64_t* words, float* bias) {
  for (int lane = rows.first; lane < kPanel; lane += kLanes) {
    for (Index n = range.begin; n < range.end; n += kLanes) {
      Vec tile[kLanes];
      for (int r = 0; r < kLanes; ++r) {
        tile[r] = load_bias(head, rows.mask[lane + r], block + n, range.end - n);
      }
      transpose(tile);
      for (int r = 0; r < least(kLanes, range.end - n); ++r) {
        const std::uint64_t blocked = bits_of(equal(tile[r], set1(-kInfinity)));
        words[n + r] &= ~(blocked << lane);
        store(bias + (n + r) * kPanel + lane, tile[r]);
      }
    }
  }
}

/// Leaves out the keys at either end that nobody sees, and finds what all see.
void narrow(BlockView& view, std::uint64_t all_lanes, const std::uint64_t* words) {
  Index begin = view.begin();
  Index end = view.end();
  while (begin < end && words[begin] == 0) {
    ++begin;
  }
  while (begin < end && words[end - 1] == 0) {
    --end;
  }
  view.shared_end = begin;
  while (view.shared_end < end && words[view.shared_end] == all_lanes) {
    ++view.shared_end;
  }
  const bool all = view.visible == Visible::all && view.shared_end == end;
  view.range.begin = begin;
  for (Index& its_end : view.range.end) {
    its_end = least(its_end, end);
  }
  view.visible = begin == end ? Visible::none : all ? Visible::all : Visible::some;
}

/// Finds what a panel sees of the keys [block, block + keys): words for all keys of the range if
/// the mask has any, bias for an additive mask.
BlockView view_block(const SdpaHead& head, Panel& panel, Index block, Index keys,
                     std::uint64_t* words, float* bias) {
  const SdpaRows& rows = *panel.rows;
  BlockView view = view_intervals(rows, block, keys, words);
  if (view.visible == Visible::none) {
    return view;
  }
  if (head.mask_use != MaskUse::none) {
    const KeyRange range = {.begin = view.begin(), .end = view.end()};
    for (Index n = range.begin; n < range.end && view.visible == Visible::all; ++n) {
      words[n] = lanes_in_use(rows);
    }
    if (head.mask_use == MaskUse::add) {
      read_additive_mask(head, rows, block, range, words, bias);
    } else {
      apply_boolean_mask(head, rows, block, range, words);
    }
    narrow(view, lanes_in_use(rows), words);
  }
  if (view.visible == Visible::all) {
    panel.seen |= lanes_in_use(rows);
  } else {
    for (Index n = view.begin(); n < view.end(); ++n) {
      panel.seen |= words[n];
    }
  }
  return view;
}

template <class T>
FewKeys few_keys(const SdpaRows& rows, Index block, const BlockView& view) {
  FewKeys few = {.vectors = 0, .range = {.begin = view.begin(), .end = {}}};
  if constexpr (Term<T>::kElements > 1) {
    static_assert(Term<T>::kElements == 1 || kStep == 1);
    Index most = 0;
    for (int w = 0; w < kVectors; ++w) {
      const int last = (w + 1) * kLanes - 1;
      const int first = static_cast<int>(largest(w * kLanes, rows.first));
      if (first <= last) {
        const Index begin = clamp(rows.key_begin[first] - block, 0, kBlock);
        const Index end = clamp(rows.key_end[last] - block, 0, kBlock);
        if (end - begin < kFewKeys) {
          few.vectors |= std::uint32_t{1} << w;
          most = largest(most, view.range.end[w]);
        }
      }
      few.range.end[w] = most;
    }
  }
  return few;
}

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
