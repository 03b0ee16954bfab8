#include <attention/kernels/isa/functions.hpp>
#include <attention/kernels/isa/scratch.hpp>
#include <attention/kernels/isa/sdpa_dropout.hpp>
#include <attention/kernels/isa/sdpa_softmax.hpp>

/// Attention in one pass over blocks of keys with the online softmax: scores; maximum and sum;
/// weighted values. The same passes as reference/sdpa.cpp; what earlier blocks summed is rescaled
/// when the maximum grows. A second pass writes the weights if they are wanted.
///
/// Source: Milakov and Gimelshein 2018, "Online normalizer calculation for softmax"; Dao et al.
/// 2022, "FlashAttention", section 3.1.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

constexpr Index kKeptScoresBytes = Index{1} << 20;

/// Scratch of one task whose products take elements of type T.
template <class T>
struct Work {
  Panel panels[kMaxPanelsPerTask];
  BlockScratch block;
  bool keeps_scores;  // for the second pass; those of the block at key j begin at lane row j
  float* scores;
  T* keys;    // a block of keys that are not read in place
  T* values;  // a block of values that are not read in place
  T* finite;  // a block of values with zeros for infinities and NaN
};

template <class T>
Work<T> lay_out(const SdpaHead& head, int panels, Scratch& scratch) {
  Work<T> work = {};
  for (int p = 0; p < panels; ++p) {
    work.panels[p].queries = scratch.take<float>(term_count<T>(head.D) * kPanel);
    work.panels[p].out = scratch.take<float>(head.Dv * kPanel);
    work.panels[p].maximum = scratch.take<float>(kPanel);
    work.panels[p].sum = scratch.take<float>(kPanel);
  }
  const Index all_keys = (head.S + kBlock - 1) / kBlock * kBlock;
  const Index bytes_a_key = kPanel * static_cast<Index>(sizeof(float));
  work.keeps_scores = head.has_weights && all_keys <= kKeptScoresBytes / bytes_a_key;
  work.scores = scratch.take<float>((work.keeps_scores ? all_keys : kBlock) * kPanel);
  work.keys = scratch.take<T>(Operands<T>::place_of_keys(head));
  work.values = scratch.take<T>(Operands<T>::place_of_values(head));
  work.finite = scratch.take<T>(kBlock * head.Dv);
  BlockScratch& block = work.block;
  block.scores = work.scores;
  block.weights = work.keeps_scores ? scratch.take<float>(kBlock * kPanel) : work.scores;
  block.residual =
      Term<T>::kElements > 1 ? scratch.take<float>(kBlock / Term<T>::kElements * kPanel) : nullptr;
  block.bias = head.mask_use == MaskUse::add ? scratch.take<float>(kBlock * kPanel) : nullptr;
  block.words = scratch.take<std::uint64_t>(kBlock);
  block.largest = scratch.take<float>(kPanel);
  block.factor = scratch.take<float>(kPanel);
  return work;
}

/// The scratch of the block at key `begin`.
template <class T>
BlockScratch scratch_of_block(const Work<T>& work, Index begin) {
  BlockScratch block = work.block;
  if (work.keeps_scores) {
    block.scores = work.scores + begin * kPanel;
  }
  return block;
}

/// The keys that any row of the task sees lie in it.
KeyRange keys_of(const SdpaTask& task) {
  KeyRange range = {.begin = task.head.S, .end = 0};
  for (int p = 0; p < task.panels; ++p) {
    const SdpaRows& rows = task.rows[p];
    range.begin = least(range.begin, rows.key_begin[rows.first]);
    range.end = largest(range.end, rows.key_end[kPanel - 1]);
  }
  return range;
}

/// Whether all values of the terms in which the keys of a range lie are finite.
template <class T>
bool all_finite(const KeyBlock<T>& block, Index Dv, KeyRange keys) {
  MatrixOf<T> values = block.values;
  values.column /= Term<T>::kElements;
  return all_finite(values, Dv * Term<T>::kElements, terms_of<T>(keys));
}

/// The same for the values that some row of a panel does not see; for all that a task reads of a
/// block, found out once, unless the panel has few of its own.
template <class T>
bool all_unseen_finite(KeyBlock<T>& block, Index Dv, const BlockView& view) {
  if (view.shared_end > view.begin() && view.begin() % Term<T>::kElements == 0) {
    return all_finite(block, Dv, {.begin = view.shared_end, .end = view.end()});
  }
  if (block.finite == Finite::unknown) {
    block.finite = all_finite(block, Dv, block.seen) ? Finite::yes : Finite::no;
  }
  return block.finite == Finite::yes;
}

/// True when all rows of a panel see all keys of the terms that the block has for it.
template <class T>
bool sees_all(const BlockView& view, const KeyBlock<T>& block) {
  constexpr int kElements = Term<T>::kElements;
  return view.visible == Visible::all && view.begin() % kElements == 0 &&
         (view.end() % kElements == 0 || view.end() == block.seen.end);
}

/// out = out * factor + weights * values.
template <class T>
void add_values(const BlockScratch& scratch, const BlockView& view, MatrixOf<T> values, Index Dv,
                const float* factor, float* out) {
  value_block(scratch.weights, values, Dv, terms_of<T>(view.range), factor, out);
  if (view.few.vectors != 0) {
    value_block(scratch.residual, values, Dv, terms_of<T>(view.few.range), nullptr, out);
  }
}

/// Element n % kElements of column c in the term of key n.
template <class T, class Pointer>
Pointer value_of_key(Pointer data, MatrixOf<T> values, Index n, Index c) {
  constexpr int kElements = Term<T>::kElements;
  return data + n / kElements * values.row + c * values.column + n % kElements;
}

/// out = out * factor + weights * values where some cells are blocked. A weight of 0 times an
/// infinity would be NaN in rows that must not know of it: such values are added by themselves, to
/// the rows that see them.
template <class T>
void add_partly_visible(const Panel& panel, const BlockView& view, const Work<T>& work,
                        KeyBlock<T>& block, Index Dv, const float* factor) {
  constexpr int kElements = Term<T>::kElements;
  const float* const weights = work.block.weights;
  const MatrixOf<T> values = block.values;
  if (all_unseen_finite(block, Dv, view)) {
    add_values(work.block, view, values, Dv, factor, panel.out);
    return;
  }
  const MatrixOf<T> finite = {.data = work.finite, .row = kElements * Dv, .column = kElements};
  const KeyRange terms = terms_of<T>(KeyRange{.begin = view.begin(), .end = view.end()});
  for (Index n = terms.begin * kElements; n < terms.end * kElements; ++n) {
    for (Index c = 0; c < Dv; ++c) {
      const T x = *value_of_key(values.data, values, n, c);
      *value_of_key(work.finite, finite, n, c) = is_finite(x) ? x : T{};
    }
  }
  add_values(work.block, view, finite, Dv, factor, panel.out);
  for (Index n = view.begin(); n < view.end(); ++n) {
    for (Index c = 0; c < Dv; ++c) {
      const T x = *value_of_key(values.data, values, n, c);
      if (is_finite(x)) {
        continue;
      }
      for (int lane = 0; lane < kPanel; lane += kLanes) {
        const auto bits = static_cast<std::uint32_t>(work.block.words[n] >> lane);
        const Vec row = load(weights + n / kElements * kPanel + lane);
        const Vec term = mul(Term<T>::element(row, n % kElements), set1(as_float(x)));
        float* const out = panel.out + c * kPanel + lane;
        store(out, select(mask_of(bits), add(load(out), term), load(out)));
      }
    }
  }
}

/// out += weights * values for the values that the products drop.
template <class T>
void add_denormal_values(const Panel& panel, const BlockView& view, const Work<T>& work,
                         const KeyBlock<T>& block, Index Dv) {
  constexpr Index kElements = Term<T>::kElements;
  for (Index n = view.begin(); n < view.end(); ++n) {
    for (Index c = 0; c < Dv; ++c) {
      const T x = *value_of_key(block.values.data, block.values, n, c);
      const float value = as_float(x);
      if (value == 0 || !(__builtin_fabsf(value) < kSmallestNormal)) {
        continue;
      }
      for (int w = 0; w < kVectors; ++w) {
        if (n < view.range.end[w]) {
          const int lane = w * kLanes;
          const Vec row = load(work.block.weights + n / kElements * kPanel + lane);
          float* const out = panel.out + c * kPanel + lane;
          store(out, fma(Term<T>::element(row, n % kElements), set1(value), load(out)));
        }
      }
    }
  }
}

/// Dropout of the weights of a block. From here on a cell whose weight is dropped is a blocked one:
/// nothing of its value counts.
template <class T>
void drop(const SdpaHead& head, const SdpaRows& rows, const BlockScratch& scratch, Index block,
          BlockView& view) {
  find_kept(head, rows, block, view, scratch.words, scratch.words);
  drop_weights<T>(view, ~0U, scratch.words, scratch.weights);
  drop_weights<T>(view, view.few.vectors, scratch.words, scratch.residual);
  view.visible = Visible::some;
  view.shared_end = view.begin();
}

/// One panel through one block of keys.
template <class T>
void add_block(const SdpaHead& head, Panel& panel, const Work<T>& work, KeyBlock<T>& block) {
  const BlockScratch scratch = scratch_of_block(work, block.begin);
  BlockView view = view_block(head, panel, block.begin, block.size, scratch.words, scratch.bias);
  if (view.visible == Visible::none) {
    return;
  }
  view.few = few_keys<T>(*panel.rows, block.begin, view);
  score_visible(head, panel, view, block, scratch);
  const float to_log2 = score_units(head).to_log2;
  const Raised raised = raise_maximum(panel, to_log2, scratch.largest, scratch.factor);
  if (raised.any_large) {
    exponentiate<true, T>(panel, to_log2, view, scratch);
  } else {
    exponentiate<false, T>(panel, to_log2, view, scratch);
  }
  if (head.dropout.any) {
    drop<T>(head, *panel.rows, scratch, block.begin, view);
  }
  const float* const factor = raised.changed ? scratch.factor : nullptr;
  if (sees_all(view, block)) {
    add_values(scratch, view, block.values, head.Dv, factor, panel.out);
  } else {
    add_partly_visible(panel, view, work, block, head.Dv, factor);
  }
  if (block.drops_values) {
    add_denormal_values(panel, view, work, block, head.Dv);
  }
}

/// Writes the weights of the keys [block, block + size) from the block's weights, or zeros.
void store_weights(const SdpaHead& head, const SdpaRows& rows, Index block, Index size,
                   const float* weights) {
  const int end = rows.first + rows.count;
  for (int lane = rows.first; lane < end; lane += kLanes) {
    for (Index n = 0; n < size; n += kLanes) {
      Vec tile[kLanes];
      for (int r = 0; r < kLanes; ++r) {
        tile[r] =
            weights == nullptr || n + r >= size ? zero() : load(weights + (n + r) * kPanel + lane);
      }
      transpose(tile);
      for (int r = 0; r < least(kLanes, end - lane); ++r) {
        store_strided(rows.weights[lane + r] + (block + n) * head.weights_key, head.weights_key,
                      size - n, tile[r]);
      }
    }
  }
}

/// The second pass over one block: exp2(exponent) / sum, 0 where a cell is blocked.
template <class T>
void write_block_weights(const SdpaHead& head, Panel& panel, const Work<T>& work,
                         const KeyBlock<T>& block) {
  const BlockScratch scratch = scratch_of_block(work, block.begin);
  const BlockView view =
      view_block(head, panel, block.begin, block.size, scratch.words, scratch.bias);
  if (view.visible == Visible::none) {
    store_weights(head, *panel.rows, block.begin, block.size, nullptr);
    return;
  }
  if (!work.keeps_scores) {
    score_visible(head, panel, view, block, scratch);
  }
  const float to_log2 = score_units(head).to_log2;
  for (Index n = 0; n < block.size; ++n) {
    const bool computed = n >= view.begin() && n < view.end();
    const std::uint64_t seen = !computed                      ? 0
                               : view.visible == Visible::all ? ~std::uint64_t{0}
                                                              : scratch.words[n];
    for (int lane = 0; lane < kPanel; lane += kLanes) {
      Vec weight = zero();
      if (computed) {
        const Exponents<true> exponents(to_log2, load(panel.maximum + lane));
        const Vec exponent = exponents.of(load(scratch.scores + n * kPanel + lane));
        weight = select(mask_of(static_cast<std::uint32_t>(seen >> lane)),
                        mul(exp2(exponent), load(panel.sum + lane)), zero());
      }
      store(scratch.weights + n * kPanel + lane, weight);
    }
  }
  store_weights(head, *panel.rows, block.begin, block.size, scratch.weights);
}

template <class T>
Index scratch_size(const SdpaHead& head, int panels) {
  Scratch scratch(nullptr);
  lay_out<T>(head, panels, scratch);
  return scratch.used();
}

template <class T>
void attend(const SdpaTask& task, std::byte* base) {
  const SdpaHead& head = task.head;
  const int panels = task.panels;
  Scratch scratch(base);
  Work<T> work = lay_out<T>(head, panels, scratch);
  for (int p = 0; p < panels; ++p) {
    work.panels[p].rows = task.rows + p;
    begin_panel<T>(head, work.panels[p]);
  }
  const KeyRange range = keys_of(task);
  const auto seen_of_block = [&](Index block) {
    return KeyRange{.begin = largest(range.begin - block, 0),
                    .end = least(range.end - block, kBlock)};
  };
  for (Index block = range.begin / kBlock * kBlock; block < range.end; block += kBlock) {
    const KeyRange seen = seen_of_block(block);
    KeyBlock<T> key_block = {.begin = block,
                             .size = seen.end,
                             .keys = Operands<T>::keys(head, block, seen, work.keys),
                             .values = Operands<T>::values(head, block, seen, work.values),
                             .seen = seen,
                             .finite = Finite::unknown,
                             .drops_values = false};
    key_block.drops_values = Operands<T>::drops(head, key_block.values, seen);
    for (int p = 0; p < panels; ++p) {
      add_block(head, work.panels[p], work, key_block);
    }
  }
  for (int p = 0; p < panels; ++p) {
    finish_panel(head, work.panels[p]);
  }
  for (Index block = 0; head.has_weights && panels == 1 && block < head.S; block += kBlock) {
    const KeyRange seen = seen_of_block(block);
    const bool again = !work.keeps_scores && seen.begin < seen.end;
    write_block_weights<T>(
        head, work.panels[0], work,
        {.begin = block,
         .size = least(head.S - block, kBlock),
         .keys = again ? Operands<T>::keys(head, block, seen, work.keys) : MatrixOf<T>{},
         .values = {},
         .seen = seen,
         .finite = Finite::unknown,
         .drops_values = false});
  }
}

}  // namespace

std::size_t sdpa_forward_scratch(const SdpaHead& head, int panels) noexcept {
#if defined(__AVX512BF16__)
  if (head.element == Element::bf16) {
    return static_cast<std::size_t>(scratch_size<Bfloat16>(head, panels));
  }
#endif
  return static_cast<std::size_t>(scratch_size<float>(head, panels));
}

void sdpa_forward(const SdpaTask& task, std::byte* scratch) noexcept {
#if defined(__AVX512BF16__)
  if (task.head.element == Element::bf16) {
    return attend<Bfloat16>(task, scratch);
  }
#endif
  attend<float>(task, scratch);
}

}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
