#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/sdpa.hpp>

#include "harness/every_path.hpp"

/// docs/semantics.md, rule 3 (rows that see nothing, sinks, -inf), and what holds of every row.
namespace attention::tests {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class Setting>
class SdpaRows : public OnEveryPath<Setting> {};
TYPED_TEST_SUITE(SdpaRows, EveryPath, PathNames);

template <class T>
void expect_row(const SdpaResult<T>& result, std::int64_t i, double lse) {
  EXPECT_EQ(result.lse(0, 0, i), lse) << i;
  for (std::int64_t d = 0; d < result.out.size(3); ++d) {
    EXPECT_EQ(element_cast<double>(result.out(0, 0, i, d)), 0) << i;
  }
  for (std::int64_t j = 0; j < result.weights.size(3); ++j) {
    EXPECT_EQ(result.weights(0, 0, i, j), 0) << i;
  }
}

TYPED_TEST(SdpaRows, Rule03AFullyMaskedRowIsZeroWhateverMasksIt) {
  const auto inputs = random_inputs<typename TypeParam::Element>({.L = 2, .S = 20});
  const Tensor<bool> first_row({2, 1}, {true, false});
  const Tensor<bool> last_row({2, 1}, {false, true});
  const Tensor<float> bias({2, 1}, {-HUGE_VALF, 1.0F});
  const Tensor<std::int64_t> no_keys({1}, {0});
  const std::vector<std::pair<const char*, SdpaOptions>> masking = {
      {"keep", {.mask = Mask::keep(last_row)}},
      {"block", {.mask = Mask::block(first_row)}},
      {"add", {.mask = Mask::add(bias)}},
      {"causal", {.causal = true, .alignment = Alignment::at(-1)}},
      {"window", {.alignment = Alignment::at(20), .window = {.left = 0}}},
      {"key lengths", {.key_lengths = no_keys}},
  };
  for (const auto& [name, options] : masking) {
    SCOPED_TRACE(name);
    expect_row(this->attend(inputs, options), 0, -kInfinity);
    const Tensor<float> sinks({1}, {-0.75F});
    SdpaOptions with_sink = options;
    with_sink.sinks = sinks;
    expect_row(this->attend(inputs, with_sink), 0, -0.75);
  }
}

TYPED_TEST(SdpaRows, Rule03TheMaximumIsTheLargestScoreTheSinkAmongThem) {
  using T = typename TypeParam::Element;
  for (const std::int64_t L : {2, 40}) {
    const auto inputs = random_inputs<T>({.H = 2, .Hkv = 1, .L = L, .S = 70, .D = 19});
    const Tensor<float> slopes({2}, {0.5F, 0.25F});
    const Tensor<float> sinks({2}, {-30.0F, 3.0F});
    SdpaOptions options{.causal = true,
                        .alignment = Alignment::at(-1),
                        .softcap = 5.0,
                        .alibi_slopes = slopes,
                        .sinks = sinks};
    const auto without = this->attend(inputs, options);
    EXPECT_TRUE(without.maximum.is_null());
    options.return_maximum = true;
    const auto found = this->attend(inputs, options);
    EXPECT_TRUE(same_bits<T>(found.out, without.out));
    options.execution.path = Path::reference;
    const auto expected = sdpa(inputs.q, inputs.k, inputs.v, options);
    for (std::int64_t h = 0; h < 2; ++h) {
      EXPECT_EQ(found.maximum(0, h, 0), h == 0 ? -30 : 3);  // which sees no key
      for (std::int64_t i = 0; i < L; ++i) {
        EXPECT_NEAR(found.maximum(0, h, i), expected.maximum(0, h, i), 1e-5) << h << ", " << i;
      }
    }
  }
}

TYPED_TEST(SdpaRows, Rule03TheOtherRowsOfAMaskedOneAreAsUsual) {
  using T = typename TypeParam::Element;
  const auto inputs = random_inputs<T>({.L = 2, .S = 20});
  const Tensor<bool> last_row({2, 1}, {false, true});
  const auto masked = this->attend(inputs, {.mask = Mask::keep(last_row)});
  const auto whole = this->attend(inputs);
  EXPECT_TRUE(same_bits<T>(masked.out.view().slice(2, 1, 1), whole.out.view().slice(2, 1, 1)));
}

TYPED_TEST(SdpaRows, Rule03MaskedIsDecidedFromTheMaskAndNotFromTheScores) {
  using T = typename TypeParam::Element;
  auto inputs = random_inputs<T>({.L = 1, .S = 3, .D = 1, .Dv = 2});
  inputs.q = Tensor<T>::filled({1, 1, 1, 1}, element_cast<T>(1.0));
  inputs.k = Tensor<T>::filled({1, 1, 3, 1}, element_cast<T>(-kInfinity));
  const auto result = this->attend(inputs);  // every score is -inf, and no cell is blocked
  EXPECT_TRUE(std::isnan(element_cast<double>(result.out(0, 0, 0, 0))));
  EXPECT_TRUE(std::isnan(element_cast<double>(result.weights(0, 0, 0, 0))));
}

TYPED_TEST(SdpaRows, Rule03AScoreOfMinusInfinityIsNoWeightBesideAFiniteOne) {
  using T = typename TypeParam::Element;
  constexpr std::int64_t kKeys = 150;
  auto inputs = random_inputs<T>({.L = 1, .S = kKeys, .D = 1, .Dv = 1});
  inputs.q = Tensor<T>::filled({1, 1, 1, 1}, element_cast<T>(1.0));
  inputs.k = Tensor<T>::filled({1, 1, kKeys, 1}, element_cast<T>(-kInfinity));
  inputs.k(0, 0, kKeys - 1, 0) = element_cast<T>(0.5);  // in the last block of keys
  const auto result = this->attend(inputs);
  EXPECT_EQ(result.weights(0, 0, 0, kKeys - 1), 1);
  EXPECT_EQ(result.weights(0, 0, 0, 0), 0);
  EXPECT_EQ(result.lse(0, 0, 0), 0.5);
  EXPECT_EQ(element_cast<double>(result.out(0, 0, 0, 0)),
            element_cast<double>(inputs.v(0, 0, kKeys - 1, 0)));
}

template <class Mask>
constexpr double kLowest = std::numeric_limits<Mask>::lowest();
template <>
constexpr double kLowest<float> = -0x1.FFFFFEp127;
template <>
constexpr double kLowest<float16> = -65504.0;
template <>
constexpr double kLowest<bfloat16> = -0x1.FEp127;

TYPED_TEST(SdpaRows, Rule03AddedMinusInfinityBlocksAndTheLowestFiniteNumberDoesNot) {
  using T = typename TypeParam::Element;
  const auto inputs = random_inputs<T>({.L = 1, .S = 4, .D = 0});  // every score is 0
  const auto check = [&]<class M>() {
    SCOPED_TRACE(name_of(kDTypeOf<M>));
    const M lowest = element_cast<M>(kLowest<M>);
    Tensor<M> mask({4}, {lowest, lowest, lowest, element_cast<M>(-kInfinity)});
    const auto uniform = this->attend(inputs, {.mask = Mask::add(std::as_const(mask))});
    EXPECT_NEAR(uniform.weights(0, 0, 0, 0), 1.0 / 3, 1e-6);
    EXPECT_NEAR(uniform.weights(0, 0, 0, 2), 1.0 / 3, 1e-6);
    EXPECT_EQ(uniform.weights(0, 0, 0, 3), 0);
    mask = Tensor<M>::filled({4}, element_cast<M>(-kInfinity));
    expect_row(this->attend(inputs, {.mask = Mask::add(std::as_const(mask))}), 0, -kInfinity);
  };
  check.template operator()<float>();
  check.template operator()<float16>();
  check.template operator()<bfloat16>();
  check.template operator()<double>();
}

TYPED_TEST(SdpaRows, Rule03ACellOfTheLowestFiniteNumberIsSeen) {
  using T = typename TypeParam::Element;
  auto inputs = random_inputs<T>({.L = 1, .S = 2, .Dv = 1});
  inputs.v(0, 0, 1, 0) = element_cast<T>(NAN);
  const auto check = [&]<class M>() {
    SCOPED_TRACE(name_of(kDTypeOf<M>));
    const Tensor<M> seen({2}, {element_cast<M>(0.0), element_cast<M>(kLowest<M>)});
    EXPECT_TRUE(std::isnan(
        element_cast<double>(this->attend(inputs, {.mask = Mask::add(seen)}).out(0, 0, 0, 0))));
    const Tensor<M> blocked({2}, {element_cast<M>(0.0), element_cast<M>(-kInfinity)});
    EXPECT_EQ(
        element_cast<double>(this->attend(inputs, {.mask = Mask::add(blocked)}).out(0, 0, 0, 0)),
        element_cast<double>(inputs.v(0, 0, 0, 0)));
  };
  check.template operator()<float>();
  check.template operator()<float16>();
  check.template operator()<bfloat16>();
  check.template operator()<double>();
}

TYPED_TEST(SdpaRows, Rule03WithASinkWeightsSumToOneMinusTheSinksShare) {
  using T = typename TypeParam::Element;
  const auto inputs = random_inputs<T>({.H = 3, .Hkv = 1, .L = 4, .S = 77});
  const Tensor<float> sinks({3}, {-2.0F, 3.0F, 40.0F});
  const auto plain = this->attend(inputs);
  const auto result = this->attend(inputs, {.sinks = sinks});
  for (std::int64_t h = 0; h < 3; ++h) {
    for (std::int64_t i = 0; i < 4; ++i) {
      const auto sink = static_cast<double>(sinks(h));
      const double lse =
          std::log(std::exp(static_cast<double>(plain.lse(0, h, i))) + std::exp(sink));
      EXPECT_NEAR(result.lse(0, h, i), lse, 1e-6 * std::max(1.0, std::abs(lse)));
      double sum = 0;
      for (std::int64_t j = 0; j < 77; ++j) {
        sum += static_cast<double>(result.weights(0, h, i, j));
      }
      EXPECT_NEAR(sum, 1 - std::exp(sink - lse), 1e-5);
    }
  }
}

TYPED_TEST(SdpaRows, Rule03ASinkOfMinusInfinityIsNoSink) {
  const auto inputs = random_inputs<typename TypeParam::Element>({.L = 3, .S = 5});
  const Tensor<float> sinks({1}, {-HUGE_VALF});
  const SdpaOptions none{.causal = true, .alignment = Alignment::at(-1)};
  SdpaOptions lowest = none;
  lowest.sinks = sinks;
  const auto found = this->attend(inputs, lowest);
  const auto expected = this->attend(inputs, none);
  using T = typename TypeParam::Element;
  EXPECT_LE(largest_difference(found.out, expected.out), tolerance<T>());
  EXPECT_LE(largest_difference(found.weights, expected.weights), tolerance<Accumulator<T>>());
  EXPECT_EQ(found.lse(0, 0, 0), -HUGE_VALF);
  EXPECT_EQ(expected.lse(0, 0, 0), -HUGE_VALF);
  for (std::int64_t i = 1; i < 3; ++i) {
    EXPECT_NEAR(found.lse(0, 0, i), expected.lse(0, 0, i), tolerance<Accumulator<T>>()) << i;
  }
}

/// out = sum of exp(lse_part - lse) out_part.
template <class T>
std::pair<Tensor<double>, Tensor<double>> merged(const SdpaResult<T>& a, const SdpaResult<T>& b) {
  Tensor<double> out(a.out.shape());
  Tensor<double> lse(a.lse.shape());
  const auto width = static_cast<std::size_t>(a.out.size(3));
  for (std::size_t row = 0; row < lse.values().size(); ++row) {
    const auto lse_a = static_cast<double>(a.lse.values()[row]);
    const auto lse_b = static_cast<double>(b.lse.values()[row]);
    const double larger = std::max(lse_a, lse_b);
    lse.values()[row] = larger + std::log(std::exp(lse_a - larger) + std::exp(lse_b - larger));
    for (std::size_t n = row * width; n < (row + 1) * width; ++n) {
      out.values()[n] =
          std::exp(lse_a - lse.values()[row]) * element_cast<double>(a.out.values()[n]) +
          std::exp(lse_b - lse.values()[row]) * element_cast<double>(b.out.values()[n]);
    }
  }
  return {std::move(out), std::move(lse)};
}

TYPED_TEST(SdpaRows, Rule03PartsOfTheKeysMergeByLseAndCountTheSinkOnce) {
  using T = typename TypeParam::Element;
  constexpr std::int64_t kKeys = 97;
  const auto inputs = random_inputs<T>({.B = 2, .H = 2, .Hkv = 1, .L = 9, .S = kKeys});
  const Tensor<float> sinks({2}, {1.5F, 4.0F});
  for (const std::int64_t cut : {1, 16, 50, 64, 96}) {
    const auto keys = inputs.k.view();
    const auto values = inputs.v.view();
    const auto part = [&](std::int64_t start, std::int64_t count, const SdpaOptions& options) {
      return this->attend(inputs.q, keys.slice(2, start, count), values.slice(2, start, count),
                          options);
    };
    for (const bool with_sink : {false, true}) {
      SCOPED_TRACE(std::to_string(cut) + (with_sink ? " with a sink" : ""));
      const SdpaOptions options{.sinks = with_sink ? AnyView(sinks) : AnyView()};
      const auto whole = this->attend(inputs, options);
      const auto [out, lse] = merged(part(0, cut, {}), part(cut, kKeys - cut, options));
      EXPECT_LT(largest_difference(lse, whole.lse), 2e-6);
      EXPECT_LT(largest_difference(out, whole.out), 3 * tolerance<T>());
    }
  }
}

TYPED_TEST(SdpaRows, WeightsOfARowSumToOneOrZero) {
  const auto inputs = random_inputs<typename TypeParam::Element>({.L = 40, .S = 100});
  const auto result =
      this->attend(inputs, {.causal = true, .alignment = Alignment::at(-5), .softcap = 2.0});
  for (std::int64_t i = 0; i < 40; ++i) {
    double sum = 0;
    for (std::int64_t j = 0; j < 100; ++j) {
      sum += static_cast<double>(result.weights(0, 0, i, j));
    }
    EXPECT_NEAR(sum, i < 5 ? 0 : 1, 1e-5) << i;
  }
}

TYPED_TEST(SdpaRows, AddingAConstantToARowChangesNothingButLse) {
  using T = typename TypeParam::Element;
  using Real = Accumulator<T>;
  const auto inputs = random_inputs<T>({.L = 4, .S = 70});
  const Tensor<float> constants({4, 1}, {0.0F, 1.0F, -30.0F, 200.0F});
  const auto plain = this->attend(inputs);
  const auto moved = this->attend(inputs, {.mask = Mask::add(constants)});
  EXPECT_LT(largest_difference(plain.out, moved.out), 64 * 0x1p-18 + tolerance<T>());
  EXPECT_LT(largest_difference(plain.weights, moved.weights), 64 * 0x1p-18);
  for (std::int64_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(moved.lse(0, 0, i), plain.lse(0, 0, i) + static_cast<Real>(constants(i, 0)), 2e-5);
  }
}

TYPED_TEST(SdpaRows, DecodingStepByStepEqualsTheWholeCausalPass) {
  using T = typename TypeParam::Element;
  constexpr std::int64_t kLength = 70;
  const auto inputs = random_inputs<T>({.H = 2, .Hkv = 1, .L = kLength, .S = kLength});
  const auto whole = this->attend(inputs, {.causal = true});
  for (std::int64_t i = 0; i < kLength; ++i) {
    const auto step =
        this->attend(inputs.q.view().slice(2, i, 1), inputs.k.view().slice(2, 0, i + 1),
                     inputs.v.view().slice(2, 0, i + 1),
                     {.causal = true, .alignment = Alignment::bottom_right()});
    const auto row = Tensor<T>::copy_of(whole.out.view().slice(2, i, 1));
    EXPECT_LT(largest_difference(step.out, row), tolerance<T>()) << i;
  }
}

}  // namespace
}  // namespace attention::tests
