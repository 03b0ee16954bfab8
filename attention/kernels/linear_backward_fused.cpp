#include <algorithm>

#include <attention/kernels/linear_backward_fused.hpp>

namespace attention::kernels {
namespace {

using Cut = LinearBackwardFused::Cut;

/// Columns of a task: their part of a piece of terms stays in the second cache.
constexpr std::int64_t kMostColumns = 512;
/// Rows of a task for which packing the columns costs little.
constexpr std::int64_t kMostRows = 1024;
/// Tasks for each of several threads that keep them busy to the end, and the side of a task down to
/// which they are worth their packing.
constexpr std::int64_t kTasksPerThread = 4;
constexpr std::int64_t kFineSide = 256;
/// The smallest side, where there are threads without work.
constexpr std::int64_t kFewestRows = 16;

std::int64_t divided_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

/// The size of pieces of at most `most` that are about equal: a multiple of `step`, or all of it.
std::int64_t piece_of(std::int64_t total, std::int64_t most, std::int64_t step) {
  const std::int64_t pieces = std::max<std::int64_t>(divided_up(total, most), 1);
  return std::max<std::int64_t>(divided_up(divided_up(total, pieces), step) * step, 1);
}

/// Packing costs what a task is lacking in either direction, so the longer side is halved.
Cut cut_results(std::int64_t rows, std::int64_t columns, std::int64_t panel, std::int64_t threads) {
  Cut cut = {.rows = rows,
             .columns = columns,
             .rows_each = piece_of(rows, kMostRows, kFewestRows),
             .columns_each = piece_of(columns, kMostColumns, panel)};
  const auto tasks = [&] {
    return divided_up(rows, cut.rows_each) * divided_up(columns, cut.columns_each);
  };
  const auto halve = [&] {
    if (cut.columns_each <= panel || cut.rows_each > cut.columns_each) {
      cut.rows_each = piece_of(cut.rows_each, divided_up(cut.rows_each, 2), kFewestRows);
    } else {
      cut.columns_each = piece_of(cut.columns_each, divided_up(cut.columns_each, 2), panel);
    }
  };
  while (threads > 1 && tasks() < kTasksPerThread * threads &&
         std::max(cut.rows_each, cut.columns_each) >= 2 * kFineSide) {
    halve();
  }
  while (tasks() < threads && (cut.rows_each > kFewestRows || cut.columns_each > panel)) {
    halve();
  }
  cut.row_pieces = divided_up(rows, cut.rows_each);
  cut.column_pieces = divided_up(columns, cut.columns_each);
  return cut;
}

/// The results of one task.
struct Range {
  std::int64_t row;
  std::int64_t row_end;
  std::int64_t column;
  std::int64_t columns;

  Range(const Cut& cut, std::int64_t task)
      : row(task / cut.column_pieces * cut.rows_each),
        row_end(std::min(row + cut.rows_each, cut.rows)),
        column(task % cut.column_pieces * cut.columns_each),
        columns(std::min(cut.columns_each, cut.columns - column)) {}
};

/// Calls body(begin, count) for the pieces of a sum's terms, by their number alone; once if there
/// is none, so that the sums become 0.
template <class Body>
void for_each_piece_of_terms(std::int64_t terms, const Body& body) {
  const std::int64_t each = piece_of(terms, kMaxProductTerms, 16);
  std::int64_t begin = 0;
  do {
    body(begin, static_cast<int>(std::min(each, terms - begin)));
    begin += each;
  } while (begin < terms);
}

/// The rows of a tensor, all dimensions but the last, one after the other.
class Rows {
 public:
  Rows(const Layout& layout, std::int64_t row) : layout_(layout), index_(layout.shape) {
    for (int dim = layout.rank() - 2; dim >= 0; --dim) {
      index_[dim] = row % std::max<std::int64_t>(layout.shape[dim], 1);
      row /= std::max<std::int64_t>(layout.shape[dim], 1);
      offset_ += index_[dim] * layout.strides[dim];
    }
  }
  /// Writes where element `element` of the next `count` rows lies.
  template <class T>
  void fill(T* data, std::int64_t element, int count, T** places) {
    for (int n = 0; n < count; ++n) {
      places[n] = data + (offset_ + element * layout_.strides[layout_.rank() - 1]);
      advance();
    }
  }

 private:
  void advance() {
    int dim = layout_.rank() - 2;
    for (; dim >= 0 && ++index_[dim] == layout_.shape[dim]; --dim) {
      index_[dim] = 0;
      offset_ -= (layout_.shape[dim] - 1) * layout_.strides[dim];
    }
    offset_ += dim < 0 ? 0 : layout_.strides[dim];
  }

  const Layout& layout_;
  Dims index_;
  std::int64_t offset_ = 0;
};

template <class T>
std::int64_t last_stride(const TensorView<T>& tensor) {
  return tensor.strides()[tensor.rank() - 1];
}

std::int64_t row_count(const TensorView<const float>& tensor) {
  Shape outer = tensor.shape();
  outer.erase(outer.rank() - 1);
  return element_count(outer);
}

}  // namespace

LinearBackwardFused::LinearBackwardFused(const LinearBackwardProblem<float>& problem,
                                         const IsaFunctions& isa, int threads)
    : problem_(problem), isa_(isa), rows_(row_count(problem.x)) {
  const std::int64_t O = problem.weight.size(0);
  const std::int64_t I = problem.weight.size(1);
  if (!problem.d_weight.is_null()) {
    weight_ = cut_results(O, I, isa.panel_rows, threads);
  }
  if (!problem.d_bias.is_null() && weight_.tasks() == 0) {
    weight_ = cut_results(O, 1, isa.panel_rows, threads);
    weight_.columns = 0;
  }
  if (!problem.d_x.is_null()) {
    x_ = cut_results(rows_, I, isa.panel_rows, threads);
  }
}

void LinearBackwardFused::run(std::int64_t task, std::byte* scratch) const noexcept {
  if (task < weight_.tasks()) {
    run_weight(task, scratch);
  } else {
    run_x(task - weight_.tasks(), scratch);
  }
}

void LinearBackwardFused::run_weight(std::int64_t task, std::byte* scratch) const noexcept {
  const LinearBackwardProblem<float>& p = problem_;
  const Range range(weight_, task);
  LinearBackwardTask
      args;  // NOLINT(cppcoreguidelines-pro-type-member-init): its arrays are filled as needed
  args.columns = range.columns;
  args.left_rows = LeftRows::terms;
  args.left_stride = last_stride(p.d_out);
  args.right_stride = last_stride(p.x);
  args.out_stride = range.columns == 0 ? 1 : p.d_weight.strides()[1];
  const bool wants_bias = !p.d_bias.is_null() && range.column == 0;
  args.left_sums_stride = wants_bias ? p.d_bias.strides()[0] : 0;
  Rows d_out_rows(p.d_out.layout(), 0);
  Rows x_rows(p.x.layout(), 0);
  for_each_piece_of_terms(rows_, [&](std::int64_t n, int terms) {
    args.terms = terms;
    args.adds = p.accumulate || n > 0;
    x_rows.fill(p.x.data(), range.column, range.columns > 0 ? terms : 0, args.right);
    d_out_rows.fill(p.d_out.data(), range.row, terms, args.left);
    for (std::int64_t o = range.row; o < range.row_end; o += kMaxProductRows) {
      for (int t = 0; t < terms && o > range.row; ++t) {
        args.left[t] += kMaxProductRows * args.left_stride;
      }
      args.rows = static_cast<int>(std::min<std::int64_t>(kMaxProductRows, range.row_end - o));
      args.keeps_right = o > range.row;
      args.left_sums = wants_bias ? p.d_bias.data() + o * args.left_sums_stride : nullptr;
      for (int r = 0; r < args.rows && range.columns > 0; ++r) {
        args.out[r] =
            p.d_weight.data() + (o + r) * p.d_weight.strides()[0] + range.column * args.out_stride;
      }
      isa_.linear_backward(args, scratch);
    }
  });
}

void LinearBackwardFused::run_x(std::int64_t task, std::byte* scratch) const noexcept {
  const LinearBackwardProblem<float>& p = problem_;
  const Range range(x_, task);
  LinearBackwardTask
      args;  // NOLINT(cppcoreguidelines-pro-type-member-init): its arrays are filled as needed
  args.columns = range.columns;
  args.left_rows = LeftRows::results;
  args.left_stride = last_stride(p.d_out);
  args.right_stride = p.weight.strides()[1];
  args.out_stride = last_stride(p.d_x);
  args.left_sums = nullptr;
  for_each_piece_of_terms(p.weight.size(0), [&](std::int64_t o, int terms) {
    args.terms = terms;
    args.adds = p.accumulate || o > 0;
    for (int t = 0; t < terms; ++t) {
      args.right[t] =
          p.weight.data() + (o + t) * p.weight.strides()[0] + range.column * args.right_stride;
    }
    Rows d_out_rows(p.d_out.layout(), range.row);
    Rows d_x_rows(p.d_x.layout(), range.row);
    for (std::int64_t n = range.row; n < range.row_end; n += kMaxProductRows) {
      args.rows = static_cast<int>(std::min<std::int64_t>(kMaxProductRows, range.row_end - n));
      args.keeps_right = n > range.row;
      d_out_rows.fill(p.d_out.data(), o, terms > 0 ? args.rows : 0, args.left);
      d_x_rows.fill(p.d_x.data(), range.column, args.rows, args.out);
      isa_.linear_backward(args, scratch);
    }
  });
}

std::size_t linear_backward_fused_scratch(const IsaFunctions& isa, std::int64_t I) noexcept {
  return isa.linear_backward_scratch(std::min(I, kMostColumns));
}

}  // namespace attention::kernels
