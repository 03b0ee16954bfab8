#include <attention/kernels/isa/functions.hpp>
#include <attention/kernels/isa/product_tile.hpp>
#include <attention/kernels/isa/scratch.hpp>
#include <attention/kernels/isa/sdpa_decode_tile.hpp>
#include <attention/kernels/isa/sdpa_finish.hpp>
#include <attention/kernels/isa/sdpa_row_softmax.hpp>

/// Attention of a few queries to many keys: what it costs is to read the keys and values. So they
/// are read once, as they lie; the lanes hold features, and then keys, where the kernel for many
/// queries holds queries. The keys are cut into pieces whose number depends on S alone, so that
/// threads can share one head; the partial results of the pieces are merged in their order.
///
/// Source: Milakov and Gimelshein 2018, "Online normalizer calculation for softmax", section 3.1,
/// whose operator merges partial results; Dao et al. 2023, "Flash-Decoding".
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

/// From so many rows on, 16-bit keys and values are converted once for all rows.
constexpr int kRowsWorthConverting = 12;
/// Keys whose values stay in the innermost cache for all rows.
constexpr Index kKeysOfManyRows = 32;

/// Whether inputs of T have exact scores where rounding those of float could show.
template <class T>
constexpr bool kScoredExactly = sizeof(T) == sizeof(float);

/// Scores up to here are sums of float: their rounding errors, a few units of 2^-24 of this, move
/// the results by less than the rounding of the values does.
constexpr float kMostRoundedScore = 16;

/// The partial results of the rows of a task over one piece of the keys.
struct Part {
  float* maximum;       // of each row's scores
  float* sum;           // kLanes of each row: of its weights, relative to the maximum
  float* out;           // padded(Dv) of each row: of weights * values
  std::uint64_t* seen;  // one word: the rows that saw a key
};

Part lay_out_part(const SdpaHead& head, int rows, Scratch& scratch) {
  return {.maximum = scratch.take<float>(rows),
          .sum = scratch.take<float>(Index{rows} * kLanes),
          .out = scratch.take<float>(rows * padded(head.Dv)),
          .seen = scratch.take<std::uint64_t>(1)};
}

Part part_at(const SdpaHead& head, int rows, std::byte* place) {
  Scratch scratch(place);
  return lay_out_part(head, rows, scratch);
}

/// Scratch of one task.
struct Work {
  float* queries;        // padded(D) of each row, times the sign of the scale
  bool* by_hand;         // of each row: not multiplied two features at once
  double* wide_queries;  // the same as double
  float* scores;         // kBlock of each row
  float* low_scores;     // what they lack
  float* keys;           // a block of keys that cannot be read in place
  float* values;         // a block of values that cannot be read in place
  Panel panel;           // for the results
};

Work lay_out(const SdpaHead& head, int rows, Scratch& scratch) {
  Work work = {};
  work.queries = scratch.take<float>(rows * padded(head.D));
  work.by_hand = scratch.take<bool>(rows);
  work.wide_queries = scratch.take<double>(rows * padded(head.D));
  work.scores = scratch.take<float>(rows * kBlock);
  work.low_scores = scratch.take<float>(rows * kBlock);
  work.keys = scratch.take<float>(kBlock * head.D);
  work.values = scratch.take<float>(kBlock * head.Dv);
  work.panel.out = scratch.take<float>(head.Dv * kPanel);
  work.panel.maximum = scratch.take<float>(kPanel);
  work.panel.sum = scratch.take<float>(kPanel);
  return work;
}

/// Some of the rows of a task, a bit each.
using RowSet = std::uint64_t;

bool contains(RowSet rows, int r) {
  return ((rows >> r) & 1U) != 0;
}

/// The scores of row r of a block.
RowScores scores_of(const Work& work, RowSet exact, int r) {
  float* const low = work.low_scores + r * kBlock;
  return {.high = work.scores + r * kBlock, .low = contains(exact, r) ? low : nullptr};
}

/// Whether keys and values are read as they lie: their features side by side, and not so many rows
/// that each would convert them again.
bool reads_in_place(const SdpaTask& task) {
  const SdpaHead& head = task.head;
  return (head.k_feature == 1 || head.D <= 1) && (head.v_feature == 1 || head.Dv <= 1) &&
         (head.element == Element::f32 || task.rows->count < kRowsWorthConverting);
}

/// Whether products of two features at once would get the scores of this query wrong.
bool needs_single_products(const float* q, Index D) {
  std::uint32_t found = 0;
  for (Index d = 0; d < D; d += kLanes) {
    found |= lanes_to_multiply_singly(load(q + d));
  }
  return found != 0;
}

/// Reads the queries, in the order in which the features of keys are read.
template <class T>
void read_queries(const SdpaTask& task, const Work& work) {
  const SdpaHead& head = task.head;
  const SdpaRows& rows = *task.rows;
  const Vec sign = set1(head.scale < 0 ? -1.0F : 1.0F);
  for (int r = 0; r < rows.count; ++r) {
    const T* const q = static_cast<const T*>(rows.q[r]);
    float* const place = work.queries + r * padded(head.D);
    for (Index d = 0; d < head.D; d += kLanes) {
      const Vec x = load_strided(q + d * head.q_feature, head.q_feature, head.D - d);
      store(place + d, mul(x, sign));
    }
    for (Index d = 0; d < head.D && kScoredExactly<T>; ++d) {
      work.wide_queries[r * padded(head.D) + d] = static_cast<double>(place[d]);
    }
    work.by_hand[r] = kHasJoined<T> && needs_single_products(place, head.D);
    if (!reads_in_place(task)) {
      continue;
    }
    if (work.by_hand[r]) {
      to_order_of_keys<T, false>(place, head.D);
    } else {
      to_order_of_keys<T, kHasJoined<T>>(place, head.D);
    }
  }
}

void begin_part(const SdpaHead& head, int rows, const Part& part) {
  for (int r = 0; r < rows; ++r) {
    part.maximum[r] = -kInfinity;
    store(part.sum + r * kLanes, zero());
    for (Index c = 0; c < head.Dv; c += kLanes) {
      store(part.out + r * padded(head.Dv) + c, zero());
    }
  }
  *part.seen = 0;
}

/// A block of keys, and the rows of keys and values from there.
template <class T>
struct Block {
  Index begin;
  Index size;
  Rows<T> keys;
  Rows<T> values;
};

/// The rows [begin, end) of a task.
struct RowRange {
  int begin;
  int end;
};

/// Scores of these rows. The keys are taken a few at a time, so that all rows find them in the
/// innermost cache.
template <bool kExact, int kRounds, class T>
__attribute__((noinline)) void score_rounds(const Work& work, RowRange rows, const Block<T>& block,
                                            Index D) {
  for (Index n = 0; n < block.size; n += kLanes) {
    const Rows<T> keys = {.data = block.keys.at(n), .row = block.keys.row};
    for (int r = rows.begin; r < rows.end; ++r) {
      const ScoredQuery query = {.features = work.queries + r * padded(D),
                                 .wide_features = work.wide_queries + r * padded(D),
                                 .high = work.scores + r * kBlock + n,
                                 .low = work.low_scores + r * kBlock + n};
      if (kHasJoined<T> && work.by_hand[r]) {
        score_keys<kExact, kRounds, false>(query, keys, D, block.size - n);
      } else {
        score_keys<kExact, kRounds, kHasJoined<T>>(query, keys, D, block.size - n);
      }
    }
  }
}

/// The same, with the loop over the features unrolled for the usual sizes.
template <bool kExact, class T>
void score_rows(const Work& work, RowRange rows, const Block<T>& block, Index D) {
  switch (D % kRound == 0 ? D / kRound : 0) {
    case 1:
      score_rounds<kExact, 1>(work, rows, block, D);
      break;
    case 2:
      score_rounds<kExact, 2>(work, rows, block, D);
      break;
    case 4:
      score_rounds<kExact, 4>(work, rows, block, D);
      break;
    default:
      score_rounds<kExact, 0>(work, rows, block, D);
      break;
  }
}

/// Whether a row has a score beyond `most` (or a NaN).
bool exceeds(const float* scores, Index size, float most) {
  std::uint32_t small = kAllLanes;
  for (Index n = 0; n < size; n += kLanes) {
    small &= bits_of(less(abs(load(scores + n)), set1(most)));
  }
  return small != kAllLanes;
}

/// Scores of all rows; returns those whose scores are exact. Few keys say little of how large the
/// products are, and cost little.
template <bool kExact, class T>
RowSet score_block(const SdpaHead& head, const Work& work, int rows, const Block<T>& block) {
  const RowRange all = {.begin = 0, .end = rows};
  if constexpr (kExact) {
    if (block.size < kBlock) {
      score_rows<true>(work, all, block, head.D);
      return lanes_below(rows);
    }
  }
  score_rows<false>(work, all, block, head.D);
  if constexpr (kExact) {
    RowSet exact = 0;
    const float most = kMostRoundedScore / (head.scale < 0 ? -head.scale : head.scale);
    for (int r = 0; r < rows; ++r) {
      if (exceeds(work.scores + r * kBlock, kBlock, most)) {
        score_rows<true>(work, {.begin = r, .end = r + 1}, block, head.D);
        exact |= RowSet{1} << r;
      }
    }
    return exact;
  }
  return 0;
}

template <bool kLow>
void exponentiate(float to_log2, float maximum, Index size, const RowScores& scores, float* sum) {
  const Exponents<true> exponents(to_log2, set1(maximum));
  if (bits_of(exponents.large) != 0) {
    exponentiate_row<true, kLow>(exponents, size, scores, sum);
  } else {
    exponentiate_row<false, kLow>(Exponents<false>(to_log2, set1(maximum)), size, scores, sum);
  }
}

/// A row's scores of a block become weights. False if it sees nothing of the block.
bool weigh_row(const SdpaHead& head, const SdpaRows& rows, const RowBlock& block, const Part& part,
               RowView& view, const RowScores& scores) {
  const int r = block.lane;
  const float largest_score = finish_scores(head, rows, block, view, scores);
  if (!view.any()) {
    return false;
  }
  *part.seen |= std::uint64_t{1} << r;
  const float to_log2 = score_units(head).to_log2;
  float* const sum = part.sum + r * kLanes;
  if (largest_score > part.maximum[r]) {
    const Vec factor = shrink_factor(to_log2, part.maximum[r], largest_score);
    part.maximum[r] = largest_score;
    store(sum, mul(load(sum), factor));
    for (Index c = 0; c < head.Dv; c += kLanes) {
      float* const out = part.out + r * padded(head.Dv) + c;
      store(out, mul(load(out), factor));
    }
  }
  if (scores.low == nullptr) {
    exponentiate<false>(to_log2, part.maximum[r], block.size, scores, sum);
  } else {
    exponentiate<true>(to_log2, part.maximum[r], block.size, scores, sum);
  }
  return true;
}

/// True when no value of the block is infinite or NaN.
template <class T>
bool all_finite(const Block<T>& block, Index Dv) {
  Vec zeros = zero();  // NaN once an infinity or a NaN was multiplied by 0
  for (Index n = 0; n < block.size; ++n) {
    for (Index c = 0; c < Dv; c += kLanes) {
      zeros = fma(load_strided(block.values.at(n) + c, 1, Dv - c), zero(), zeros);
    }
  }
  return bits_of(equal(zeros, zero())) == kAllLanes;
}

/// One row's weighted values of the keys that it sees. (A weight of 0 times an infinity would be
/// NaN in a row that must not know of it.)
template <class T>
void add_seen_values(const float* weights, const Block<T>& block, const RowView& view, Index Dv,
                     float* out) {
  for (Index n = 0; n < block.size; ++n) {
    const Index begin = n;
    while (n < block.size && view.sees(n)) {
      ++n;
    }
    if (begin < n) {
      add_weighted_values(weights, block.values, {.begin = begin, .end = n}, Dv, out);
    }
  }
}

/// All rows through one block of keys.
template <bool kExact, class T>
void add_block(const SdpaTask& task, const Part& part, const Work& work, const Block<T>& block) {
  const SdpaHead& head = task.head;
  const SdpaRows& rows = *task.rows;
  const RowSet exact = score_block<kExact>(head, work, rows.count, block);
  RowView views[kMaxPanel];
  bool sees_any[kMaxPanel];
  bool all_see_all = true;
  for (int r = 0; r < rows.count; ++r) {
    const RowBlock row = {.lane = r, .begin = block.begin, .size = block.size};
    views[r] = view_of_row(head, rows, row);
    sees_any[r] = weigh_row(head, rows, row, part, views[r], scores_of(work, exact, r));
    if (head.dropout.any && sees_any[r]) {
      drop_row(head, rows, row, views[r], work.scores + r * kBlock);
    }
    all_see_all = all_see_all && views[r].all(block.size);
  }
  const bool skip_blocked = !all_see_all && !all_finite(block, head.Dv);
  const Index step = rows.count == 1 || skip_blocked ? kBlock : kKeysOfManyRows;
  for (Index n = 0; n < block.size; n += step) {
    const KeyRange range = {.begin = n, .end = least(n + step, block.size)};
    for (int r = 0; r < rows.count; ++r) {
      const float* const weights = work.scores + r * kBlock;
      float* const out = part.out + r * padded(head.Dv);
      if (sees_any[r] && skip_blocked) {
        add_seen_values(weights, block, views[r], head.Dv, out);
      } else if (sees_any[r]) {
        add_weighted_values(weights, block.values, range, head.Dv, out);
      }
    }
  }
}

/// Calls body(block) for the blocks of the keys [range.begin, range.end), in place or, where their
/// features do not lie side by side or many rows would convert them, as float in scratch.
template <class T, class Body>
void for_each_block(const SdpaTask& task, KeyRange range, const Work& work, const Body& body) {
  const SdpaHead& head = task.head;
  const bool in_place = reads_in_place(task);
  for (Index begin = range.begin; begin < range.end; begin += kBlock) {
    const Index size = least(kBlock, range.end - begin);
    const T* const keys = static_cast<const T*>(head.k) + begin * head.k_row;
    const T* const values = static_cast<const T*>(head.v) + begin * head.v_row;
    if (in_place) {
      body(Block<T>{.begin = begin,
                    .size = size,
                    .keys = {.data = keys, .row = head.k_row},
                    .values = {.data = values, .row = head.v_row}});
      continue;
    }
    const KeyRange all = {.begin = 0, .end = size};
    converted(keys, head.k_row, head.k_feature, all, head.D, work.keys);
    converted(values, head.v_row, head.v_feature, all, head.Dv, work.values);
    body(Block<float>{.begin = begin,
                      .size = size,
                      .keys = {.data = work.keys, .row = head.D},
                      .values = {.data = work.values, .row = head.Dv}});
  }
}

/// The keys of [begin, end) that any row sees lie in it; it begins with a block.
KeyRange keys_of(const SdpaRows& rows, Index begin, Index end) {
  return {.begin = largest(begin, rows.key_begin[0] / kBlock * kBlock),
          .end = least(end, rows.key_end[rows.count - 1])};
}

template <class T>
void run(const SdpaTask& task, const SdpaPiece& piece, const Work& work) {
  const SdpaRows& rows = *task.rows;
  const Part part = part_at(task.head, rows.count, piece.part);
  read_queries<T>(task, work);
  begin_part(task.head, rows.count, part);
  for_each_block<T>(task, keys_of(rows, piece.begin, piece.end), work, [&](const auto& block) {
    add_block<kScoredExactly<T>>(task, part, work, block);
  });
}

float sum_of_lanes(const float* lanes) {
  float total = 0;
  for (int lane = 0; lane < kLanes; ++lane) {
    total += lanes[lane];
  }
  return total;
}

/// Merges the parts of one row in their order; the sink comes first, a key without a value.
void merge_row(const SdpaTask& task, int r, const SdpaParts& parts, const Panel& panel,
               float* out) {
  const SdpaHead& head = task.head;
  const float to_log2 = score_units(head).to_log2;
  const Vec sink = set1(task.rows->sink[r]);
  float lanes[kLanes];
  store(lanes, exp2(Exponents<true>(to_log2, sink).of(sink)));
  float maximum = task.rows->sink[r];
  float sum = lanes[0];
  for (Index c = 0; c < head.Dv; c += kLanes) {
    store(out + c, zero());
  }
  for (Index p = 0; p < parts.count; ++p) {
    const Part part = part_at(head, task.rows->count, parts.data + p * parts.size);
    if (((*part.seen >> r) & 1U) == 0) {
      continue;
    }
    const float after = part.maximum[r] > maximum ? part.maximum[r] : maximum;
    const Vec old_factor = shrink_factor(to_log2, maximum, after);
    const Vec factor = shrink_factor(to_log2, part.maximum[r], after);
    const Vec more = set1(sum_of_lanes(part.sum + r * kLanes));
    store(lanes, fma(set1(sum), old_factor, mul(more, factor)));
    sum = lanes[0];
    maximum = after;
    for (Index c = 0; c < head.Dv; c += kLanes) {
      const Vec more_out = load(part.out + r * padded(head.Dv) + c);
      store(out + c, fma(load(out + c), old_factor, mul(more_out, factor)));
    }
  }
  panel.maximum[r] = maximum;
  panel.sum[r] = sum;
  for (Index c = 0; c < head.Dv; ++c) {
    panel.out[c * kPanel + r] = out[c];
  }
}

/// Writes weights of the keys [begin, begin + size) of a row from its scores; zeros without any.
void store_weights(const SdpaHead& head, const SdpaRows& rows, const RowBlock& block,
                   const RowView& view, const RowScores& scores, const Panel& panel) {
  const int r = block.lane;
  const Exponents<true> exponents(score_units(head).to_log2, set1(panel.maximum[r]));
  const Vec factor = set1(panel.sum[r]);
  for (Index n = 0; n < block.size; n += kLanes) {
    Vec weight = zero();
    if (view.any()) {
      Vec exponent = exponents.of(load(scores.high + n));
      if (scores.low != nullptr) {
        exponent = fma(load(scores.low + n), exponents.to_log2, exponent);
      }
      weight = select(mask_of(view.lanes_from(n)), mul(exp2(exponent), factor), zero());
    }
    store_strided(rows.weights[r] + (block.begin + n) * head.weights_key, head.weights_key,
                  block.size - n, weight);
  }
}

/// A second pass over all keys, now that each row's lse is known.
template <class T>
void write_weights(const SdpaTask& task, const Work& work) {
  const SdpaHead& head = task.head;
  const SdpaRows& rows = *task.rows;
  const KeyRange seen = keys_of(rows, 0, head.S);
  for (Index begin = 0; begin < head.S; begin += kBlock) {
    const RowBlock block = {.lane = 0, .begin = begin, .size = least(kBlock, head.S - begin)};
    for (int r = 0; r < rows.count && (begin < seen.begin || begin >= seen.end); ++r) {
      store_weights(head, rows, {.lane = r, .begin = begin, .size = block.size}, {}, {},
                    work.panel);
    }
  }
  read_queries<T>(task, work);
  for_each_block<T>(task, seen, work, [&](const auto& block) {
    const RowSet exact = score_block<kScoredExactly<T>>(head, work, rows.count, block);
    for (int r = 0; r < rows.count; ++r) {
      RowBlock row = {.lane = r, .begin = block.begin, .size = block.size};
      RowView view = view_of_row(head, rows, row);
      finish_scores(head, rows, row, view, scores_of(work, exact, r));
      row.size = least(kBlock, head.S - row.begin);  // the keys past those seen get zeros
      store_weights(head, rows, row, view, scores_of(work, exact, r), work.panel);
    }
  });
}

}  // namespace

std::size_t sdpa_decode_part(const SdpaHead& head, int rows) noexcept {
  Scratch scratch(nullptr);
  lay_out_part(head, rows, scratch);
  return static_cast<std::size_t>(scratch.used());
}

std::size_t sdpa_decode_scratch(const SdpaHead& head, int rows) noexcept {
  Scratch scratch(nullptr);
  lay_out(head, rows, scratch);
  return static_cast<std::size_t>(scratch.used());
}

void sdpa_decode(const SdpaTask& task, const SdpaPiece& piece, std::byte* base) noexcept {
  Scratch scratch(base);
  const Work work = lay_out(task.head, task.rows->count, scratch);
  switch (task.head.element) {
    case Element::bf16:
      run<Bfloat16>(task, piece, work);
      break;
    case Element::f16:
      run<Float16>(task, piece, work);
      break;
    default:
      run<float>(task, piece, work);
      break;
  }
}

void sdpa_decode_finish(const SdpaTask& task, const SdpaParts& parts, std::byte* base) noexcept {
  const SdpaHead& head = task.head;
  const SdpaRows& rows = *task.rows;
  Scratch scratch(base);
  Work work = lay_out(head, rows.count, scratch);
  Panel& panel = work.panel;
  panel.rows = task.rows;
  panel.seen = 0;
  for (Index p = 0; p < parts.count; ++p) {
    panel.seen |= *part_at(head, rows.count, parts.data + p * parts.size).seen;
  }
  for (int lane = 0; lane < kPanel; lane += kLanes) {
    store(panel.maximum + lane, zero());
    store(panel.sum + lane, zero());
  }
  for (Index c = 0; c < head.Dv; ++c) {
    for (int lane = 0; lane < rows.count; lane += kLanes) {
      store(panel.out + c * kPanel + lane, zero());
    }
  }
  for (int r = 0; r < rows.count; ++r) {
    merge_row(task, r, parts, panel, work.values);
  }
  finish_panel(head, panel);
  if (!head.has_weights) {
    return;
  }
  switch (head.element) {
    case Element::bf16:
      write_weights<Bfloat16>(task, work);
      break;
    case Element::f16:
      write_weights<Float16>(task, work);
      break;
    default:
      write_weights<float>(task, work);
      break;
  }
}

}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
