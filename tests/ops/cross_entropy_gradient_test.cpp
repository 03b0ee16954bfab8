#include <cmath>
#include <cstdint>
#include <string>

#include <gtest/gtest.h>

#include <attention/ops/cross_entropy.hpp>

#include "harness/cross_entropy_cases.hpp"

namespace attention::tests {
namespace {

constexpr double kStep = 1e-6;

/// The gradient of cross entropy against central differences, in float64, over drawn problems.
TEST(CrossEntropyGradient, EqualsCentralDifferences) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Draws draws(seed);
    const Shape rows = {1 + draws.below(3), 1 + draws.below(2)};
    const std::int64_t C = 1 + draws.below(6);
    auto logits = random_tensor<double>({rows[0], rows[1], C}, 2 * seed);
    const auto targets = random_targets<std::int32_t>(rows, C, draws, 0.2);
    const CrossEntropyOptions options{
        .label_smoothing = draws.one_of({0.0, 0.0, 0.1, 0.7, 1.0}),
        .reduction = draws.one_of({Reduction::mean, Reduction::sum, Reduction::none})};
    const auto saved = cross_entropy(logits, targets, options);
    if (saved.counted == 0 && options.reduction == Reduction::mean) {
      continue;  // the loss is NaN
    }
    const auto d_loss = random_tensor<double>(saved.loss.shape(), 2 * seed + 1);
    const auto result = [&] {
      const auto found = cross_entropy(logits, targets, options);
      double sum = 0;
      for (std::size_t n = 0; n < found.loss.values().size(); ++n) {
        sum += found.loss.values()[n] * d_loss.values()[n];
      }
      return sum;
    };
    const auto found = cross_entropy_backward(d_loss, logits, targets, saved.lse, options);
    for (std::size_t n = 0; n < logits.values().size(); ++n) {
      double& x = logits.values()[n];
      const double before = x;
      x = before + kStep;
      const double above = result();
      x = before - kStep;
      const double below = result();
      x = before;
      const double expected = (above - below) / (2 * kStep);
      EXPECT_NEAR(found.values()[n], expected, 1e-5 + 1e-3 * std::abs(expected)) << n;
    }
    if (HasFailure()) {
      return;
    }
  }
}

/// A row of logits and a constant give one loss: the gradient of a row sums to 0.
TEST(CrossEntropyGradient, OfARowSumsToNothing) {
  Draws draws(2);
  for (const Execution& way : every_way<float>()) {
    const auto logits = random_tensor<float>({20, 300}, 1);
    const auto targets = random_targets<std::int64_t>({20}, 300, draws);
    const BothPasses<float> found(
        logits, targets, {.label_smoothing = 0.1, .reduction = Reduction::sum, .execution = way});
    for (std::int64_t n = 0; n < 20; ++n) {
      double sum = 0;
      for (std::int64_t j = 0; j < 300; ++j) {
        sum += static_cast<double>(found.d_logits(n, j));
      }
      EXPECT_NEAR(sum, 0, 1e-6) << describe(way);
    }
  }
}

}  // namespace
}  // namespace attention::tests
