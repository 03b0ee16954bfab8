#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <attention/core/counter_random.hpp>
#include <attention/ops/sdpa_backward.hpp>

#include "harness/every_isa.hpp"
#include "harness/every_path.hpp"

/// Dropout of the weights: one mask by seed, call and place, on every path, instruction set and
/// element type; what it changes and what it does not. (Numbers are judged by the conformance
/// tests.)
namespace attention::tests {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Problems whose out is the weights: no scores, values the identity.
struct Sizes {
  std::int64_t L;
  std::int64_t S;
};
constexpr std::array<Sizes, 14> kSizes = {{{1, 1},
                                           {1, 40},
                                           {2, 7},
                                           {3, 130},
                                           {4, 600},
                                           {5, 3},
                                           {6, 8},
                                           {7, 17},
                                           {16, 33},
                                           {17, 64},
                                           {33, 129},
                                           {64, 131},
                                           {70, 260},
                                           {129, 40}}};

template <class T>
Tensor<T> identity_values(std::int64_t B, std::int64_t Hkv, std::int64_t S) {
  Tensor<T> v({B, Hkv, S, S});
  for (std::int64_t b = 0; b < B; ++b) {
    for (std::int64_t h = 0; h < Hkv; ++h) {
      for (std::int64_t j = 0; j < S; ++j) {
        v(b, h, j, j) = element_cast<T>(1.0);
      }
    }
  }
  return v;
}

/// That exactly the cells which the mask keeps are there, each 1 / (1 - p) / S.
template <class T>
void expect_mask(const Sizes& sizes, const SdpaDropout& dropout, const Execution& execution) {
  const auto [L, S] = sizes;
  SCOPED_TRACE("L " + std::to_string(L) + ", S " + std::to_string(S) + ", p " +
               std::to_string(dropout.probability));
  constexpr std::int64_t kB = 2;
  constexpr std::int64_t kH = 6;
  constexpr std::int64_t kHkv = 2;
  const Tensor<T> q({kB, kH, L, 3});
  const Tensor<T> k({kB, kHkv, S, 3});
  const auto result =
      sdpa(q, k, identity_values<T>(kB, kHkv, S), {.dropout = dropout, .execution = execution});
  const random::DropoutMask mask(dropout.probability, dropout.seed, dropout.call);
  const double expected = mask.factor() / static_cast<double>(S);
  std::int64_t wrong = 0;
  for (std::int64_t row = 0; row < kB * kH * L; ++row) {
    for (std::int64_t j = 0; j < S; ++j) {
      const auto found = element_cast<double>(result.out(row / L / kH, row / L % kH, row % L, j));
      const bool kept = mask.keeps_weight(row / L, row % L, j);
      const double error = std::abs(found - expected);
      wrong += kept ? error > tolerance<T>() * expected : found != 0 || std::signbit(found);
    }
  }
  EXPECT_EQ(wrong, 0);
}

template <class Setting>
class SdpaDropoutOnEveryPath : public OnEveryPath<Setting> {};
TYPED_TEST_SUITE(SdpaDropoutOnEveryPath, EveryPath, PathNames);

TYPED_TEST(SdpaDropoutOnEveryPath, TheMaskIsTheOneOfTheRule) {
  for (const Sizes& sizes : kSizes) {
    for (const double p : {0.1, 0.5, 0.9}) {
      expect_mask<typename TypeParam::Element>(sizes, {.probability = p, .seed = 11, .call = 12},
                                               {.path = TypeParam::kPath});
    }
  }
}

class SdpaDropoutOnEveryIsa : public OnEveryIsaAndDType {};

TEST_P(SdpaDropoutOnEveryIsa, TheMaskIsTheOneOfTheRule) {
  visit_fused_dtype(GetParam().dtype, [&]<class T>() {
    for (const Sizes& sizes : kSizes) {
      for (const int threads : {1, 3}) {
        expect_mask<T>(sizes, {.probability = 0.4, .seed = ~std::uint64_t{7}, .call = 5},
                       {.path = Path::fused, .isa = GetParam().isa, .threads = threads});
      }
    }
  });
}

INSTANTIATE_TEST_SUITE_P(All, SdpaDropoutOnEveryIsa, ::testing::ValuesIn(every_isa_and_dtype()),
                         name_of_isa_and_dtype);

/// Sizes of the panels and of the decoding kernel, with one piece of keys and several.
std::vector<InputSizes> problems() {
  return {{.B = 2, .H = 4, .Hkv = 2, .L = 37, .S = 150, .D = 8, .Dv = 11},
          {.B = 2, .H = 4, .Hkv = 2, .L = 2, .S = 150, .D = 8, .Dv = 11},
          {.H = 1, .Hkv = 1, .L = 1, .S = 1300, .D = 8, .Dv = 11}};
}

TYPED_TEST(SdpaDropoutOnEveryPath, LseMaximumAndWeightsAreThoseWithout) {
  using T = typename TypeParam::Element;
  for (const InputSizes& sizes : problems()) {
    const auto inputs = random_inputs<T>(sizes);
    SdpaOptions options{.return_maximum = true};
    const auto without = this->attend(inputs, options);
    options.dropout = {.probability = 0.5, .seed = 1};
    const auto with = this->attend(inputs, options);
    EXPECT_FALSE(same_bits(with.out, without.out));
    EXPECT_TRUE(same_bits(with.lse, without.lse));
    EXPECT_TRUE(same_bits(with.maximum, without.maximum));
    EXPECT_TRUE(same_bits(with.weights, without.weights));
    options.dropout.call = 1;
    EXPECT_FALSE(same_bits(this->attend(inputs, options).out, with.out));
    options.dropout = {.probability = 0.5, .seed = 1};
    EXPECT_TRUE(same_bits(this->attend(inputs, options), with));
  }
}

TYPED_TEST(SdpaDropoutOnEveryPath, ProbabilityZeroIsNoDropoutAndOneGivesZeros) {
  using T = typename TypeParam::Element;
  for (const InputSizes& sizes : problems()) {
    const auto inputs = random_inputs<T>(sizes);
    const auto without = this->attend(inputs);
    EXPECT_TRUE(same_bits(this->attend(inputs, {.dropout = {.seed = 3, .call = 4}}), without));
    const auto none = this->attend(inputs, {.dropout = {.probability = 1, .seed = 3}});
    EXPECT_TRUE(same_bits(none.out, Tensor<T>(without.out.shape())));
    EXPECT_TRUE(same_bits(none.lse, without.lse));
    EXPECT_TRUE(same_bits(none.weights, without.weights));
  }
}

/// Rows that keep the weight of `key` are not finite in column 3, and all else is as expected.
template <class Result>
void expect_special_where_kept(const Result& found, const Result& expected, const InputSizes& sizes,
                               std::int64_t key) {
  const random::DropoutMask mask(0.5, 1, 0);
  for (std::int64_t row = 0; row < sizes.B * sizes.H * sizes.L; ++row) {
    const std::int64_t b = row / sizes.L / sizes.H;
    const std::int64_t h = row / sizes.L % sizes.H;
    const std::int64_t i = row % sizes.L;
    const bool sees = h < sizes.H / sizes.Hkv && mask.keeps_weight(b * sizes.H + h, i, key);
    for (std::int64_t c = 0; c < sizes.Dv; ++c) {
      const auto x = element_cast<double>(found.out(b, h, i, c));
      if (sees && c == 3) {
        EXPECT_FALSE(std::isfinite(x));
      } else {
        EXPECT_EQ(x, element_cast<double>(expected.out(b, h, i, c)));
      }
    }
  }
}

TYPED_TEST(SdpaDropoutOnEveryPath, ADroppedValueIsSelectedAwayAndAKeptOneIsNot) {
  using T = typename TypeParam::Element;
  for (const InputSizes& sizes : problems()) {
    auto inputs = random_inputs<T>(sizes);
    const SdpaOptions options{.dropout = {.probability = 0.5, .seed = 1}};
    const auto expected = this->attend(inputs, options);
    const std::int64_t key = sizes.S / 2;
    for (const double special : {kNaN, kInfinity}) {
      for (std::int64_t b = 0; b < sizes.B; ++b) {
        inputs.v(b, 0, key, 3) = element_cast<T>(special);
      }
      expect_special_where_kept(this->attend(inputs, options), expected, sizes, key);
    }
  }
}

/// Through the denominator a NaN among the scores reaches the whole row.
TYPED_TEST(SdpaDropoutOnEveryPath, ANaNAmongTheScoresMakesTheRowNaNWhateverIsDropped) {
  using T = typename TypeParam::Element;
  for (const std::int64_t L : {2, 37}) {
    auto inputs = random_inputs<T>({.L = L, .S = 50});
    inputs.q(0, 0, 1, 0) = element_cast<T>(kNaN);
    for (const double p : {0.5, 1.0}) {
      const auto found = this->attend(inputs, {.dropout = {.probability = p}});
      for (std::int64_t i = 0; i < L; ++i) {
        EXPECT_EQ(std::isnan(element_cast<double>(found.out(0, 0, i, 0))), i == 1);
      }
    }
  }
}

TYPED_TEST(SdpaDropoutOnEveryPath, BlockedCellsReachNothing) {
  using T = typename TypeParam::Element;
  for (const std::int64_t L : {3, 37}) {
    auto inputs = random_inputs<T>({.L = L, .S = 70});
    Tensor<bool> keep = Tensor<bool>::filled({70}, true);
    keep(5) = keep(69) = false;
    const SdpaOptions options{.mask = Mask::keep(keep), .dropout = {.probability = 0.3}};
    const auto expected = this->attend(inputs, options);
    for (std::int64_t c = 0; c < 8; ++c) {
      inputs.k(0, 0, 5, c) = inputs.v(0, 0, 5, c) = element_cast<T>(kNaN);
      inputs.k(0, 0, 69, c) = inputs.v(0, 0, 69, c) = element_cast<T>(kInfinity);
    }
    EXPECT_TRUE(same_bits(this->attend(inputs, options), expected));
  }
}

/// An entry's mask follows from its place in the batch; what the others hold, and how many come
/// after it, makes no difference. So it is with heads.
TYPED_TEST(SdpaDropoutOnEveryPath, TheSameBitsForAnyNumberOfThreadsAndAnyOtherEntries) {
  using T = typename TypeParam::Element;
  for (const InputSizes& sizes : problems()) {
    const auto inputs = random_inputs<T>(sizes);
    SdpaOptions options{.dropout = {.probability = 0.2, .seed = 6}, .execution = {.threads = 1}};
    const auto expected = this->attend(inputs, options);
    for (const int threads : {2, 8}) {
      options.execution.threads = threads;
      EXPECT_TRUE(same_bits(this->attend(inputs, options), expected)) << threads;
    }
    const auto first = this->attend(inputs.q.view().slice(0, 0, 1), inputs.k.view().slice(0, 0, 1),
                                    inputs.v.view().slice(0, 0, 1), options);
    EXPECT_TRUE(same_bits<T>(first.out, expected.out.view().slice(0, 0, 1)));
    if (sizes.B == 2) {
      auto changed = inputs;
      std::fill(changed.q.data(), changed.q.data() + sizes.H * sizes.L * sizes.D, T{});
      const auto found = this->attend(changed, options);
      EXPECT_TRUE(
          same_bits<T>(found.out.view().slice(0, 1, 1), expected.out.view().slice(0, 1, 1)));
    }
  }
}

/// The mean over calls is the output without dropout: each element within 6 standard deviations of
/// what the sum of squares of its terms says.
TEST(SdpaDropoutMean, IsTheOutputWithout) {
  const auto inputs = random_inputs<double>({.H = 2, .L = 6, .S = 20, .D = 4, .Dv = 3});
  const auto without = sdpa(inputs.q, inputs.k, inputs.v, {.return_weights = true});
  constexpr int kCalls = 2000;
  constexpr double kP = 0.3;
  Tensor<double> sum(without.out.shape());
  for (std::uint64_t call = 0; call < kCalls; ++call) {
    const auto out = sdpa(inputs.q, inputs.k, inputs.v,
                          {.dropout = {.probability = kP, .seed = 1, .call = call}})
                         .out;
    std::ranges::transform(sum.values(), out.values(), sum.data(), std::plus<>());
  }
  for (std::int64_t row = 0; row < 12; ++row) {
    for (std::int64_t c = 0; c < 3; ++c) {
      double variance = 0;
      for (std::int64_t j = 0; j < 20; ++j) {
        const double term = without.weights(0, row / 6, row % 6, j) * inputs.v(0, 0, j, c);
        variance += term * term * kP / (1 - kP) / kCalls;
      }
      EXPECT_NEAR(sum(0, row / 6, row % 6, c) / kCalls, without.out(0, row / 6, row % 6, c),
                  6 * std::sqrt(variance));
    }
  }
}

/// A way to compute gradients.
template <class T>
SdpaGradients<T> gradients(const Inputs<T>& inputs, const Tensor<T>& d_out,
                           const SdpaOptions& options) {
  const auto saved = sdpa(inputs.q, inputs.k, inputs.v, options);
  return sdpa_backward(d_out, inputs.q, inputs.k, inputs.v, {.out = saved.out, .lse = saved.lse},
                       options);
}

class SdpaDropoutGradient : public OnEveryIsa {
 protected:
  static Execution execution() { return {.path = Path::fused, .isa = GetParam(), .threads = 1}; }
};

/// d_v = (dropout of the weights)^T d_out: with d_out the identity it shows the mask.
TEST_P(SdpaDropoutGradient, TheMaskIsThatOfTheForwardPass) {
  for (const Sizes& sizes : kSizes) {
    const auto [L, S] = sizes;
    SCOPED_TRACE("L " + std::to_string(L) + ", S " + std::to_string(S));
    Inputs<float> inputs =
        random_inputs<float>({.B = 2, .H = 2, .Hkv = 2, .L = L, .S = S, .Dv = L});
    std::ranges::fill(inputs.q.values(), 0.0F);
    const Tensor<float> d_out = identity_values<float>(2, 2, L);
    const SdpaOptions options{.dropout = {.probability = 0.4, .seed = 2, .call = 9},
                              .execution = execution()};
    const auto found = gradients(inputs, d_out, options);
    const random::DropoutMask mask(0.4, 2, 9);
    std::int64_t wrong = 0;
    for (std::int64_t cell = 0; cell < 4 * S * L; ++cell) {
      const std::int64_t head = cell / (S * L);
      const float x = found.v(head / 2, head % 2, cell / L % S, cell % L);
      wrong += (x != 0) == mask.keeps_weight(head, cell % L, cell / L % S) ? 0 : 1;
    }
    EXPECT_EQ(wrong, 0);
  }
}

TEST_P(SdpaDropoutGradient, TheSameBitsForAnyNumberOfThreads) {
  const auto inputs = random_inputs<float>({.B = 2, .H = 4, .Hkv = 2, .L = 37, .S = 150});
  const auto d_out = random_tensor<float>({2, 4, 37, 8}, 8);
  SdpaOptions options{.causal = true,
                      .alignment = Alignment::bottom_right(),
                      .dropout = {.probability = 0.2, .seed = 6},
                      .execution = execution()};
  const auto expected = gradients(inputs, d_out, options);
  for (const int threads : {2, 8}) {
    options.execution.threads = threads;
    const auto found = gradients(inputs, d_out, options);
    EXPECT_TRUE(same_bits(found.q, expected.q) && same_bits(found.k, expected.k) &&
                same_bits(found.v, expected.v))
        << threads;
  }
}

TEST_P(SdpaDropoutGradient, ProbabilityZeroIsNoDropoutAndOneGivesZeros) {
  const auto inputs = random_inputs<float>({.H = 2, .Hkv = 1, .L = 20, .S = 150});
  const auto d_out = random_tensor<float>({1, 2, 20, 8}, 8);
  const auto without = gradients(inputs, d_out, {.execution = execution()});
  const auto zero = gradients(inputs, d_out, {.dropout = {.seed = 4}, .execution = execution()});
  EXPECT_TRUE(same_bits(zero.q, without.q) && same_bits(zero.k, without.k) &&
              same_bits(zero.v, without.v));
  const auto one =
      gradients(inputs, d_out, {.dropout = {.probability = 1}, .execution = execution()});
  for (const Tensor<float>* gradient : {&one.q, &one.k, &one.v}) {
    for (const float x : gradient->values()) {
      EXPECT_EQ(x, 0.0F);
    }
  }
}

/// A value whose weight is dropped reaches no gradient, and a row of d_out reaches those of the
/// values whose weights it keeps.
TEST_P(SdpaDropoutGradient, WhatIsDroppedIsSelectedAway) {
  for (const bool masked : {false, true}) {
    for (const Execution& way : {execution(), Execution{.path = Path::reference}}) {
      constexpr std::int64_t kL = 20;
      constexpr std::int64_t kS = 140;
      auto inputs = random_inputs<float>({.L = kL, .S = kS});
      auto d_out = random_tensor<float>({1, 1, kL, 8}, 8);
      Tensor<bool> keep = Tensor<bool>::filled({kS}, true);
      keep(0) = !masked;
      const SdpaOptions options{
          .mask = Mask::keep(keep), .dropout = {.probability = 0.5, .seed = 3}, .execution = way};
      const auto expected = gradients(inputs, d_out, options);
      const random::DropoutMask mask(0.5, 3, 0);

      inputs.v(0, 0, 17, 2) = static_cast<float>(kNaN);
      const auto of_value = gradients(inputs, d_out, options);
      inputs.v(0, 0, 17, 2) = 1.0F;
      d_out(0, 0, 4, 1) = kInfinity;
      const auto of_row = gradients(inputs, d_out, options);
      for (std::int64_t i = 0; i < kL; ++i) {
        EXPECT_EQ(std::isnan(of_value.q(0, 0, i, 0)), mask.keeps_weight(0, i, 17)) << i;
      }
      for (std::int64_t j = 0; j < kS; ++j) {
        const bool reached = keep(j) && mask.keeps_weight(0, 4, j);
        EXPECT_EQ(std::isfinite(of_row.v(0, 0, j, 1)), !reached) << j;
        if (!reached) {
          EXPECT_NEAR(of_row.v(0, 0, j, 1), expected.v(0, 0, j, 1), 1e-5) << j;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, SdpaDropoutGradient, ::testing::ValuesIn(kIsasWithKernels),
                         name_of_isa);

}  // namespace
}  // namespace attention::tests
