#include <attention/kernels/isa/functions.hpp>
#include <attention/kernels/isa/scratch.hpp>
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

/// Scratch of one task.
struct Work {
  Panel panels[kMaxPanelsPerTask];
  BlockScratch block;
  bool keeps_scores;  // for the second pass; those of the block at key j begin at lane row j
  float* scores;
  float* keys;    // a block of 16-bit keys as float
  float* values;  // a block of 16-bit values as float
  float* finite;  // a block of values with zeros for infinities and NaN
};

Work lay_out(const SdpaHead& head, int panels, Scratch& scratch) {
  Work work = {};
  for (int p = 0; p < panels; ++p) {
    work.panels[p].queries = scratch.take<float>(head.D * kPanel);
    work.panels[p].out = scratch.take<float>(head.Dv * kPanel);
    work.panels[p].maximum = scratch.take<float>(kPanel);
    work.panels[p].sum = scratch.take<float>(kPanel);
  }
  const Index all_keys = (head.S + kBlock - 1) / kBlock * kBlock;
  const Index bytes_a_key = kPanel * static_cast<Index>(sizeof(float));
  work.keeps_scores = head.has_weights && all_keys <= kKeptScoresBytes / bytes_a_key;
  work.scores = scratch.take<float>((work.keeps_scores ? all_keys : kBlock) * kPanel);
  work.keys = head.element == Element::f32 ? nullptr : scratch.take<float>(kBlock * head.D);
  work.values = head.element == Element::f32 ? nullptr : scratch.take<float>(kBlock * head.Dv);
  work.finite = scratch.take<float>(kBlock * head.Dv);
  BlockScratch& block = work.block;
  block.scores = work.scores;
  block.weights = work.keeps_scores ? scratch.take<float>(kBlock * kPanel) : work.scores;
  block.bias = head.mask_use == MaskUse::add ? scratch.take<float>(kBlock * kPanel) : nullptr;
  block.words = scratch.take<std::uint64_t>(kBlock);
  block.largest = scratch.take<float>(kPanel);
  block.factor = scratch.take<float>(kPanel);
  return work;
}

/// The scratch of the block at key `begin`.
BlockScratch scratch_of_block(const Work& work, Index begin) {
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

/// True when no value of the rows [begin, end) is infinite or NaN.
bool all_finite(Matrix values, Index Dv, KeyRange rows) {
  constexpr int kChains = 4;
  Vec zeros[kChains] = {zero(), zero(), zero(), zero()};  // NaN once an infinity or NaN came
  for (Index n = rows.begin; n < rows.end; ++n) {
    const Matrix row = values.from(n, 0);
    Index c = 0;
    for (; values.column == 1 && c + kChains * kLanes <= Dv; c += kChains * kLanes) {
#pragma GCC unroll 4
      for (int i = 0; i < kChains; ++i) {
        zeros[i] = fma(load(row.data + c + i * kLanes), zero(), zeros[i]);
      }
    }
    for (; c < Dv; c += kChains * kLanes) {
#pragma GCC unroll 4
      for (int i = 0; i < kChains; ++i) {
        const Index at = c + i * kLanes;
        if (at < Dv) {
          const Vec x = load_strided(row.data + at * row.column, row.column, Dv - at);
          zeros[i] = fma(x, zero(), zeros[i]);
        }
      }
    }
  }
  const Vec sum = add(add(zeros[0], zeros[1]), add(zeros[2], zeros[3]));
  return bits_of(equal(sum, zero())) == kAllLanes;
}

/// The same for the values that some row of a panel does not see; for all that a task reads of a
/// block, found out once, unless the panel has few of its own.
bool all_finite(KeyBlock& block, Index Dv, const BlockView& view) {
  if (view.shared_end > view.begin()) {
    return all_finite(block.values, Dv, {.begin = view.shared_end, .end = view.end()});
  }
  if (block.finite == Finite::unknown) {
    block.finite = all_finite(block.values, Dv, block.seen) ? Finite::yes : Finite::no;
  }
  return block.finite == Finite::yes;
}

/// out = out * factor + weights * values where some cells are blocked. A weight of 0 times an
/// infinity would be NaN in rows that must not know of it: such values are added by themselves, to
/// the rows that see them.
void add_partly_visible(const Panel& panel, const BlockView& view, const Work& work,
                        KeyBlock& block, Index Dv, const float* factor) {
  const float* const weights = work.block.weights;
  const Matrix values = block.values;
  if (all_finite(block, Dv, view)) {
    value_block(weights, values, Dv, view.range, factor, panel.out);
    return;
  }
  const auto value = [&](Index n, Index c) { return *values.from(n, c).data; };
  for (Index n = view.begin(); n < view.end(); ++n) {
    for (Index c = 0; c < Dv; ++c) {
      work.finite[n * Dv + c] = value(n, c) - value(n, c) == 0 ? value(n, c) : 0.0F;
    }
  }
  value_block(weights, {.data = work.finite, .row = Dv, .column = 1}, Dv, view.range, factor,
              panel.out);
  for (Index n = view.begin(); n < view.end(); ++n) {
    for (Index c = 0; c < Dv; ++c) {
      if (value(n, c) - value(n, c) == 0) {
        continue;
      }
      for (int lane = 0; lane < kPanel; lane += kLanes) {
        const auto bits = static_cast<std::uint32_t>(work.block.words[n] >> lane);
        const Vec term = mul(load(weights + n * kPanel + lane), set1(value(n, c)));
        float* const out = panel.out + c * kPanel + lane;
        store(out, select(mask_of(bits), add(load(out), term), load(out)));
      }
    }
  }
}

/// One panel through one block of keys.
void add_block(const SdpaHead& head, Panel& panel, const Work& work, KeyBlock& block) {
  const BlockScratch scratch = scratch_of_block(work, block.begin);
  const BlockView view =
      view_block(head, panel, block.begin, block.size, scratch.words, scratch.bias);
  if (view.visible == Visible::none) {
    return;
  }
  score_visible(head, panel, view, block, scratch);
  const float to_log2 = score_units(head).to_log2;
  const Raised raised = raise_maximum(panel, to_log2, scratch.largest, scratch.factor);
  if (raised.any_large) {
    exponentiate<true>(panel, to_log2, view, scratch);
  } else {
    exponentiate<false>(panel, to_log2, view, scratch);
  }
  const float* const factor = raised.changed ? scratch.factor : nullptr;
  if (view.visible == Visible::all) {
    value_block(scratch.weights, block.values, head.Dv, view.range, factor, panel.out);
  } else {
    add_partly_visible(panel, view, work, block, head.Dv, factor);
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
void write_block_weights(const SdpaHead& head, Panel& panel, const Work& work,
                         const KeyBlock& block) {
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

}  // namespace

std::size_t sdpa_forward_scratch(const SdpaHead& head, int panels) noexcept {
  Scratch scratch(nullptr);
  lay_out(head, panels, scratch);
  return static_cast<std::size_t>(scratch.used());
}

void sdpa_forward(const SdpaTask& task, std::byte* base) noexcept {
  const SdpaHead& head = task.head;
  const int panels = task.panels;
  Scratch scratch(base);
  Work work = lay_out(head, panels, scratch);
  for (int p = 0; p < panels; ++p) {
    work.panels[p].rows = task.rows + p;
    begin_panel(head, work.panels[p]);
  }
  const auto keys_of_block = [&](Index block, KeyRange rows) {
    return as_floats(at_element(head.k, head.element, block * head.k_row), head.element,
                     {.data = nullptr, .row = head.k_row, .column = head.k_feature}, rows, head.D,
                     work.keys);
  };
  const auto values_of_block = [&](Index block, KeyRange rows) {
    return as_floats(at_element(head.v, head.element, block * head.v_row), head.element,
                     {.data = nullptr, .row = head.v_row, .column = head.v_feature}, rows, head.Dv,
                     work.values);
  };
  const KeyRange range = keys_of(task);
  const auto seen_of_block = [&](Index block) {
    return KeyRange{.begin = largest(range.begin - block, 0),
                    .end = least(range.end - block, kBlock)};
  };
  for (Index block = range.begin / kBlock * kBlock; block < range.end; block += kBlock) {
    const KeyRange seen = seen_of_block(block);
    KeyBlock key_block = {.begin = block,
                          .size = seen.end,
                          .keys = keys_of_block(block, seen),
                          .values = values_of_block(block, seen),
                          .seen = seen,
                          .finite = Finite::unknown};
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
    write_block_weights(head, work.panels[0], work,
                        {.begin = block,
                         .size = least(head.S - block, kBlock),
                         .keys = again ? keys_of_block(block, seen) : Matrix{},
                         .values = {},
                         .seen = seen,
                         .finite = Finite::unknown});
  }
}

}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
