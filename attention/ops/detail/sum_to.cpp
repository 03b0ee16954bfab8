#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include <attention/core/parallel.hpp>
#include <attention/ops/detail/sum_to.hpp>
#include <attention/ops/detail/walk.hpp>

namespace attention::detail {
namespace {

/// Pieces of a sum at most, and terms that are worth a piece: of numbers, and of rows of columns.
constexpr std::int64_t kPieces = 16;
constexpr std::int64_t kFewestNumbers = 4096;
constexpr std::int64_t kFewestRows = 64;
/// Columns that are summed side by side.
constexpr std::int64_t kColumns = 256;
/// Numbers that are brought together before they are summed.
constexpr std::int64_t kBlock = 256;
/// From here on, threads share the sums and not the pieces of each.
constexpr std::int64_t kManySums = 64;

std::int64_t divided_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

/// Terms [begin, end) of a sum.
struct Terms {
  std::int64_t begin;
  std::int64_t end;
};

/// Every eighth number in a sum of its own, then these by pairs.
double sum_of(const double* numbers, std::int64_t count) {
  constexpr std::int64_t kSums = 8;
  std::array<double, kSums> sums = {};
  std::int64_t n = 0;
  for (; n + kSums <= count; n += kSums) {
    for (std::int64_t i = 0; i < kSums; ++i) {
      sums[static_cast<std::size_t>(i)] += numbers[n + i];
    }
  }
  for (std::int64_t i = 0; n + i < count; ++i) {
    sums[static_cast<std::size_t>(i)] += numbers[n + i];
  }
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

/// The sums of one problem. A group is what one sum gives: a number, or, where the last dimension
/// stays, the sums of up to kColumns of its columns, whose rows are read as they lie.
template <class T>
class Sums {
 public:
  Sums(TensorView<T> out, TensorView<const T> x) : out_(out.data()), x_(x.data()) {
    const int missing = x.rank() - out.rank();
    for (int dim = 0; dim < x.rank(); ++dim) {
      const std::int64_t extent = x.size(dim);
      if (extent == 1) {
        continue;
      }
      const bool stays = dim >= missing && out.size(dim - missing) == extent;
      has_columns_ = stays;
      if (stays) {
        kept_.push_back(extent);
        kept_strides_[0].push_back(out.strides()[dim - missing]);
        kept_strides_[1].push_back(x.strides()[dim]);
      } else {
        summed_.push_back(extent);
        summed_strides_.push_back(x.strides()[dim]);
      }
    }
    if (has_columns_) {
      take_columns();
    } else if (summed_.rank() > 0) {
      take_last_summed();
    }
    terms_ = element_count(summed_) * run_;
    const std::int64_t fewest = has_columns_ ? kFewestRows : kFewestNumbers;
    pieces_ = std::clamp<std::int64_t>(terms_ / fewest, 1, kPieces);
    column_groups_ = divided_up(columns_, kColumns);
    groups_ = element_count(kept_) * column_groups_;
  }

  void run(int threads) const {
    if (groups_ < kManySums && pieces_ > 1) {
      for (std::int64_t group = 0; group < groups_; ++group) {
        sum_group(group, threads);
      }
      return;
    }
    const std::int64_t numbers = std::max<std::int64_t>(terms_ * std::min(columns_, kColumns), 1);
    const std::int64_t groups_of_task = std::max<std::int64_t>((1 << 14) / numbers, 1);
    parallel_for(divided_up(groups_, groups_of_task), threads, [&](std::int64_t task, int) {
      const std::int64_t end = std::min((task + 1) * groups_of_task, groups_);
      for (std::int64_t group = task * groups_of_task; group < end; ++group) {
        sum_group(group, 1);
      }
    });
  }

 private:
  void take_columns() {
    const int last = kept_.rank() - 1;
    columns_ = kept_[last];
    out_column_ = kept_strides_[0][last];
    step_ = kept_strides_[1][last];
    kept_.erase(last);
    kept_strides_[0].erase(last);
    kept_strides_[1].erase(last);
  }
  void take_last_summed() {
    const int last = summed_.rank() - 1;
    run_ = summed_[last];
    step_ = summed_strides_[last];
    summed_.erase(last);
    summed_strides_.erase(last);
  }

  void sum_group(std::int64_t group, int threads) const {
    const Walk<2> place(kept_, kept_strides_, group / column_groups_);
    const std::int64_t first = group % column_groups_ * kColumns;
    const std::int64_t columns = std::min(kColumns, columns_ - first);
    const T* const x = x_ + place.offsets()[1] + (has_columns_ ? first * step_ : 0);
    std::array<double, kPieces * kColumns> sums;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    const auto sum_piece = [&](std::int64_t piece, int /*worker*/) {
      const Terms terms = {.begin = terms_ * piece / pieces_,
                           .end = terms_ * (piece + 1) / pieces_};
      double* const to = sums.data() + piece * kColumns;
      if (has_columns_) {
        sum_rows(x, terms, columns, to);
      } else {
        *to = sum_numbers(x, terms);
      }
    };
    if (pieces_ == 1) {
      sum_piece(0, 0);
    } else {
      parallel_for(pieces_, threads, sum_piece);
    }
    T* const out = out_ + place.offsets()[0] + first * out_column_;
    for (std::int64_t c = 0; c < columns; ++c) {
      double sum = sums[static_cast<std::size_t>(c)];
      for (std::int64_t piece = 1; piece < pieces_; ++piece) {
        sum += sums[static_cast<std::size_t>(piece * kColumns + c)];
      }
      out[c * out_column_] = static_cast<T>(sum);
    }
  }

  /// sums[c] = the sum of column c of these rows, in their order.
  void sum_rows(const T* x, Terms terms, std::int64_t columns, double* sums) const {
    if (terms.begin == terms.end) {
      std::fill_n(sums, columns, 0.0);
      return;
    }
    Walk<1> walk(summed_, {summed_strides_}, terms.begin);
    const auto each = [&](const auto& body) {
      const T* const row = x + walk.offsets()[0];
      for (std::int64_t c = 0; step_ == 1 && c < columns; ++c) {
        body(sums[c], static_cast<double>(row[c]));
      }
      for (std::int64_t c = 0; step_ != 1 && c < columns; ++c) {
        body(sums[c], static_cast<double>(row[c * step_]));
      }
    };
    each([](double& sum, double number) { sum = number; });
    for (std::int64_t n = terms.begin + 1; n < terms.end; ++n) {
      walk.next();
      each([](double& sum, double number) { sum += number; });
    }
  }

  double sum_numbers(const T* x, Terms terms) const {
    double sum = 0;
    if (terms.begin == terms.end) {
      return sum;
    }
    std::array<double, kBlock> block;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    Walk<1> walk(summed_, {summed_strides_}, terms.begin / run_);
    std::int64_t at = terms.begin % run_;
    for (std::int64_t n = terms.begin; n < terms.end; n += kBlock) {
      const std::int64_t count = std::min(kBlock, terms.end - n);
      for (std::int64_t filled = 0; filled < count;) {
        const std::int64_t more = std::min(count - filled, run_ - at);
        copy_numbers(block.data() + filled, x + walk.offsets()[0] + at * step_, more);
        filled += more;
        at += more;
        if (at == run_) {
          at = 0;
          walk.next();
        }
      }
      sum += sum_of(block.data(), count);
    }
    return sum;
  }

  void copy_numbers(double* to, const T* from, std::int64_t count) const {
    for (std::int64_t i = 0; step_ == 1 && i < count; ++i) {
      to[i] = static_cast<double>(from[i]);
    }
    for (std::int64_t i = 0; step_ != 1 && i < count; ++i) {
      to[i] = static_cast<double>(from[i * step_]);
    }
  }

  T* out_;
  const T* x_;
  bool has_columns_ = false;  // whether the last dimension of more than one element stays
  Shape kept_;                // without the columns
  std::array<Strides, 2> kept_strides_;  // of out, of x
  Shape summed_;                         // without the last of them, if there are no columns
  Strides summed_strides_;
  std::int64_t columns_ = 1;
  std::int64_t out_column_ = 0;
  std::int64_t run_ = 1;   // extent of the last summed dimension, if there are no columns
  std::int64_t step_ = 1;  // of x, from column to column, or along a run
  std::int64_t terms_ = 0;
  std::int64_t pieces_ = 1;
  std::int64_t column_groups_ = 0;
  std::int64_t groups_ = 0;
};

}  // namespace

template <class T>
void sum_to(TensorView<T> out, TensorView<const T> x, int threads) {
  Sums<T>(out, x).run(threads);
}

template void sum_to(TensorView<float>, TensorView<const float>, int);
template void sum_to(TensorView<double>, TensorView<const double>, int);

}  // namespace attention::detail
