#include <attention/kernels/isa/feature_steps.hpp>
#include <attention/kernels/isa/functions.hpp>
#include <attention/kernels/isa/scratch.hpp>

/// The gradients of layer_norm and rms_norm: features in lanes, kRowsAtOnce rows at a time. No bit
/// of a row of d_x depends on the other rows.
///
///   pass 1   g[e] = d_out[e] weight[e];  the sums over e of g[e] and of g[e] u[e], where u[e] is
///            such that xhat[e] = a u[e] + b
///            mean_g = sum_e g[e] / E,  mean_gx = (a sum_e g[e] u[e] + b sum_e g[e]) / E
///   pass 2   d_x[e] = rstd (g[e] - mean_g - xhat[e] mean_gx)
///            d_weight[e] += d_out[e] xhat[e],  d_bias[e] += d_out[e]
///
/// Near 0, where the mean is no larger than what the features differ by, u is x itself, with
/// a = rstd and b = -mean rstd. Elsewhere these would cancel, and the mean, which comes rounded to
/// float, may lack much beside what the features differ by: there u = (x - mean) rstd, a = 1, and
/// b = -sum_e u[e] / E is what it lacks, as in norm_forward.cpp. For rms_norm the mean is 0, and so
/// is mean_g.
///
/// Over rows, d_weight and d_bias are summed in float within a task, and then in double, so that no
/// error grows with the number of rows.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

/// Beyond these rstd, products of x might leave the range of float.
constexpr float kSmallestRstd = 0x1p-60F;
constexpr float kLargestRstd = 0x1p+60F;

/// What pass 1 finds out about rows: xhat = (x - shift) rstd + offset, and
/// d_x = g rstd + xhat of_xhat + of_all.
struct RowSlopes {
  float shift[kRowsAtOnce];  // the mean, or 0 near 0
  float offset[kRowsAtOnce];
  float of_xhat[kRowsAtOnce];
  float of_all[kRowsAtOnce];
};

/// The sums over the rows of a task, whole steps of floats.
struct TaskSums {
  float* weight;
  float* bias;
};

TaskSums lay_out(Index E, Scratch& scratch) {
  const Index padded = (E + kStepFeatures - 1) / kStepFeatures * kStepFeatures;
  TaskSums sums = {};
  sums.weight = scratch.take<float>(padded);
  sums.bias = scratch.take<float>(padded);
  return sums;
}

/// What pass 1 reads of a row.
struct RowInputs {
  Features x;
  Features d_out;
  Features weight;
  float mean;
  float rstd;

  bool lie_side_by_side() const {
    return x.stride == 1 && d_out.stride == 1 && weight.lie_side_by_side();
  }
};

RowInputs inputs_of(const NormBackwardTask& task, int row) {
  return {.x = {.data = task.x[row], .stride = task.x_feature},
          .d_out = {.data = task.d_out[row], .stride = task.d_out_feature},
          .weight = Features::given_or(task.weight, task.weight_feature, kOnes),
          .mean = task.mean[row],
          .rstd = task.rstd[row]};
}

/// Calls add_step(x, d_out, weight) for each step of the features; past the last one, d_out is 0
/// and x the mean.
template <class AddStep>
ATTENTION_INLINE void for_each_step(const RowInputs& row, KeyRange features,
                                    const AddStep& add_step) {
  Index e = features.begin;
  for (; row.lie_side_by_side() && e + kStepFeatures <= features.end; e += kStepFeatures) {
    add_step(row.x.at(e), row.d_out.at(e), row.weight.at(e));
  }
  for (; e < features.end; e += kStepFeatures) {
    float steps[3][kStepFeatures];
    copy_step(row.x, e, features.end, row.mean, steps[0]);
    copy_step(row.d_out, e, features.end, 0.0F, steps[1]);
    copy_step(row.weight, e, features.end, 0.0F, steps[2]);
    add_step(steps[0], steps[1], steps[2]);
  }
}

/// The sums of a row by their numbers: of g, of g u, and of u.
constexpr int kG = 0;
constexpr int kGTimesU = 1;
constexpr int kU = 2;
constexpr int kSums = 3;

/// Pass 1 of a row near 0: u is x.
ATTENTION_INLINE void sum_near_0(const RowInputs& row, KeyRange features, Vec (&of_row)[kSums]) {
  Vec gs[kChains] = {zero(), zero(), zero(), zero()};
  Vec products[kChains] = {zero(), zero(), zero(), zero()};
  for_each_step(row, features,
                [&](const float* x, const float* d_out, const float* weight)
                    __attribute__((always_inline)) {
#pragma GCC unroll 4
                      for (int c = 0; c < kChains; ++c) {
                        const Index at = c * kLanes;
                        const Vec g = mul(load(d_out + at), load(weight + at));
                        gs[c] = add(gs[c], g);
                        products[c] = fma(g, load(x + at), products[c]);
                      }
                    });
  of_row[kG] = sum_of(gs);
  of_row[kGTimesU] = sum_of(products);
}

/// Pass 1 of any other row: u is (x - mean) rstd.
ATTENTION_INLINE void sum_far_from_0(const RowInputs& row, KeyRange features,
                                     Vec (&of_row)[kSums]) {
  const Vec mean = set1(row.mean);
  const Vec rstd = set1(row.rstd);
  Vec us[kChains] = {zero(), zero(), zero(), zero()};
  Vec gs[kChains] = {zero(), zero(), zero(), zero()};
  Vec products[kChains] = {zero(), zero(), zero(), zero()};
  for_each_step(row, features,
                [&](const float* x, const float* d_out, const float* weight)
                    __attribute__((always_inline)) {
#pragma GCC unroll 4
                      for (int c = 0; c < kChains; ++c) {
                        const Index at = c * kLanes;
                        const Vec u = mul(sub(load(x + at), mean), rstd);
                        const Vec g = mul(load(d_out + at), load(weight + at));
                        us[c] = add(us[c], u);
                        gs[c] = add(gs[c], g);
                        products[c] = fma(g, u, products[c]);
                      }
                    });
  of_row[kG] = sum_of(gs);
  of_row[kGTimesU] = sum_of(products);
  of_row[kU] = sum_of(us);
}

bool lies_near_0(const RowInputs& row) {
  const float size = row.mean * row.rstd;
  return size <= 1 && size >= -1 && row.rstd >= kSmallestRstd && row.rstd <= kLargestRstd;
}

/// Pass 1 of `count` rows from `row` on.
RowSlopes measure(const NormBackwardTask& task, int row, int count) {
  const auto add_row = [&](int r, KeyRange features, Vec(&of_row)[kSums])
                           __attribute__((always_inline)) {
                             const RowInputs inputs = inputs_of(task, row + r);
                             if (lies_near_0(inputs)) {
                               sum_near_0(inputs, features, of_row);
                             } else {
                               sum_far_from_0(inputs, features, of_row);
                             }
                           };
  const RowTotals<kSums> totals = sum_rows<kSums>(count, task.E, add_row);
  const double share = 1 / static_cast<double>(task.E);
  RowSlopes slopes = {};
  for (int r = 0; r < count; ++r) {
    const RowInputs inputs = inputs_of(task, row + r);
    const bool is_near = lies_near_0(inputs);
    const auto rstd = static_cast<double>(inputs.rstd);
    const double a = is_near ? rstd : 1.0;
    const double b = is_near ? -static_cast<double>(inputs.mean) * rstd : -totals.of[kU][r] * share;
    const double offset = task.takes_mean ? b : 0.0;
    const double mean_g = task.takes_mean ? totals.of[kG][r] * share : 0.0;
    const double mean_gx = a * totals.of[kGTimesU][r] * share + offset * mean_g;
    slopes.shift[r] = is_near ? 0.0F : inputs.mean;
    slopes.offset[r] = static_cast<float>(offset);
    slopes.of_xhat[r] = static_cast<float>(-mean_gx * rstd);
    slopes.of_all[r] = static_cast<float>(-mean_g * rstd);
  }
  return slopes;
}

/// What pass 2 needs to know of kRows rows, in all lanes.
template <int kRows>
struct SlopeVectors {
  Vec shift[kRows];
  Vec rstd[kRows];
  Vec offset[kRows];
  Vec of_xhat[kRows];
  Vec of_all[kRows];
};

/// The places of a step of pass 2.
template <int kRows>
struct StepPlaces {
  const float* weight;
  const float* x[kRows];
  const float* d_out[kRows];
  float* d_x[kRows];
  float* weight_sums;
  float* bias_sums;
};

/// Pass 2 of a step. Without a shift there is nothing to subtract.
template <bool kShifted, int kRows>
ATTENTION_INLINE void write_step(const SlopeVectors<kRows>& slopes, const StepPlaces<kRows>& step) {
#pragma GCC unroll 4
  for (int c = 0; c < kChains; ++c) {
    const Index at = c * kLanes;
    const Vec factor = load(step.weight + at);
    Vec bias_sum = load(step.bias_sums + at);
    Vec d_out[kRows];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      d_out[r] = load(step.d_out[r] + at);
      bias_sum = add(bias_sum, d_out[r]);
    }
    // (Stored here, between two uses of d_out, so that g++ does not load that for each use.)
    store(step.bias_sums + at, bias_sum);
    Vec weight_sum = load(step.weight_sums + at);
    Vec result[kRows];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const Vec x = load(step.x[r] + at);
      const Vec xhat =
          fma(kShifted ? sub(x, slopes.shift[r]) : x, slopes.rstd[r], slopes.offset[r]);
      const Vec of_row = fma(xhat, slopes.of_xhat[r], slopes.of_all[r]);
      result[r] = fma(mul(d_out[r], factor), slopes.rstd[r], of_row);
      weight_sum = fma(d_out[r], xhat, weight_sum);
    }
    store(step.weight_sums + at, weight_sum);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      store(step.d_x[r] + at, result[r]);
    }
  }
}

/// Pass 2 of the step at feature e that cannot be written in place.
template <bool kShifted, int kRows>
void write_copied_step(const NormBackwardTask& task, int row, const SlopeVectors<kRows>& slopes,
                       Index e, StepPlaces<kRows> step) {
  float copies[2 * kRows + 1][kStepFeatures];
  copy_step(inputs_of(task, row).weight, e, task.E, 0.0F, copies[2 * kRows]);
  step.weight = copies[2 * kRows];
  for (int r = 0; r < kRows; ++r) {
    const RowInputs inputs = inputs_of(task, row + r);
    copy_step(inputs.x, e, task.E, inputs.mean, copies[r]);
    copy_step(inputs.d_out, e, task.E, 0.0F, copies[kRows + r]);
    step.x[r] = step.d_x[r] = copies[r];
    step.d_out[r] = copies[kRows + r];
  }
  write_step<kShifted>(slopes, step);
  for (int r = 0; r < kRows; ++r) {
    store_step(copies[r], e, task.E, task.d_x[row + r], task.d_x_feature);
  }
}

/// Pass 2 of kRows rows from `row` on: each vector of the weight and of the sums serves all of
/// them.
template <bool kShifted, int kRows>
void write_rows(const NormBackwardTask& task, int row, const SlopeVectors<kRows>& slopes,
                const TaskSums& sums) {
  const RowInputs inputs = inputs_of(task, row);
  const bool side_by_side = inputs.lie_side_by_side() && task.d_x_feature == 1;
  for (Index e = 0; e < task.E; e += kStepFeatures) {
    StepPlaces<kRows> step;
    step.weight_sums = sums.weight + e;
    step.bias_sums = sums.bias + e;
    if (!side_by_side || e + kStepFeatures > task.E) {
      write_copied_step<kShifted>(task, row, slopes, e, step);
      continue;
    }
    step.weight = inputs.weight.at(e);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      step.x[r] = task.x[row + r] + e;
      step.d_out[r] = task.d_out[row + r] + e;
      step.d_x[r] = task.d_x[row + r] + e;
    }
    write_step<kShifted>(slopes, step);
  }
}

/// The same, of rows of which the first is number `first` of the slopes.
template <int kRows>
void write_rows(const NormBackwardTask& task, int row, const RowSlopes& slopes, int first,
                const TaskSums& sums) {
  SlopeVectors<kRows> vectors;
  bool is_shifted = false;
  for (int r = 0; r < kRows; ++r) {
    vectors.shift[r] = set1(slopes.shift[first + r]);
    vectors.rstd[r] = set1(task.rstd[row + r]);
    vectors.offset[r] = set1(slopes.offset[first + r]);
    vectors.of_xhat[r] = set1(slopes.of_xhat[first + r]);
    vectors.of_all[r] = set1(slopes.of_all[first + r]);
    is_shifted = is_shifted || slopes.shift[first + r] != 0;
  }
  if (is_shifted) {
    write_rows<true>(task, row, vectors, sums);
  } else {
    write_rows<false>(task, row, vectors, sums);
  }
}

void add_to(double* totals, const float* sums, Index E) {
  for (Index e = 0; e < E; ++e) {
    totals[e] += static_cast<double>(sums[e]);
  }
}

}  // namespace

std::size_t norm_backward_scratch(std::int64_t E) noexcept {
  Scratch scratch(nullptr);
  lay_out(E, scratch);
  return static_cast<std::size_t>(scratch.used());
}

void norm_backward(const NormBackwardTask& task, std::byte* base) noexcept {
  Scratch scratch(base);
  const TaskSums sums = lay_out(task.E, scratch);
  for (Index e = 0; e < task.E; e += kStepFeatures) {
#pragma GCC unroll 4
    for (int c = 0; c < kChains; ++c) {
      store(sums.weight + e + c * kLanes, zero());
      store(sums.bias + e + c * kLanes, zero());
    }
  }
  for (int begin = 0; begin < task.rows; begin += kRowsAtOnce) {
    const int count = static_cast<int>(least(kRowsAtOnce, task.rows - begin));
    const RowSlopes slopes = measure(task, begin, count);
    int r = 0;
    for (; r + 2 <= count; r += 2) {
      write_rows<2>(task, begin + r, slopes, r, sums);
    }
    if (r < count) {
      write_rows<1>(task, begin + r, slopes, r, sums);
    }
  }
  add_to(task.weight_sums, sums.weight, task.E);
  if (task.takes_mean) {
    add_to(task.bias_sums, sums.bias, task.E);
  }
}

}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
