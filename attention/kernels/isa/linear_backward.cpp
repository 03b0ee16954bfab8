#include <attention/kernels/isa/functions.hpp>
#include <attention/kernels/isa/product_tile.hpp>
#include <attention/kernels/isa/scratch.hpp>

/// The gradients of the affine map: one product, out = left right, for two of them.
///
///   d_x      = d_out   weight     terms: the outputs o
///   d_weight = d_out^T x          terms: the rows n; d_bias are the sums of the left factor
///
/// In both the lanes hold inputs i, which lie side by side in `right` and in `out`: they are loaded
/// and stored as they are. `left` is broadcast. Both factors are copied into scratch first: in
/// place, terms would lie a row apart, often a power of two, and fall on each other in the caches.
///
/// The terms of a call are summed by themselves, and then added to what is there: rounding errors
/// grow with the terms of a call and with the number of calls, not with their product.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

constexpr Index kRows = 96;  // of a block of `left`, which stays in the second cache

/// Between the rows of a block of `left` that has one for each result: not a power of two.
constexpr Index kTermsApart = kMaxProductTerms + 16;
static_assert(kRows % kLanes == 0 && kMaxProductTerms % kLanes == 0);

struct Work {
  float* right;  // panel after panel, a lane row for each term
  float* left;   // a block
};

Work lay_out(Index columns, Scratch& scratch) {
  const Index panels = (columns + kPanel - 1) / kPanel;
  Work work = {};
  work.right = scratch.take<float>(panels * kMaxProductTerms * kPanel);
  work.left = scratch.take<float>(kRows * kTermsApart);
  return work;
}

/// Rows of a matrix, wherever they lie.
struct RowsToCopy {
  const float* const* data;
  Index count;
  Index stride;

  RowsToCopy from(Index row, Index most) const {
    return {.data = data + row, .count = least(count - row, most), .stride = stride};
  }
  /// Whether element c of each lies beside that of the next.
  bool are_side_by_side() const {
    for (Index n = 1; n < count; ++n) {
      if (data[n] != data[n - 1] + 1) {
        return false;
      }
    }
    return true;
  }
};

/// Copies the elements [begin, end) of rows: row n to place + n * apart, whole vectors.
void copy_rows(RowsToCopy rows, KeyRange elements, float* place, Index apart) {
  for (Index n = 0; n < rows.count; ++n) {
    const float* const from = rows.data[n];
    for (Index c = elements.begin; c < elements.end; c += kLanes) {
      store(place + n * apart + c - elements.begin,
            load_strided(from + c * rows.stride, rows.stride, elements.end - c));
    }
  }
}

/// The same for rows that lie side by side: the columns are loaded, and transposed in registers.
void copy_columns(RowsToCopy rows, KeyRange elements, float* place, Index apart) {
  for (Index n = 0; n < rows.count; n += kLanes) {
    for (Index c = elements.begin; c < elements.end; c += kLanes) {
      Vec tile[kLanes];
      for (Index j = 0; j < kLanes; ++j) {
        tile[j] = c + j < elements.end
                      ? load_strided(rows.data[n] + (c + j) * rows.stride, 1, rows.count - n)
                      : zero();
      }
      transpose(tile);
      for (Index j = 0; j < least(kLanes, rows.count - n); ++j) {
        store(place + (n + j) * apart + c - elements.begin, tile[j]);
      }
    }
  }
}

void copy(RowsToCopy rows, KeyRange elements, float* place, Index apart) {
  if (elements.begin == elements.end) {
    return;
  }
  if (rows.stride != 1 && rows.count > 1 && rows.are_side_by_side()) {
    copy_columns(rows, elements, place, apart);
  } else {
    copy_rows(rows, elements, place, apart);
  }
}

/// A few rows at a time, so that they are read in their order.
void pack_right(const LinearBackwardTask& task, float* place) {
  const RowsToCopy rows = {.data = task.right, .count = task.terms, .stride = task.right_stride};
  for (Index t = 0; t < task.terms; t += kLanes) {
    for (Index c = 0; c < task.columns; c += kPanel) {
      copy(rows.from(t, kLanes), {.begin = c, .end = least(c + kPanel, task.columns)},
           place + (c * task.terms + t * kPanel), kPanel);
    }
  }
}

/// The rows [begin, end) of the result: left(r, t) as the products read it.
Matrix pack_left(const LinearBackwardTask& task, KeyRange rows, float* place) {
  if (task.left_rows == LeftRows::results) {
    copy({.data = task.left + rows.begin,
          .count = rows.end - rows.begin,
          .stride = task.left_stride},
         {.begin = 0, .end = task.terms}, place, kTermsApart);
    return {.data = place, .row = kTermsApart, .column = 1};
  }
  copy({.data = task.left, .count = task.terms, .stride = task.left_stride}, rows, place, kRows);
  return {.data = place, .row = 1, .column = kRows};
}

/// left_sums of some rows: of `left` as packed with a row for each term.
void sum_left(const LinearBackwardTask& task, KeyRange rows, const float* left) {
  constexpr int kChains = 4;
  const Index stride = task.left_sums_stride;
  for (Index r = rows.begin; r < rows.end; r += kLanes) {
    const float* const from = left + r - rows.begin;
    Vec sum[kChains] = {zero(), zero(), zero(), zero()};
    Index t = 0;
    for (; t + kChains <= task.terms; t += kChains) {
#pragma GCC unroll 4
      for (int i = 0; i < kChains; ++i) {
        sum[i] = add(sum[i], load(from + (t + i) * kRows));
      }
    }
    for (; t < task.terms; ++t) {
      sum[0] = add(sum[0], load(from + t * kRows));
    }
    const Vec all = add(add(sum[0], sum[1]), add(sum[2], sum[3]));
    float* const place = task.left_sums + r * stride;
    store_strided(place, stride, rows.end - r,
                  task.adds ? add(load_strided(place, stride, rows.end - r), all) : all);
  }
}

/// Where a tile of the result goes.
struct Place {
  Index row;
  Index column;
};

/// Writes a tile that does not lie in whole vectors: `count` rows of `width` numbers.
__attribute__((noinline)) void store_apart(const LinearBackwardTask& task, Place place,
                                           const float* numbers, Index count, Index width) {
  const Index stride = task.out_stride;
  for (Index r = 0; r < count; ++r) {
    float* const to = task.out[place.row + r] + place.column * stride;
    for (Index c = 0; c < least(width, task.columns - place.column); ++c) {
      const float number = numbers[r * width + c];
      to[c * stride] = task.adds ? to[c * stride] + number : number;
    }
  }
}

/// kCount rows of the result by kWidth vectors of columns.
template <int kWidth, int kCount>
ATTENTION_INLINE void product_tile(const LinearBackwardTask& task, const float* right, Matrix left,
                                   Place place) {
  Vec sum[kCount][kWidth];
  clear(sum);
  add_products<0>(sum, right, left, task.terms);
  if (task.out_stride == 1 && task.columns - place.column >= kWidth * kLanes) {
    if (task.adds) {
#pragma GCC unroll 8
      for (int r = 0; r < kCount; ++r) {
        float* const to = task.out[place.row + r] + place.column;
#pragma GCC unroll 8
        for (int w = 0; w < kWidth; ++w) {
          sum[r][w] = add(load(to + w * kLanes), sum[r][w]);
        }
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < kCount; ++r) {
      float* const to = task.out[place.row + r] + place.column;
#pragma GCC unroll 8
      for (int w = 0; w < kWidth; ++w) {
        store(to + w * kLanes, sum[r][w]);
      }
    }
    return;
  }
  float numbers[kCount * kWidth * kLanes];
#pragma GCC unroll 8
  for (int r = 0; r < kCount; ++r) {
#pragma GCC unroll 8
    for (int w = 0; w < kWidth; ++w) {
      store(numbers + (r * kWidth + w) * kLanes, sum[r][w]);
    }
  }
  store_apart(task, place, numbers, kCount, Index{kWidth} * kLanes);
}

/// The rows of a block by kWidth vectors of columns.
template <int kWidth>
__attribute__((noinline)) void product_block(const LinearBackwardTask& task, const float* right,
                                             Matrix left, KeyRange rows, Index column) {
  for_each_tile(rows.begin, rows.end, [&]<int kCount>(Index r) __attribute__((always_inline)) {
    product_tile<kWidth, kCount>(task, right, left.from(r - rows.begin, 0),
                                 {.row = r, .column = column});
  });
}

/// The rows of a block by all columns.
void multiply(const LinearBackwardTask& task, const float* right, Matrix left, KeyRange rows) {
  for (Index c = 0; c < task.columns;) {
    const float* const lanes = right + c / kPanel * kPanel * task.terms + c % kPanel;
    const Index rest = least(kPanel - c % kPanel, task.columns - c);
    if (rest > (kGroup - 1) * kLanes) {
      product_block<kGroup>(task, lanes, left, rows, c);
      c += Index{kGroup} * kLanes;
    } else if (kGroup > 2 && rest > kLanes) {
      product_block<2>(task, lanes, left, rows, c);
      c += Index{2} * kLanes;
    } else {
      product_block<1>(task, lanes, left, rows, c);
      c += kLanes;
    }
  }
}

}  // namespace

std::size_t linear_backward_scratch(std::int64_t columns) noexcept {
  Scratch scratch(nullptr);
  lay_out(columns, scratch);
  return static_cast<std::size_t>(scratch.used());
}

void linear_backward(const LinearBackwardTask& task, std::byte* base) noexcept {
  Scratch scratch(base);
  const Work work = lay_out(task.columns, scratch);
  if (!task.keeps_right) {
    pack_right(task, work.right);
  }
  for (Index r = 0; r < task.rows; r += kRows) {
    const KeyRange rows = {.begin = r, .end = least(r + kRows, task.rows)};
    const Matrix left = pack_left(task, rows, work.left);
    if (task.left_sums != nullptr) {
      sum_left(task, rows, work.left);
    }
    multiply(task, work.right, left, rows);
  }
}

}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
