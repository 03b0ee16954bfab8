#include <attention/kernels/isa/feature_steps.hpp>
#include <attention/kernels/isa/functions.hpp>

/// layer_norm and rms_norm: features in lanes, kRowsAtOnce rows at a time, so that sums across
/// lanes and what follows from them are computed for all of these at once. No bit of a row depends
/// on the others.
///
///   pass 1   d[e] = x[e] - shift;  rest = sum_e d[e] / E,  variance = sum_e d[e]^2 / E - rest^2
///   pass 2   out[e] = (d[e] - rest) rstd weight[e] + bias[e]
///
/// In exact arithmetic any shift gives the same; rms_norm is the case without shift and rest. At
/// first the shift is 0. If the mean turns out to be larger than what the features differ by, much
/// of the variance has cancelled: then the mean becomes the shift, and pass 1 begins again.
///
/// Such a shift is the mean rounded to float, and far from 0 this is not the mean at all, beside
/// what the features differ by. But there the differences d are exact, and the rest, their own
/// mean, is what the shift lacks.
///
/// Source: Chan, Golub, LeVeque 1983, "Algorithms for Computing the Sample Variance", the shifted
/// and the corrected two-pass algorithm.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

/// Outside of these bounds, squares have lost too much to underflow or overflow.
constexpr double kSmallestSquare = 0x1p-100;
constexpr double kLargestSquare = 0x1p+127;

/// What pass 1 finds out about rows.
struct RowScales {
  float shift[kRowsAtOnce];
  float rstd[kRowsAtOnce];
  float offset[kRowsAtOnce];  // -rest rstd
  float mean[kRowsAtOnce];
  bool is_ordinary[kRowsAtOnce];
};

Features row_of(const NormTask& task, int row) {
  return {.data = task.x[row], .stride = task.x_feature};
}

/// Pass 1 of a row: its sums of d and of d^2.
ATTENTION_INLINE void sum_differences(Features x, float shift, KeyRange features,
                                      Vec (&of_row)[2]) {
  Vec sums[kChains] = {zero(), zero(), zero(), zero()};
  Vec sums_of_squares[kChains] = {zero(), zero(), zero(), zero()};
  const auto add_step = [&](const float* step) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int c = 0; c < kChains; ++c) {
      const Vec d = sub(load(step + c * kLanes), set1(shift));
      sums[c] = add(sums[c], d);
      sums_of_squares[c] = fma(d, d, sums_of_squares[c]);
    }
  };
  Index e = features.begin;
  for (; x.stride == 1 && e + kStepFeatures <= features.end; e += kStepFeatures) {
    add_step(x.data + e);
  }
  for (; e < features.end; e += kStepFeatures) {
    float step[kStepFeatures];
    copy_step(x, e, features.end, shift, step);  // past the last feature, differences of 0
    add_step(step);
  }
  of_row[0] = sum_of(sums);
  of_row[1] = sum_of(sums_of_squares);
}

/// Pass 1 of `count` rows from `row` on, with the shifts that the scales name. Afterwards a row is
/// ordinary unless its variance has cancelled, unless its squares left the range of float, and
/// unless something in it is not finite.
void find_scales(const NormTask& task, int row, int count, RowScales& scales) {
  const auto add_row = [&](int r, KeyRange features,
                           Vec(&of_row)[2]) __attribute__((always_inline)) {
    sum_differences(row_of(task, row + r), scales.shift[r], features, of_row);
  };
  const RowTotals<2> totals = sum_rows<2>(count, task.E, add_row);
  const double share = 1 / static_cast<double>(task.E);
  for (int r = 0; r < count; ++r) {
    const double rest = task.takes_mean ? totals.of[0][r] * share : 0.0;
    const double square = totals.of[1][r] * share;
    const double variance = square - rest * rest;
    const double rstd = 1 / __builtin_sqrt(variance + task.epsilon);
    scales.mean[r] = static_cast<float>(static_cast<double>(scales.shift[r]) + rest);
    scales.rstd[r] = static_cast<float>(rstd);
    scales.offset[r] = static_cast<float>(-rest * rstd);
    scales.is_ordinary[r] = variance >= 0.5 * square && square <= kLargestSquare &&
                            variance + task.epsilon >= kSmallestSquare;
  }
}

/// Pass 1, and once more where there has to be a shift.
RowScales measure(const NormTask& task, int row, int count) {
  RowScales scales = {};
  find_scales(task, row, count, scales);
  bool all_ordinary = true;
  for (int r = 0; r < count; ++r) {
    if (!scales.is_ordinary[r]) {
      scales.shift[r] = task.takes_mean ? scales.mean[r] : 0.0F;
      all_ordinary = false;
    }
  }
  if (!all_ordinary) {
    find_scales(task, row, count, scales);
  }
  return scales;
}

void store_statistics(const NormTask& task, int row, float mean, float rstd) {
  if (task.mean[row] != nullptr) {
    *task.mean[row] = mean;
  }
  if (task.rstd[row] != nullptr) {
    *task.rstd[row] = rstd;
  }
}

/// Pass 2 of kRows rows from `row` on, of which the first is number `first` of the scales: each
/// vector of weight and bias serves all of them. Without a shift there is nothing to subtract.
template <int kRows, bool kShifted>
void write_rows(const NormTask& task, int row, const RowScales& scales, int first) {
  const Features weight = Features::given_or(task.weight, task.weight_feature, kOnes);
  const Features bias = Features::given_or(task.bias, task.bias_feature, kZeros);
  Vec shift[kRows];
  Vec rstd[kRows];
  Vec offset[kRows];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    shift[r] = set1(scales.shift[first + r]);
    rstd[r] = set1(scales.rstd[first + r]);
    offset[r] = set1(scales.offset[first + r]);
  }
  const auto write_step = [&](const float* w, const float* b, const float* const(&x)[kRows],
                              float* const(&out)[kRows]) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int c = 0; c < kChains; ++c) {
      const Index at = c * kLanes;
      const Vec factor = load(w + at);
      const Vec term = load(b + at);
      Vec result[kRows];
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const Vec d = kShifted ? sub(load(x[r] + at), shift[r]) : load(x[r] + at);
        const Vec xhat = fma(d, rstd[r], offset[r]);
        result[r] = fma(xhat, factor, term);
      }
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        store(out[r] + at, result[r]);
      }
    }
  };
  const bool side_by_side = task.x_feature == 1 && task.out_feature == 1 &&
                            weight.lie_side_by_side() && bias.lie_side_by_side();
  Index e = 0;
  const float* x[kRows];
  float* out[kRows];
  for (; side_by_side && e + kStepFeatures <= task.E; e += kStepFeatures) {
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      x[r] = task.x[row + r] + e;
      out[r] = task.out[row + r] + e;
    }
    write_step(weight.at(e), bias.at(e), x, out);
  }
  for (; e < task.E; e += kStepFeatures) {
    float steps[kRows + 2][kStepFeatures];
    copy_step(weight, e, task.E, 0.0F, steps[kRows]);
    copy_step(bias, e, task.E, 0.0F, steps[kRows + 1]);
    for (int r = 0; r < kRows; ++r) {
      copy_step(row_of(task, row + r), e, task.E, 0.0F, steps[r]);
      x[r] = out[r] = steps[r];
    }
    write_step(steps[kRows], steps[kRows + 1], x, out);
    for (int r = 0; r < kRows; ++r) {
      store_step(steps[r], e, task.E, task.out[row + r], task.out_feature);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    store_statistics(task, row + r, scales.mean[first + r], scales.rstd[first + r]);
  }
}

/// Pass 2 of kRows ordinary rows.
template <int kRows>
void write_ordinary_rows(const NormTask& task, int row, const RowScales& scales, int first) {
  bool is_shifted = false;
  for (int r = first; r < first + kRows; ++r) {
    is_shifted = is_shifted || scales.shift[r] != 0;
  }
  if (is_shifted) {
    write_rows<kRows, true>(task, row, scales, first);
  } else {
    write_rows<kRows, false>(task, row, scales, first);
  }
}

/// A row that is not ordinary, as the definition reads.
__attribute__((noinline)) void write_row_in_double(const NormTask& task, int row) {
  const Features x = row_of(task, row);
  const Features weight = Features::given_or(task.weight, task.weight_feature, kOnes);
  const Features bias = Features::given_or(task.bias, task.bias_feature, kZeros);
  const auto E = static_cast<double>(task.E);
  double mean = 0;
  if (task.takes_mean) {
    double sum = 0;
    for (Index e = 0; e < task.E; ++e) {
      sum += static_cast<double>(*x.at(e));
    }
    mean = sum / E;
  }
  double squares = 0;
  for (Index e = 0; e < task.E; ++e) {
    const double d = static_cast<double>(*x.at(e)) - mean;
    squares += d * d;
  }
  const double rstd = 1 / __builtin_sqrt(squares / E + task.epsilon);
  for (Index e = 0; e < task.E; ++e) {
    const double xhat = (static_cast<double>(*x.at(e)) - mean) * rstd;
    const double out = xhat * static_cast<double>(*weight.at(e)) + static_cast<double>(*bias.at(e));
    task.out[row][e * task.out_feature] = static_cast<float>(out);
  }
  store_statistics(task, row, static_cast<float>(mean), static_cast<float>(rstd));
}

}  // namespace

void norm_forward(const NormTask& task) noexcept {
  for (int begin = 0; begin < task.rows; begin += kRowsAtOnce) {
    const int count = static_cast<int>(least(kRowsAtOnce, task.rows - begin));
    const RowScales scales = measure(task, begin, count);
    for (int r = 0; r < count; ++r) {
      if (r + 1 < count && scales.is_ordinary[r] && scales.is_ordinary[r + 1]) {
        write_ordinary_rows<2>(task, begin + r, scales, r);
        ++r;
      } else if (scales.is_ordinary[r]) {
        write_ordinary_rows<1>(task, begin + r, scales, r);
      } else {
        write_row_in_double(task, begin + r);
      }
    }
  }
}

}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
