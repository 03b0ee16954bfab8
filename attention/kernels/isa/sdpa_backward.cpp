#include <attention/kernels/isa/functions.hpp>
#include <attention/kernels/isa/scratch.hpp>
#include <attention/kernels/isa/sdpa_dropout.hpp>
#include <attention/kernels/isa/sdpa_softmax.hpp>

/// The gradients of attention, a panel of queries after the other, each through blocks of keys: the
/// scores and weights of a block again, the gradients of weights and scores, and from them what the
/// block adds to the gradients of queries, keys and values. The same passes as
/// reference/sdpa_backward.cpp.
///
/// Five products. Two have queries in lanes and keys broadcast, as in the forward pass: scores, and
/// d_weights = d_out v^T. So has d_q, where keys take the place of values. In d_k and d_v the
/// queries are summed over: there the lanes hold features, and the weights of a key are broadcast.
/// Panels come in their order, so that every sum has one order, whoever computes it.
///
/// Source: Dao et al. 2022, "FlashAttention", appendix B.4.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

/// Scratch of a panel.
struct Work {
  Panel panel;          // queries, and in `out` the gradient of them
  float* d_out;         // Dv lane rows: d_out^T
  float* query_rows;    // the queries by rows: see pack_rows
  float* d_out_rows;    // d_out by rows
  float* d_weights;     // kBlock lane rows; then the gradients of the scores
  float* capped;        // kBlock lane rows, under a softcap: the capped scores
  float* negative_lse;  // one lane row: -lse
  float* shift;         // one lane row: see normalise
  float* mean;          // one lane row: d_out . out
  std::uint64_t* kept;  // kBlock, under dropout: the lanes that see a key and keep its weight
  BlockScratch block;
  bool panel_is_finite;  // queries and d_out
};

/// Columns of a matrix by rows: of whole lane rows.
Index padded_to_panel(Index columns) {
  return (columns + kPanel - 1) / kPanel * kPanel;
}

Work lay_out(const SdpaHead& head, Scratch& scratch) {
  Work work = {};
  work.panel.queries = scratch.take<float>(head.D * kPanel);
  work.panel.out = scratch.take<float>(head.D * kPanel);
  work.panel.maximum = scratch.take<float>(kPanel);
  work.panel.sum = scratch.take<float>(kPanel);
  work.d_out = scratch.take<float>(head.Dv * kPanel);
  work.query_rows = scratch.take<float>(padded_to_panel(head.D) * kPanel);
  work.d_out_rows = scratch.take<float>(padded_to_panel(head.Dv) * kPanel);
  work.d_weights = scratch.take<float>(kBlock * kPanel);
  work.capped = head.softcap > 0 ? scratch.take<float>(kBlock * kPanel) : nullptr;
  work.negative_lse = scratch.take<float>(kPanel);
  work.shift = scratch.take<float>(kPanel);
  work.mean = scratch.take<float>(kPanel);
  work.kept = head.dropout.any ? scratch.take<std::uint64_t>(kBlock) : nullptr;
  work.block.scores = scratch.take<float>(kBlock * kPanel);
  work.block.weights = work.block.scores;
  work.block.bias = head.mask_use == MaskUse::add ? scratch.take<float>(kBlock * kPanel) : nullptr;
  work.block.words = scratch.take<std::uint64_t>(kBlock);
  work.block.largest = scratch.take<float>(kPanel);
  work.block.factor = scratch.take<float>(kPanel);
  return work;
}

/// The rows of a panel's tensor, from lane `first` on.
struct RowsToPack {
  const float* const* data;
  int first;
  Index stride;
  Index columns;
};

/// Reads them: into lane rows times `sign`, as the products over columns take
/// them; and as they are, kPanel columns after kPanel columns, for the products over rows: element
/// (r, c) at place[(c / kPanel * kPanel + r) * kPanel + c % kPanel].
void pack_rows(const RowsToPack& rows, float sign, float* lane_rows, float* by_rows) {
  const Index stride = rows.stride;
  const Index columns = rows.columns;
  for (int lane = rows.first; lane < kPanel; lane += kLanes) {
    const float* from[kLanes];
    for (int r = 0; r < kLanes; ++r) {
      from[r] = rows.data[lane + r];
    }
    for (Index c = 0; c < columns; c += kLanes) {
      Vec tile[kLanes];
      for (int r = 0; r < kLanes; ++r) {
        tile[r] = load_strided(from[r] + c * stride, stride, columns - c);
        store(by_rows + (c / kPanel * kPanel + lane + r) * kPanel + c % kPanel, tile[r]);
      }
      transpose(tile);
      for (int r = 0; r < least(kLanes, columns - c); ++r) {
        store(lane_rows + (c + r) * kPanel + lane, mul(tile[r], set1(sign)));
      }
    }
  }
}

/// mean = d_out . out, lane by lane.
void sum_means(const SdpaHead& head, const SdpaBackwardRows& rows, const Work& work) {
  for (int lane = rows.rows.first; lane < kPanel; lane += kLanes) {
    const float* out[kLanes];
    for (int r = 0; r < kLanes; ++r) {
      out[r] = rows.out[lane + r];
    }
    Vec sum = zero();
    for (Index c = 0; c < head.Dv; c += kLanes) {
      Vec tile[kLanes];
      load_transposed(out, c, rows.out_feature, head.Dv - c, tile);
      for (int r = 0; r < least(kLanes, head.Dv - c); ++r) {
        sum = fma(tile[r], load(work.d_out + (c + r) * kPanel + lane), sum);
      }
    }
    store(work.mean + lane, sum);
  }
}

void begin(const SdpaBackwardTask& task, Work& work) {
  const SdpaHead& head = task.head;
  const SdpaBackwardRows& rows = *task.rows;
  const int first = rows.rows.first;
  work.panel.rows = &rows.rows;
  const float* q[kPanel];
  for (int lane = first; lane < kPanel; ++lane) {
    q[lane] = static_cast<const float*>(rows.rows.q[lane]);
  }
  pack_rows({.data = q, .first = first, .stride = head.q_feature, .columns = head.D},
            head.scale < 0 ? -1.0F : 1.0F, work.panel.queries, work.query_rows);
  pack_rows({.data = rows.d_out, .first = first, .stride = rows.d_out_feature, .columns = head.Dv},
            1.0F, work.d_out, work.d_out_rows);
  sum_means(head, rows, work);
  for (int lane = 0; lane < kPanel; ++lane) {
    work.negative_lse[lane] = lane < first ? 0.0F : -*rows.lse[lane];
  }
  const auto lanes_are_finite = [&](const float* lane_rows, Index count) {
    return all_finite(Matrix{.data = lane_rows + first, .row = kPanel, .column = 1}, kPanel - first,
                      {.begin = 0, .end = count});
  };
  work.panel_is_finite =
      lanes_are_finite(work.panel.queries, head.D) && lanes_are_finite(work.d_out, head.Dv);
  const Index size = head.D * kPanel;
  for (Index n = 0; n < size; n += kLanes) {
    store(work.panel.out + n, zero());
  }
}

/// The weights of scores: exp(score - lse), by what is lacking in lse.
struct Weights {
  Vec to_natural;
  Vec negative_lse;
  Vec shift;

  ATTENTION_INLINE Weights(const SdpaHead& head, const Work& work, int lane)
      : to_natural(set1(score_units(head).to_natural)),
        negative_lse(load(work.negative_lse + lane)),
        shift(load(work.shift + lane)) {}
  ATTENTION_INLINE Vec of(Vec score) const {
    return exp2(fma(fma(score, to_natural, negative_lse), set1(kLog2E), shift));
  }
};

/// weights = exp(score - lse) in place of the scores, and d_weights become d_scores = weights *
/// (d_weights - mean); both exactly 0 where a cell is blocked. Under dropout what is kept of
/// d_weights and of weights is scaled, and the rest 0, the weights last: d_scores takes all of
/// them.
template <bool kDrops>
void weigh_block(const SdpaHead& head, const Work& work, const BlockView& view) {
  float* const scores = work.block.scores;
  for (int w = 0; w < kVectors; ++w) {
    const int lane = w * kLanes;
    const Weights weights(head, work, lane);
    const Vec mean = load(work.mean + lane);
    const auto dropped_out = [&](Vec x, Index n) __attribute__((always_inline)) {
      const Mask kept = mask_of(static_cast<std::uint32_t>(work.kept[n] >> lane));
      return select(kept, mul(x, set1(head.dropout.factor)), zero());
    };
    for (Index n = view.begin(); n < view.range.end[w]; ++n) {
      const Index at = n * kPanel + lane;
      Vec weight = weights.of(load(scores + at));
      const Vec product = load(work.d_weights + at);
      const Vec d_weight = kDrops ? dropped_out(product, n) : product;
      Vec d_score = mul(weight, sub(d_weight, mean));
      if (view.visible != Visible::all) {
        const Mask sees = lanes_that_see(view, work.block.words, n, lane);
        weight = select(sees, weight, zero());
        d_score = select(sees, d_score, zero());
      }
      store(scores + at, kDrops ? dropped_out(weight, n) : weight);
      store(work.d_weights + at, d_score);
    }
  }
}

/// d_scores *= 1 - tanh^2: through the softcap, which made `capped`.
void pass_softcap(const SdpaHead& head, const Work& work, const BlockView& view) {
  const Vec cap = set1(head.softcap);
  for_each_vector(view, [&](Index n, int lane) __attribute__((always_inline)) {
    const Index at = n * kPanel + lane;
    const Vec tanh = div(load(work.capped + at), cap);
    const Vec slope = fma(sub(zero(), tanh), tanh, set1(1.0F));
    store(work.d_weights + at, select(lanes_that_see(view, work.block.words, n, lane),
                                      mul(load(work.d_weights + at), slope), zero()));
  });
}

/// A gradient of keys or of values: its rows from the first key of a block on.
struct RowSums {
  float* data;
  Index row;
  Index columns;
  float factor;
};

/// to[n] += factor * sum over `count` rows of the panel of weights[n] * row, for kKeys keys from
/// `first` and kWidth vectors of columns.
template <int kWidth, int kKeys>
ATTENTION_INLINE void row_tile(const float* rows, Matrix weights, Index count, const RowSums& to,
                               Index first) {
  Vec sum[kKeys][kWidth];
  clear(sum);
  add_products<0>(sum, rows, weights.from(first, 0), count);
  const Vec factor = set1(to.factor);
#pragma GCC unroll 8
  for (int n = 0; n < kKeys; ++n) {
#pragma GCC unroll 8
    for (int w = 0; w < kWidth; ++w) {
      float* const place = to.data + (first + n) * to.row + w * kLanes;
      const Index exist = to.columns - w * kLanes;
      store_strided(place, 1, exist, fma(sum[n][w], factor, load_strided(place, 1, exist)));
    }
  }
}

/// The same for some keys of a block.
template <int kWidth>
__attribute__((noinline)) void row_block(const float* rows, Matrix weights, Index count,
                                         const RowSums& to, KeyRange keys) {
  for_each_tile(keys.begin, keys.end, [&]<int kKeys>(Index n) __attribute__((always_inline)) {
    row_tile<kWidth, kKeys>(rows, weights, count, to, n);
  });
}

/// The same for all columns.
void add_rows(const float* rows, Matrix weights, Index count, const RowSums& to, KeyRange keys) {
  for (Index c = 0; c < to.columns;) {
    const float* const from = rows + c / kPanel * kPanel * kPanel + c % kPanel;
    const RowSums rest = {
        .data = to.data + c, .row = to.row, .columns = to.columns - c, .factor = to.factor};
    const Index in_chunk = least(kPanel - c % kPanel, rest.columns);
    if (in_chunk > (kGroup - 1) * kLanes) {
      row_block<kGroup>(from, weights, count, rest, keys);
      c += Index{kGroup} * kLanes;
    } else if (kGroup > 2 && in_chunk > kLanes) {
      row_block<2>(from, weights, count, rest, keys);
      c += Index{2} * kLanes;
    } else {
      row_block<1>(from, weights, count, rest, keys);
      c += kLanes;
    }
  }
}

/// The same for all keys that a panel sees of a block: each with the rows from the first vector on
/// that sees it.
void add_visible_rows(const SdpaRows& panel, const BlockView& view, const float* rows,
                      const float* weights, const RowSums& to) {
  Index begin = view.begin();
  for (int w = 0; w < kVectors; w += kStep) {
    const Index end = view.range.end[w];
    if (begin < end) {
      const Index lane = largest(w * kLanes, panel.first);
      add_rows(rows + lane * kPanel, {.data = weights + lane, .row = kPanel, .column = 1},
               panel.first + panel.count - lane, to, {.begin = begin, .end = end});
      begin = end;
    }
  }
}

/// Whether the rows of the panel and the keys of a block can be multiplied by the zeros among the
/// weights (those of blocked and of dropped cells) and the gradients of scores (of blocked ones).
bool zeros_stay_zeros(const SdpaHead& head, const Work& work, const BlockView& view, Matrix keys) {
  if (view.visible == Visible::all) {
    return work.panel_is_finite || !head.dropout.any;
  }
  return work.panel_is_finite &&
         all_finite(keys, head.D, {.begin = view.begin(), .end = view.end()});
}

/// What a block adds, cell by cell: where infinities or NaN stand in rows or keys that some do not
/// see, or in rows whose weights are dropped.
void add_cells(const SdpaBackwardTask& task, const Work& work, const BlockView& view, Matrix keys,
               Index block) {
  const SdpaHead& head = task.head;
  const SdpaRows& rows = *work.panel.rows;
  for (Index n = view.begin(); n < view.end(); ++n) {
    float* const d_k = task.d_k + (block + n) * task.d_k_row;
    float* const d_v = task.d_v + (block + n) * task.d_v_row;
    const std::uint64_t seen =
        view.visible == Visible::all ? ~std::uint64_t{0} : work.block.words[n];
    const std::uint64_t kept = head.dropout.any ? work.kept[n] : seen;
    for (int lane = rows.first; lane < rows.first + rows.count; ++lane) {
      if (((seen >> lane) & 1U) == 0) {
        continue;
      }
      const float weight = work.block.weights[n * kPanel + lane];
      const float d_score = work.d_weights[n * kPanel + lane];
      for (Index c = 0; ((kept >> lane) & 1U) != 0 && c < head.Dv; ++c) {
        d_v[c] += weight * work.d_out[c * kPanel + lane];
      }
      const float sign = head.scale < 0 ? -1.0F : 1.0F;
      for (Index d = 0; d < head.D; ++d) {
        d_k[d] += d_score * head.scale * sign * work.panel.queries[d * kPanel + lane];
        work.panel.out[d * kPanel + lane] += d_score * *keys.from(n, d).data;
      }
    }
  }
}

/// Adds the gradients of the scores to those of the mask.
void add_to_mask(const SdpaHead& head, const Work& work, const BlockView& view, Index block) {
  const SdpaRows& rows = *work.panel.rows;
  for (int lane = rows.first; lane < rows.first + rows.count; ++lane) {
    for (Index n = view.begin(); n < view.range.end[lane / kLanes]; ++n) {
      rows.weights[lane][(block + n) * head.weights_key] += work.d_weights[n * kPanel + lane];
    }
  }
}

/// Beyond it the rounding of lse shows in the weights.
constexpr float kLargeLse = 32.0F;

/// The blocks of keys that a panel sees, each with its view.
template <class Body>
void for_each_block(const SdpaBackwardTask& task, Work& work, const Body& body) {
  const SdpaRows& rows = task.rows->rows;
  const KeyRange range = {.begin = rows.key_begin[rows.first], .end = rows.key_end[kPanel - 1]};
  for (Index begin = range.begin / kBlock * kBlock; begin < range.end; begin += kBlock) {
    const KeyRange seen = {.begin = largest(range.begin - begin, 0),
                           .end = least(range.end - begin, kBlock)};
    const KeyBlock<float> block = {
        .begin = begin,
        .size = seen.end,
        .keys = Operands<float>::keys(task.head, begin, seen, nullptr),
        .values = Operands<float>::values(task.head, begin, seen, nullptr),
        .seen = seen,
        .finite = Finite::unknown,
        .drops_values = false};
    const BlockView view = view_block(task.head, work.panel, block.begin, block.size,
                                      work.block.words, work.block.bias);
    if (view.visible != Visible::none) {
      body(block, view);
    }
  }
}

/// What lse lacks, where it is large: shift = -log2 of the sum of the weights. (At the far end, a
/// row whose scores are all float's lowest has that for its lse, and the number of its keys is
/// lost.) A lane's shift is its own.
void normalise(const SdpaBackwardTask& task, Work& work) {
  const SdpaHead& head = task.head;
  const SdpaRows& rows = task.rows->rows;
  const auto is_large = [&](int lane) {
    const float magnitude = __builtin_fabsf(work.negative_lse[lane]);
    return magnitude > kLargeLse && magnitude < kInfinity;
  };
  bool any = false;
  for (int lane = 0; lane < kPanel; ++lane) {
    work.shift[lane] = 0.0F;
    any = any || is_large(lane);
  }
  if (!any) {
    return;
  }
  float sums[kPanel];
  for (int lane = 0; lane < kPanel; lane += kLanes) {
    const Vec sink = lane < rows.first ? set1(-kInfinity) : load(rows.sink + lane);
    store(sums + lane, exp2(mul(add(sink, load(work.negative_lse + lane)), set1(kLog2E))));
  }
  for_each_block(task, work, [&](const KeyBlock<float>& block, const BlockView& view) {
    score_visible(head, work.panel, view, block, work.block);
    for (int w = 0; w < kVectors; ++w) {
      const int lane = w * kLanes;
      const Weights weights(head, work, lane);
      Vec sum = load(sums + lane);
      for (Index n = view.begin(); n < view.range.end[w]; ++n) {
        const Vec weight = weights.of(load(work.block.scores + n * kPanel + lane));
        const Mask sees = lanes_that_see(view, work.block.words, n, lane);
        sum = add(sum, select(sees, weight, zero()));
      }
      store(sums + lane, sum);
    }
  });
  for (int lane = rows.first; lane < kPanel; ++lane) {
    if (is_large(lane)) {
      work.shift[lane] = -natural_logarithm(sums[lane]) * kLog2E;
    }
  }
}

/// The panel through one block of keys.
void add_block(const SdpaBackwardTask& task, Work& work, const KeyBlock<float>& block,
               const BlockView& view) {
  const SdpaHead& head = task.head;
  const BlockScratch& scratch = work.block;
  score_visible(head, work.panel, view, block, scratch);
  score_block<false>(Queries{.data = work.d_out, .terms = head.Dv}, block.values, view.range,
                     work.d_weights, scratch.largest);
  if (head.dropout.any) {
    find_kept(head, task.rows->rows, block.begin, view, scratch.words, work.kept);
    weigh_block<true>(head, work, view);
  } else {
    weigh_block<false>(head, work, view);
  }
  if (head.has_weights) {
    add_to_mask(head, work, view, block.begin);
  }
  if (work.capped != nullptr) {
    score_block<false>(Queries{.data = work.panel.queries, .terms = head.D}, block.keys, view.range,
                       work.capped, scratch.largest);
    cap_scores(view, score_units(head).in_pass, head.softcap, work.capped);
    pass_softcap(head, work, view);
  }
  if (!zeros_stay_zeros(head, work, view, block.keys)) {
    add_cells(task, work, view, block.keys, block.begin);
    return;
  }
  const SdpaRows& rows = *work.panel.rows;
  add_visible_rows(rows, view, work.d_out_rows, scratch.weights,
                   {.data = task.d_v + block.begin * task.d_v_row,
                    .row = task.d_v_row,
                    .columns = head.Dv,
                    .factor = 1.0F});
  add_visible_rows(rows, view, work.query_rows, work.d_weights,
                   {.data = task.d_k + block.begin * task.d_k_row,
                    .row = task.d_k_row,
                    .columns = head.D,
                    .factor = head.scale});
  value_block(work.d_weights, block.keys, head.D, view.range, nullptr, work.panel.out);
}

/// Writes the gradients of the queries, times the scale, and of the sinks: weight of the sink *
/// (0 - mean), 0 for a row that sees no key.
void finish(const SdpaBackwardTask& task, const Work& work) {
  const SdpaRows& rows = task.rows->rows;
  for (int lane = 0; lane < kPanel; lane += kLanes) {
    const Vec sink = lane < rows.first ? set1(-kInfinity) : load(rows.sink + lane);
    const Vec exponent =
        fma(add(sink, load(work.negative_lse + lane)), set1(kLog2E), load(work.shift + lane));
    const Vec d_sink = sub(zero(), mul(exp2(exponent), load(work.mean + lane)));
    const Mask sees = mask_of(static_cast<std::uint32_t>(work.panel.seen >> lane));
    store(task.rows->d_sink + lane, select(sees, d_sink, zero()));
  }
  float factors[kPanel];
  for (float& factor : factors) {
    factor = task.head.scale;
  }
  store_lane_rows<float>(rows, task.rows->d_q, work.panel.out, factors, task.head.D,
                         task.d_q_feature);
}

}  // namespace

std::size_t sdpa_backward_scratch(const SdpaHead& head) noexcept {
  Scratch scratch(nullptr);
  lay_out(head, scratch);
  return static_cast<std::size_t>(scratch.used());
}

void sdpa_backward(const SdpaBackwardTask& task, std::byte* base) noexcept {
  Scratch scratch(base);
  Work work = lay_out(task.head, scratch);
  begin(task, work);
  normalise(task, work);
  for_each_block(task, work, [&](const KeyBlock<float>& block, const BlockView& view) {
    add_block(task, work, block, view);
  });
  finish(task, work);
}

}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
