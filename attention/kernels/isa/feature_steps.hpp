#pragma once

#include <attention/kernels/isa/elements.hpp>

/// Private to the sources of the instruction sets: rows with their features in lanes, a step at a
/// time, and sums over features for a few rows at a time.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

/// Vectors of a step. Each has sums of its own: one sum would wait for itself.
inline constexpr int kChains = 4;
inline constexpr Index kStepFeatures = Index{kChains} * kLanes;
/// Features that are summed in float before they are added to a double, so that no error grows with
/// their number.
inline constexpr Index kFeatureBlock = 1024;
static_assert(kFeatureBlock % kStepFeatures == 0);
/// Rows whose sums are finished together. More would fall out of the innermost cache before they
/// are read once more.
inline constexpr int kRowsAtOnce = 4;

/// The features of a step, all the same.
struct Constant {
  constexpr explicit Constant(float x) {
    for (float& feature : features) {
      feature = x;
    }
  }
  float features[kStepFeatures] = {};
};
inline constexpr Constant kOnes(1.0F);
inline constexpr Constant kZeros(0.0F);

/// The features of a row, or of a weight.
struct Features {
  const float* data;
  Index stride;

  /// A weight, or the constant if there is none.
  static Features given_or(const float* data, Index stride, const Constant& constant) {
    return data == nullptr ? Features{.data = constant.features, .stride = 0}
                           : Features{.data = data, .stride = stride};
  }
  /// Whether a step can be read where it lies.
  bool lie_side_by_side() const {
    return stride == 1 || data == kOnes.features || data == kZeros.features;
  }
  ATTENTION_INLINE const float* at(Index e) const { return data + e * stride; }
};

/// A step that cannot be read where it lies: a copy of the features from e to `end`, then padding.
__attribute__((noinline)) void copy_step(Features from, Index e, Index end, float padding,
                                         float* step) {
  const Index count = least(end - e, kStepFeatures);
  for (Index i = 0; i < count; ++i) {
    step[i] = *from.at(e + i);
  }
  for (Index i = count; i < kStepFeatures; ++i) {
    step[i] = padding;
  }
}

/// Brings a step that cannot be written where it belongs there.
__attribute__((noinline)) void store_step(const float* step, Index e, Index end, float* data,
                                          Index stride) {
  for (Index i = 0; i < least(end - e, kStepFeatures); ++i) {
    data[(e + i) * stride] = step[i];
  }
}

ATTENTION_INLINE Vec sum_of(const Vec (&chains)[kChains]) {
  return add(add(chains[0], chains[1]), add(chains[2], chains[3]));
}

/// kSums sums of each of kRowsAtOnce rows.
template <int kSums>
struct RowTotals {
  double of[kSums][kRowsAtOnce];
};

/// The sums of each of `count` rows over all E features, finished in double: add_row(r, features,
/// sums) gives those over the features of a block, a lane each.
template <int kSums, class AddRow>
ATTENTION_INLINE RowTotals<kSums> sum_rows(int count, Index E, const AddRow& add_row) {
  constexpr int kVectors = (kSums * kRowsAtOnce + kLanes - 1) / kLanes * kLanes;
  RowTotals<kSums> totals = {};
  for (Index begin = 0; begin < E; begin += kFeatureBlock) {
    const KeyRange features = {.begin = begin, .end = least(begin + kFeatureBlock, E)};
    Vec sums[kVectors / kLanes][kLanes] = {};
    for (int r = 0; r < count; ++r) {
      Vec of_row[kSums] = {};
      add_row(r, features, of_row);
#pragma GCC unroll 4
      for (int n = 0; n < kSums; ++n) {
        const int place = n * kRowsAtOnce + r;
        sums[place / kLanes][place % kLanes] = of_row[n];
      }
    }
    float lanes[kVectors];
#pragma GCC unroll 4
    for (int i = 0; i < kVectors / kLanes; ++i) {
      store(lanes + i * kLanes, sums_of_lanes(sums[i]));
    }
#pragma GCC unroll 4
    for (int n = 0; n < kSums; ++n) {
#pragma GCC unroll 4
      for (int r = 0; r < kRowsAtOnce; ++r) {
        totals.of[n][r] += static_cast<double>(lanes[n * kRowsAtOnce + r]);
      }
    }
  }
  return totals;
}

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
