#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/cross_entropy.hpp>

#include "harness/cross_entropy_cases.hpp"
#include "harness/half_unit.hpp"
#include "harness/strided_buffer.hpp"

/// Cross entropy on every path and instruction set: values, bits, memory.
namespace attention::tests {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr Reduction kReductions[] = {Reduction::mean, Reduction::sum, Reduction::none};

template <class T>
class CrossEntropy : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(CrossEntropy, Types);

/// How far a row of C logits may be from the truth.
///
/// Float, fused: an exponent x - lse = -d is rounded in the difference, by the factor and by that
/// factor's own rounding: 2^-22 d of a power together. A power itself is within 2^-21 of exact on
/// any instruction set, a sum of a chunk within 2^-20. So a sum is off by at most 2^-21 mean d +
/// 2^-19, and the mean of d over the powers is at most ln C. Reference: the sums of C numbers in
/// double.
struct Bars {
  bool fused;
  double unit;  // of one rounding to the element type
  double C;

  double loss(const RowTruth& truth) const { return sum() * (fused ? 1 : 1 + truth.loss); }
  double gradient(const RowTruth& truth, std::size_t j, double distance) const {
    const double p = truth.p[j];
    const double power = fused ? 0x1p-22 * distance + 0x1p-21 : 0x1p-52 * distance;
    const double last = (fused ? 2 : 1) * (unit + 0x1p-52) * (p + truth.wanted[j]);
    return p * (power + sum()) + last + 0x1p-125;
  }

 private:
  double sum() const { return fused ? 0x1p-21 * std::log(C) + 0x1p-19 : 0x1p-53 * (C + 8); }
};

/// Each row of a problem whose losses are not reduced.
template <class T>
void expect_rows(const BothPasses<T>& found, const Tensor<T>& logits,
                 const std::vector<std::int64_t>& targets, double s, const Bars& bars) {
  const auto C = static_cast<std::size_t>(logits.size(1));
  for (std::size_t n = 0; n < targets.size(); ++n) {
    std::vector<double> x(C);
    for (std::size_t j = 0; j < C; ++j) {
      x[j] = static_cast<double>(logits.values()[n * C + j]);
    }
    const RowTruth truth(x, targets[n], s);
    const double bar = bars.loss(truth);
    EXPECT_NEAR(static_cast<double>(found.forward.loss.values()[n]), truth.loss,
                bar + bars.unit * std::abs(truth.loss));
    EXPECT_NEAR(static_cast<double>(found.forward.lse.values()[n]), truth.lse,
                bar + bars.unit * std::abs(truth.lse));
    for (std::size_t j = 0; j < C; ++j) {
      const double distance = std::abs(x[j] - truth.lse);
      EXPECT_NEAR(static_cast<double>(found.d_logits.values()[n * C + j]),
                  truth.p[j] - truth.wanted[j], bars.gradient(truth, j, distance))
          << "row " << n << ", class " << j;
    }
  }
}

TYPED_TEST(CrossEntropy, EveryNumberOfClasses) {
  using T = TypeParam;
  Draws draws(3);
  for (const Execution& way : every_way<T>()) {
    for (const std::int64_t C : {1,  2,  3,  4,  5,   7,   8,   9,   15,  16,  17,   31,   32,
                                 33, 63, 64, 65, 127, 128, 129, 511, 512, 513, 1000, 2049, 5000}) {
      for (const double s : {0.0, 0.1, 1.0}) {
        SCOPED_TRACE(describe(way) + ", C " + std::to_string(C) + ", s " + std::to_string(s));
        Tensor<T> logits({3, C});
        const double spread = draws.one_of({0.1, 1.0, 5.0, 40.0});
        for (T& x : logits.values()) {
          x = static_cast<T>(spread * draws.normal());
        }
        const auto targets = random_targets<std::int64_t>({3}, C, draws);
        const BothPasses<T> found(
            logits, targets,
            {.label_smoothing = s, .reduction = Reduction::none, .execution = way});
        EXPECT_EQ(found.forward.counted, 3);
        EXPECT_EQ(found.forward.taken.path, way.path);
        EXPECT_EQ(found.forward.taken.isa, way.isa);
        expect_rows(found, logits, {targets.values().begin(), targets.values().end()}, s,
                    {.fused = way.path == Path::fused,
                     .unit = half_unit_of(kDTypeOf<T>),
                     .C = static_cast<double>(C)});
      }
    }
  }
}

/// Float on the reference path: what the double one finds for the same numbers, rounded once.
TEST(CrossEntropyReference, FloatIsDoubleRoundedOnce) {
  Draws draws(4);
  const auto logits = random_tensor<float>({40, 33}, 1);
  const Tensor<double> wide = converted<double>(logits);
  const auto targets = random_targets<std::int32_t>({40}, 33, draws, 0.2);
  for (const Reduction reduction : kReductions) {
    CrossEntropyOptions options{.label_smoothing = 0.1, .reduction = reduction};
    const auto expected = cross_entropy(wide, targets, options);
    options.execution.path = Path::reference;
    const auto found = cross_entropy(logits, targets, options);
    EXPECT_TRUE(same_bits(found.loss, converted<float>(expected.loss)));
    EXPECT_TRUE(same_bits(found.lse, converted<float>(expected.lse)));
  }
}

TYPED_TEST(CrossEntropy, ReductionsAreThoseOfTheRows) {
  using T = TypeParam;
  Draws draws(5);
  for (const Execution& way : every_way<T>()) {
    SCOPED_TRACE(describe(way));
    for (const std::int64_t N : {1, 2, 255, 256, 257, 1000}) {
      const auto logits = random_tensor<T>({N, 5}, 1);
      const auto targets = random_targets<std::int64_t>({N}, 5, draws, N > 2 ? 0.3 : 0);
      CrossEntropyOptions options{.reduction = Reduction::none, .execution = way};
      const BothPasses<T> rows(logits, targets, options);
      double sum = 0;
      for (const T loss : rows.forward.loss.values()) {
        sum += static_cast<double>(loss);
      }
      const double bar = (sizeof(T) == 4 ? 0x1p-22 : 0x1p-48) * (1 + sum);
      const auto counted = static_cast<double>(rows.forward.counted);
      options.reduction = Reduction::sum;
      const BothPasses<T> summed(logits, targets, options);
      EXPECT_NEAR(static_cast<double>(summed.forward.loss()), sum, bar);
      EXPECT_TRUE(same_bits(summed.d_logits, rows.d_logits));
      options.reduction = Reduction::mean;
      const BothPasses<T> mean(logits, targets, options);
      EXPECT_NEAR(static_cast<double>(mean.forward.loss()), sum / counted, bar / counted);
      const auto share = Tensor<T>::filled({N}, static_cast<T>(1 / counted));
      options.reduction = Reduction::none;
      const auto shares = cross_entropy_backward(share, logits, targets, rows.forward.lse, options);
      EXPECT_LT(largest_difference(mean.d_logits, shares), bar / counted);
    }
  }
}

TYPED_TEST(CrossEntropy, AnIgnoredRowIsNotRead) {
  using T = TypeParam;
  for (const Execution& way : every_way<T>()) {
    for (const Reduction reduction : kReductions) {
      for (const std::int64_t ignored : {-100, 3}) {
        SCOPED_TRACE(describe(way));
        auto logits = random_tensor<T>({4, 9}, 1);
        const Tensor<std::int64_t> targets({4}, {2, ignored, ignored, 8});
        const CrossEntropyOptions options{.label_smoothing = 0.1,
                                          .ignore_index = ignored,
                                          .reduction = reduction,
                                          .execution = way};
        const BothPasses<T> expected(logits, targets, options);
        for (std::int64_t j = 0; j < 9; ++j) {
          logits(1, j) = static_cast<T>(NAN);
          logits(2, j) = static_cast<T>(kInfinity);
        }
        const BothPasses<T> found(logits, targets, options);
        EXPECT_TRUE(same_bits(found, expected));
        EXPECT_EQ(found.forward.counted, 2);
        EXPECT_EQ(found.forward.lse(1), -kInfinity);
        for (std::int64_t j = 0; j < 9; ++j) {
          EXPECT_EQ(found.d_logits(1, j), 0);
        }
        if (reduction == Reduction::none) {
          EXPECT_EQ(found.forward.loss(2), 0);
        }
      }
    }
  }
}

/// As in PyTorch: 0 / 0.
TYPED_TEST(CrossEntropy, TheMeanOfNoRowIsNaN) {
  using T = TypeParam;
  for (const Execution& way : every_way<T>()) {
    const Tensor<std::int64_t> targets({2}, {-100, -100});
    const auto logits = random_tensor<T>({2, 3}, 1);
    const BothPasses<T> found(logits, targets, {.execution = way});
    EXPECT_TRUE(std::isnan(found.forward.loss()));
    EXPECT_EQ(found.forward.counted, 0);
    EXPECT_TRUE(same_bits(found.d_logits, Tensor<T>({2, 3})));
    EXPECT_EQ(
        cross_entropy(logits, targets, {.reduction = Reduction::sum, .execution = way}).loss(), 0);
    const BothPasses<T> none(Tensor<T>({0, 3}), Tensor<std::int64_t>({0}), {.execution = way});
    EXPECT_TRUE(std::isnan(none.forward.loss()));
    EXPECT_EQ(none.d_logits.shape(), (Shape{0, 3}));
    // No class: only what is ignored can be asked for.
    const BothPasses<T> empty(Tensor<T>({2, 0}), targets,
                              {.reduction = Reduction::none, .execution = way});
    EXPECT_EQ(empty.forward.lse(1), -kInfinity);
    EXPECT_EQ(empty.d_logits.shape(), (Shape{2, 0}));
  }
}

TYPED_TEST(CrossEntropy, InfiniteLogits) {
  using T = TypeParam;
  const T infinity = std::numeric_limits<T>::infinity();
  const T nan = std::numeric_limits<T>::quiet_NaN();
  for (const Execution& way : every_way<T>()) {
    for (const std::int64_t C : {3, 40, 600}) {
      SCOPED_TRACE(describe(way) + ", C " + std::to_string(C));
      Tensor<T> logits({6, C});
      const std::vector<T> odd = {-infinity, -infinity, infinity, nan, 0, 0};
      for (std::int64_t n = 0; n < 6; ++n) {
        logits(n, 1) = odd[static_cast<std::size_t>(n)];
      }
      for (std::int64_t j = 0; j < C; ++j) {
        logits(5, j) = -infinity;
      }
      const Tensor<std::int64_t> targets({6}, {0, 1, 0, 0, 0, 0});
      CrossEntropyOptions options{.reduction = Reduction::none, .execution = way};
      const BothPasses<T> found(logits, targets, options);
      const double others = static_cast<double>(C) - 1;
      EXPECT_NEAR(static_cast<double>(found.forward.loss(0)), std::log(others), 1e-5);
      EXPECT_EQ(found.d_logits(0, 1), 0);
      EXPECT_NEAR(static_cast<double>(found.d_logits(0, 2)), 1 / others, 1e-6);
      EXPECT_EQ(found.forward.loss(1), infinity);
      EXPECT_EQ(found.d_logits(1, 1), -1);
      for (const std::int64_t row : {2, 3, 5}) {
        EXPECT_TRUE(std::isnan(found.forward.loss(row))) << row;
        EXPECT_TRUE(std::isnan(found.d_logits(row, 0))) << row;
        EXPECT_TRUE(std::isnan(found.d_logits(row, C - 1))) << row;
      }
      EXPECT_EQ(found.forward.lse(5), -infinity);
      // Neither of them reaches the row between.
      EXPECT_NEAR(static_cast<double>(found.forward.loss(4)), std::log(others + 1), 1e-5);
      options.label_smoothing = 0.3;
      const BothPasses<T> smooth(logits, targets, options);
      EXPECT_EQ(smooth.forward.loss(0), infinity);
      EXPECT_NEAR(static_cast<double>(smooth.d_logits(0, 1)), -0.3 / (others + 1), 1e-7);
      EXPECT_TRUE(std::isfinite(smooth.forward.loss(4)));
    }
  }
}

TYPED_TEST(CrossEntropy, AConstantCostsNoPrecision) {
  using T = TypeParam;
  for (const Execution& way : every_way<T>()) {
    for (const double offset : {0.0, 1e4, -1e6, 1e30, -1e30}) {
      SCOPED_TRACE(describe(way) + ", offset " + std::to_string(offset));
      for (const double s : {0.0, 0.2}) {
        const auto logits = Tensor<T>::filled({2, 37}, static_cast<T>(offset));
        const Tensor<std::int64_t> targets({2}, {0, 36});
        const BothPasses<T> found(
            logits, targets,
            {.label_smoothing = s, .reduction = Reduction::none, .execution = way});
        EXPECT_NEAR(static_cast<double>(found.forward.loss(1)), std::log(37.0), 1e-6);
        EXPECT_NEAR(static_cast<double>(found.d_logits(0, 1)), (1 - s) / 37, 1e-8);
        EXPECT_NEAR(static_cast<double>(found.d_logits(0, 0)), (1 - s) * (1.0 / 37 - 1), 1e-7);
      }
    }
  }
}

TYPED_TEST(CrossEntropy, ExtremeAndDenormalLogits) {
  using T = TypeParam;
  const T largest = std::numeric_limits<T>::max();
  const T smallest = std::numeric_limits<T>::denorm_min();
  for (const Execution& way : every_way<T>()) {
    SCOPED_TRACE(describe(way));
    const Tensor<T> logits(
        {3, 3}, {largest, -largest, largest, smallest, -smallest, 0, -largest, -largest, -largest});
    const Tensor<std::int64_t> targets({3}, {0, 1, 2});
    const BothPasses<T> found(logits, targets, {.reduction = Reduction::none, .execution = way});
    EXPECT_NEAR(static_cast<double>(found.forward.loss(0)), std::log(2.0), 1e-6);
    EXPECT_NEAR(static_cast<double>(found.forward.loss(1)), std::log(3.0), 1e-6);
    EXPECT_NEAR(static_cast<double>(found.forward.loss(2)), std::log(3.0), 1e-6);
    EXPECT_EQ(found.d_logits(0, 1), 0);
    EXPECT_NEAR(static_cast<double>(found.d_logits(0, 2)), 0.5, 1e-6);
    EXPECT_NEAR(static_cast<double>(found.d_logits(2, 0)), 1.0 / 3, 1e-6);
  }
}

TYPED_TEST(CrossEntropy, TheSameBitsForAnyNumberOfThreadsAndAnyBatch) {
  using T = TypeParam;
  Draws draws(6);
  for (const Execution& way : every_way<T>()) {
    for (const auto& [N, C] : {std::pair{1, 700}, {37, 129}, {700, 10}}) {
      SCOPED_TRACE(describe(way) + ", N " + std::to_string(N));
      const auto logits = random_tensor<T>({N, C}, 1);
      const auto targets = random_targets<std::int64_t>({N}, C, draws, 0.1);
      for (const Reduction reduction : kReductions) {
        CrossEntropyOptions options{
            .label_smoothing = 0.1, .reduction = reduction, .execution = way};
        options.execution.threads = 1;
        const BothPasses<T> expected(logits, targets, options);
        for (const int threads : {0, 2, 8}) {
          options.execution.threads = threads;
          EXPECT_TRUE(same_bits(BothPasses<T>(logits, targets, options), expected)) << threads;
        }
        for (std::int64_t n = 0; reduction == Reduction::none && n < N; n += 9) {
          const BothPasses<T> alone(logits.view().select(0, n), targets.view().select(0, n),
                                    options);
          EXPECT_TRUE(same_bits<T>(alone.forward.loss, expected.forward.loss.view().select(0, n)));
          EXPECT_TRUE(same_bits<T>(alone.forward.lse, expected.forward.lse.view().select(0, n)));
          EXPECT_TRUE(same_bits<T>(alone.d_logits, expected.d_logits.view().select(0, n)));
        }
      }
    }
  }
}

TYPED_TEST(CrossEntropy, EveryRankAndIndexType) {
  using T = TypeParam;
  Draws draws(7);
  for (const Execution& way : every_way<T>()) {
    for (const Shape& rows : {Shape{}, Shape{3}, Shape{2, 3}, Shape{2, 0}, Shape{1, 2, 1, 3, 2}}) {
      SCOPED_TRACE(describe(way) + " " + to_string(rows));
      Shape shape = rows;
      shape.push_back(7);
      const auto logits = random_tensor<T>(shape, 1);
      const auto wide = random_targets<std::int64_t>(rows, 7, draws, 0.2);
      Tensor<std::int32_t> narrow(rows);
      std::copy(wide.values().begin(), wide.values().end(), narrow.values().begin());
      const std::int64_t N = wide.element_count();
      for (const Reduction reduction : kReductions) {
        const CrossEntropyOptions options{.reduction = reduction, .execution = way};
        const BothPasses<T> found(logits, wide, options);
        EXPECT_TRUE(same_bits(BothPasses<T>(logits, narrow, options), found));
        EXPECT_EQ(found.forward.loss.shape(), reduction == Reduction::none ? rows : Shape{});
        EXPECT_EQ(found.forward.lse.shape(), rows);
        const BothPasses<T> flat(TensorView<const T>(logits.data(), {N, 7}),
                                 TensorView<const std::int64_t>(wide.data(), {N}), options);
        EXPECT_TRUE(std::ranges::equal(std::as_bytes(flat.d_logits.values()),
                                       std::as_bytes(found.d_logits.values())));
      }
    }
  }
}

TYPED_TEST(CrossEntropy, AnyStrides) {
  using T = TypeParam;
  Draws draws(8);
  const auto filler = static_cast<T>(NAN);
  const auto any = [&] {
    return draws.one_of({Arrangement::dense, Arrangement::heads_inside, Arrangement::packed,
                         Arrangement::permuted, Arrangement::reversed, Arrangement::misaligned});
  };
  for (const Execution& way : every_way<T>()) {
    for (int run = 0; run < 40; ++run) {
      SCOPED_TRACE(describe(way) + ", run " + std::to_string(run));
      const std::int64_t C = draws.one_of({5, 33, 150, 600});
      StridedBuffer<T> logits({2, 3, C}, draws.chance(0.2) ? Arrangement::repeated : any(), draws,
                              filler);
      const TensorView<T> view = logits.view();
      for_each_offset(
          view.shape(), [&](std::int64_t n) { view.data()[n] = static_cast<T>(draws.normal()); },
          view.strides());
      StridedBuffer<std::int64_t> targets({2, 3}, any(), draws, std::int64_t{-1});
      const TensorView<std::int64_t> classes = targets.view();
      for_each_offset(
          classes.shape(),
          [&](std::int64_t n) { classes.data()[n] = draws.chance(0.1) ? -100 : draws.below(C); },
          classes.strides());
      const CrossEntropyOptions options{
          .label_smoothing = draws.one_of({0.0, 0.1}),
          .reduction = draws.one_of({Reduction::none, Reduction::mean}),
          .execution = way};
      const BothPasses<T> expected(Tensor<T>::copy_of(logits.view()),
                                   Tensor<std::int64_t>::copy_of(targets.view()), options);
      const Shape loss_shape = expected.forward.loss.shape();
      StridedBuffer<T> loss(loss_shape, any(), draws, filler);
      StridedBuffer<T> lse({2, 3}, any(), draws, filler);
      StridedBuffer<T> d_logits({2, 3, C}, any(), draws, filler);
      const CrossEntropyRun taken = cross_entropy_into({.loss = loss.view(), .lse = lse.view()},
                                                       logits.view(), targets.view(), options);
      EXPECT_EQ(taken.counted, expected.forward.counted);
      EXPECT_EQ(taken.taken, expected.forward.taken);
      const Tensor<T> one = Tensor<T>::filled(Shape{}, 1);
      EXPECT_EQ(cross_entropy_backward_into(d_logits.view(), one.view().broadcast_to(loss_shape),
                                            logits.view(), targets.view(), lse.view(), options),
                taken.taken);
      EXPECT_TRUE(same_bits<T>(loss.view(), expected.forward.loss));
      EXPECT_TRUE(same_bits<T>(lse.view(), expected.forward.lse));
      EXPECT_TRUE(same_bits<T>(d_logits.view(), expected.d_logits));
      EXPECT_TRUE(loss.is_untouched_outside() && lse.is_untouched_outside() &&
                  d_logits.is_untouched_outside());
    }
  }
}

TYPED_TEST(CrossEntropy, TheGradientMayReplaceTheLogitsAndLseIsOptional) {
  using T = TypeParam;
  Draws draws(9);
  for (const Execution& way : every_way<T>()) {
    for (const std::int64_t C : {3, 40, 600}) {
      const CrossEntropyOptions options{.label_smoothing = 0.1, .execution = way};
      auto logits = random_tensor<T>({5, C}, 1);
      const auto targets = random_targets<std::int64_t>({5}, C, draws, 0.2);
      const BothPasses<T> expected(logits, targets, options);
      Tensor<T> loss(Shape{});
      cross_entropy_into({.loss = loss.view()}, logits, targets, options);
      EXPECT_TRUE(same_bits(loss, expected.forward.loss));
      cross_entropy_backward_into(logits, Tensor<T>::filled(Shape{}, 1), logits, targets,
                                  expected.forward.lse, options);
      EXPECT_TRUE(same_bits(logits, expected.d_logits));
    }
  }
}

}  // namespace
}  // namespace attention::tests
