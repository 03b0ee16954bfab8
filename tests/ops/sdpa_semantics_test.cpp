#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <numeric>
#include <string>
#include <type_traits>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/ops/kernel_isas.hpp>
#include <attention/ops/sdpa.hpp>

#include "harness/every_path.hpp"
#include "harness/strided_buffer.hpp"

/// docs/semantics.md, rules 5 to 10, 12 and 15: what is computed, from which tensors.
namespace attention::tests {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class Setting>
class SdpaSemantics : public OnEveryPath<Setting> {};
TYPED_TEST_SUITE(SdpaSemantics, EveryPath, PathNames);

/// One query and two keys of one dimension each.
template <class T>
Inputs<T> two_keys(double query, double first_key, double second_key) {
  return {.q = Tensor<T>({1, 1, 1, 1}, {element_cast<T>(query)}),
          .k = Tensor<T>({1, 1, 2, 1}, {element_cast<T>(first_key), element_cast<T>(second_key)}),
          .v = Tensor<T>({1, 1, 2, 1}, {element_cast<T>(1.0), element_cast<T>(0.0)})};
}

/// The weight of the first of two keys.
double first_of(double first_score, double second_score) {
  return 1 / (1 + std::exp(second_score - first_score));
}

// Rule 5. Scale, then softcap, then what is added, then the softmax.

TYPED_TEST(SdpaSemantics, Rule05ScaleThenSoftcapThenAddedMask) {
  const auto inputs = two_keys<typename TypeParam::Element>(2.0, 4.0, -1.0);
  const Tensor<float> mask({2}, {-3.0F, 0.5F});
  const auto result = this->attend(inputs, {.mask = Mask::add(mask), .softcap = 2.0, .scale = 0.5});
  const double first = 2 * std::tanh(0.5 * 8 / 2) - 3;
  const double second = 2 * std::tanh(0.5 * -2 / 2) + 0.5;
  EXPECT_NEAR(result.weights(0, 0, 0, 0), first_of(first, second), 1e-6);
  EXPECT_NEAR(result.lse(0, 0, 0), std::log(std::exp(first) + std::exp(second)), 1e-6);
}

TYPED_TEST(SdpaSemantics, Rule05SoftcapThenAlibi) {
  const auto inputs = two_keys<typename TypeParam::Element>(2.0, 4.0, -1.0);
  const Tensor<float> slopes({1}, {0.75F});
  const auto result =
      this->attend(inputs, {.alignment = Alignment::at(3), .softcap = 1.5, .alibi_slopes = slopes});
  const double first = 1.5 * std::tanh(8 / 1.5) - 0.75 * 3;
  const double second = 1.5 * std::tanh(-2 / 1.5) - 0.75 * 2;
  EXPECT_NEAR(result.weights(0, 0, 0, 0), first_of(first, second), 1e-6);
}

TYPED_TEST(SdpaSemantics, Rule05NeitherSoftcapNorScaleTouchesTheSink) {
  const auto inputs = two_keys<typename TypeParam::Element>(1.0, 0.0, 0.0);
  const Tensor<float> sinks({1}, {3.0F});
  const auto result = this->attend(inputs, {.softcap = 1.0, .sinks = sinks, .scale = 0.25});
  EXPECT_NEAR(result.lse(0, 0, 0), std::log(2 + std::exp(3.0)), 1e-6);
}

// Rule 6. Weights are exp(score - lse), and asking for more changes nothing.

TYPED_TEST(SdpaSemantics, Rule06WeightsAreExpOfScoreMinusLse) {
  const auto inputs =
      random_inputs<typename TypeParam::Element>({.H = 2, .Hkv = 2, .L = 5, .S = 37});
  const auto result = this->attend(inputs);
  for (std::int64_t i = 0; i < 5; ++i) {
    double sum = 0;
    for (std::int64_t j = 0; j < 37; ++j) {
      double score = 0;
      for (std::int64_t d = 0; d < 8; ++d) {
        score += element_cast<double>(inputs.q(0, 1, i, d)) *
                 element_cast<double>(inputs.k(0, 1, j, d)) / std::sqrt(8.0);
      }
      EXPECT_NEAR(result.weights(0, 1, i, j),
                  std::exp(score - static_cast<double>(result.lse(0, 1, i))), 1e-6);
      sum += static_cast<double>(result.weights(0, 1, i, j));
    }
    EXPECT_NEAR(sum, 1, 1e-5);
  }
}

TYPED_TEST(SdpaSemantics, Rule06AskingForWeightsOrLseDoesNotChangeOut) {
  using T = typename TypeParam::Element;
  const auto inputs =
      random_inputs<T>({.B = 2, .H = 4, .Hkv = 2, .L = 33, .S = 129, .D = 17, .Dv = 9});
  const Tensor<float> sinks({4}, {0.0F, 1.0F, -1.0F, 4.0F});
  const SdpaOptions options{.causal = true,
                            .alignment = Alignment::bottom_right(),
                            .sinks = sinks,
                            .execution = {.path = TypeParam::kPath}};
  const auto whole = this->attend(inputs, options);
  std::vector<std::byte> workspace(sdpa_workspace_size(
      {.B = 2, .H = 4, .Hkv = 2, .L = 33, .S = 129, .D = 17, .Dv = 9, .dtype = kDTypeOf<T>},
      options.execution));
  for (int wanted = 0; wanted < 4; ++wanted) {
    Tensor<T> out({2, 4, 33, 9});
    Tensor<Accumulator<T>> lse({2, 4, 33});
    Tensor<Accumulator<T>> weights({2, 4, 33, 129});
    SdpaOutputs<T> outputs{.out = out};
    if ((wanted & 1) != 0) {
      outputs.lse = lse;
    }
    if ((wanted & 2) != 0) {
      outputs.weights = weights;
    }
    sdpa_into(outputs, inputs.q, inputs.k, inputs.v, options, workspace);
    EXPECT_TRUE(same_bits(out, whole.out)) << wanted;
    EXPECT_TRUE((wanted & 1) == 0 || same_bits(lse, whole.lse)) << wanted;
    EXPECT_TRUE((wanted & 2) == 0 || same_bits(weights, whole.weights)) << wanted;
  }
}

TYPED_TEST(SdpaSemantics, Rule06WeightsAreThereOnlyIfAskedFor) {
  const auto inputs = random_inputs<typename TypeParam::Element>({.L = 2, .S = 3});
  const Execution execution{.path = TypeParam::kPath};
  const auto plain = sdpa(inputs.q, inputs.k, inputs.v, {.execution = execution});
  EXPECT_TRUE(plain.weights.is_null());
  EXPECT_EQ(plain.lse.shape(), (Shape{1, 1, 2}));
}

TYPED_TEST(SdpaSemantics, Rule06EveryElementOfTheCallersArraysIsWritten) {
  using T = typename TypeParam::Element;
  using Real = Accumulator<T>;
  const auto inputs = random_inputs<T>({.L = 20, .S = 90});
  const SdpaOptions options{.causal = true,
                            .alignment = Alignment::at(-2),
                            .window = {.left = 4},
                            .execution = {.path = TypeParam::kPath, .threads = 1}};
  auto out = Tensor<T>::filled({1, 1, 20, 8}, element_cast<T>(kInfinity));
  auto lse = Tensor<Real>::filled({1, 1, 20}, std::numeric_limits<Real>::infinity());
  auto weights = Tensor<Real>::filled({1, 1, 20, 90}, std::numeric_limits<Real>::infinity());
  std::vector<std::byte> workspace(sdpa_workspace_size(
      {.L = 20, .S = 90, .D = 8, .Dv = 8, .dtype = kDTypeOf<T>}, options.execution));
  sdpa_into({.out = out.view(), .lse = lse.view(), .weights = weights.view()}, inputs.q, inputs.k,
            inputs.v, options, workspace);
  const auto expected = this->attend(inputs, options);
  EXPECT_TRUE(same_bits(out, expected.out));
  EXPECT_TRUE(same_bits(lse, expected.lse));
  EXPECT_TRUE(same_bits(weights, expected.weights));
}

// Rule 7. Query head h uses key head h / (H / Hkv).

TYPED_TEST(SdpaSemantics, Rule07GroupedHeadsEqualRepeatedHeads) {
  using T = typename TypeParam::Element;
  const auto grouped = random_inputs<T>({.B = 2, .H = 6, .Hkv = 2, .L = 9, .S = 21});
  Inputs<T> repeated{.q = grouped.q, .k = Tensor<T>({2, 6, 21, 8}), .v = Tensor<T>({2, 6, 21, 8})};
  for (std::int64_t h = 0; h < 6; ++h) {
    const auto copy_head = [&](Tensor<T>& to, const Tensor<T>& from) {
      const TensorView<T> target = to.view().select(1, h);
      const TensorView<const T> source = from.view().select(1, h / 3);
      for_each_offset(
          target.shape(),
          [&](std::int64_t at, std::int64_t own) { target.data()[at] = source.data()[own]; },
          target.strides(), source.strides());
    };
    copy_head(repeated.k, grouped.k);
    copy_head(repeated.v, grouped.v);
  }
  EXPECT_TRUE(same_bits(this->attend(grouped), this->attend(repeated)));
}

TYPED_TEST(SdpaSemantics, Rule07OneKeyHeadServesAllQueryHeads) {
  using T = typename TypeParam::Element;
  const auto inputs = random_inputs<T>({.H = 4, .Hkv = 1, .L = 3, .S = 5});
  const auto whole = this->attend(inputs);
  for (std::int64_t h = 0; h < 4; ++h) {
    const auto head = this->attend(inputs.q.view().slice(1, h, 1), inputs.k, inputs.v);
    EXPECT_TRUE(same_bits<T>(whole.out.view().slice(1, h, 1), head.out));
  }
}

// Rule 8. The default scale; which type computes and which comes out.

TYPED_TEST(SdpaSemantics, Rule08ScaleDefaultsToOneOverTheRootOfD) {
  const auto inputs = random_inputs<typename TypeParam::Element>({.L = 3, .S = 5, .D = 16});
  EXPECT_TRUE(same_bits(this->attend(inputs), this->attend(inputs, {.scale = 0.25})));
  EXPECT_FALSE(same_bits(this->attend(inputs), this->attend(inputs, {.scale = 0.3})));
}

static_assert(std::is_same_v<decltype(SdpaResult<float>::weights), Tensor<float>>);
static_assert(std::is_same_v<decltype(SdpaResult<double>::weights), Tensor<double>>);
static_assert(std::is_same_v<decltype(SdpaResult<float16>::weights), Tensor<float>>);
static_assert(std::is_same_v<decltype(SdpaResult<bfloat16>::lse), Tensor<float>>);
static_assert(std::is_same_v<decltype(SdpaResult<bfloat16>::out), Tensor<bfloat16>>);

/// q k^T is 64 * 128^2 = 2^20 and 2^20 - 2^13: both overflow float16, and the sum of 64 terms
/// would stick in bfloat16.
TYPED_TEST(SdpaSemantics, Rule08SixteenBitInputsAccumulateInFloat32) {
  using T = typename TypeParam::Element;
  const auto large = element_cast<T>(128.0);
  Inputs<T> inputs{.q = Tensor<T>::filled({1, 1, 1, 64}, large),
                   .k = Tensor<T>::filled({1, 1, 2, 64}, large),
                   .v = Tensor<T>({1, 1, 2, 1}, {element_cast<T>(1.0), element_cast<T>(0.0)})};
  inputs.k(0, 0, 1, 7) = element_cast<T>(64.0);
  const auto result = this->attend(inputs, {.scale = 0x1p-13});
  EXPECT_NEAR(result.lse(0, 0, 0), 128 + std::log(1 + std::exp(-1.0)), 128e-6);
  EXPECT_NEAR(result.weights(0, 0, 0, 0), first_of(1, 0), 1e-5);
  EXPECT_NEAR(element_cast<double>(result.out(0, 0, 0, 0)), first_of(1, 0), tolerance<T>());
}

TYPED_TEST(SdpaSemantics, Rule08OutOfManyEqualValuesIsThatValue) {
  using T = typename TypeParam::Element;
  auto inputs = random_inputs<T>({.L = 2, .S = 1000});
  inputs.v = Tensor<T>::filled({1, 1, 1000, 8}, element_cast<T>(1.5));
  const auto result = this->attend(inputs);
  for (const T value : result.out.values()) {
    EXPECT_NEAR(element_cast<double>(value), 1.5, tolerance<T>());
  }
}

TYPED_TEST(SdpaSemantics, Rule08LseIsTheNaturalLogarithm) {
  const auto inputs = random_inputs<typename TypeParam::Element>({.L = 1, .S = 7, .D = 0});
  EXPECT_NEAR(this->attend(inputs).lse(0, 0, 0), std::log(7.0), 1e-6);
}

// Rule 9. Layout is strides.

TYPED_TEST(SdpaSemantics, Rule09EveryArrangementGivesTheBitsOfDenseTensors) {
  using T = typename TypeParam::Element;
  constexpr Arrangement kArrangements[] = {Arrangement::heads_inside, Arrangement::packed,
                                           Arrangement::permuted, Arrangement::reversed,
                                           Arrangement::misaligned};
  const SdpaOptions options{.alignment = Alignment::at(20), .window = {.left = 19}, .scale = 1.0};
  Draws draws(11);
  for (std::int64_t run = 0; run < 10; ++run) {
    const Arrangement arrangement = kArrangements[run / 2];
    const auto inputs = random_inputs<T>(
        {.B = 2, .H = 4, .Hkv = 2, .L = run % 2 == 0 ? 17 : 3, .S = 33, .D = 9, .Dv = 5});
    const auto dense = this->attend(inputs, options);
    SCOPED_TRACE(name_of(arrangement));
    const auto arranged = [&](const Tensor<T>& tensor) {
      StridedBuffer<T> buffer(tensor.shape(), arrangement, draws, element_cast<T>(NAN));
      const TensorView<T> view = buffer.view();
      for_each_offset(
          tensor.shape(),
          [&](std::int64_t to, std::int64_t from) { view.data()[to] = tensor.data()[from]; },
          view.strides(), row_major_strides(tensor.shape()));
      return buffer;
    };
    StridedBuffer<T> q = arranged(inputs.q);
    StridedBuffer<T> k = arranged(inputs.k);
    StridedBuffer<T> v = arranged(inputs.v);
    EXPECT_TRUE(same_bits(this->attend(q.view(), k.view(), v.view(), options), dense));
  }
}

TYPED_TEST(SdpaSemantics, Rule09ASplitOfMergedHeadsIsReadInPlace) {
  using T = typename TypeParam::Element;
  const Tensor<T> x = random_tensor<T>({2, 4, 8}, 3);  // (B, L, E)
  const TensorView<const T> heads = x.view().split(2, 2).permute({0, 2, 1, 3});
  const auto result = this->attend(heads, heads, heads);
  EXPECT_EQ(result.out.shape(), (Shape{2, 2, 4, 4}));
  EXPECT_EQ(result.lse.shape(), (Shape{2, 2, 4}));
  EXPECT_EQ(result.weights.shape(), (Shape{2, 2, 4, 4}));
  const Tensor<T> dense = Tensor<T>::copy_of(heads);
  EXPECT_TRUE(same_bits(result, this->attend(dense, dense, dense)));
}

// Rule 10. Empty dimensions are legal.

TYPED_TEST(SdpaSemantics, Rule10NoKeysGiveZerosAndMinusInfinity) {
  const auto result =
      this->attend(random_inputs<typename TypeParam::Element>({.B = 2, .L = 3, .S = 0}));
  EXPECT_EQ(result.weights.shape(), (Shape{2, 1, 3, 0}));
  for (const auto value : result.out.values()) {
    EXPECT_EQ(element_cast<double>(value), 0);
  }
  EXPECT_THAT(result.lse.values(), ::testing::Each(-kInfinity));
}

TYPED_TEST(SdpaSemantics, Rule10NoKeysAndASinkGiveTheSink) {
  const Tensor<float> sinks({1}, {2.5F});
  const auto result =
      this->attend(random_inputs<typename TypeParam::Element>({.L = 3, .S = 0}), {.sinks = sinks});
  EXPECT_THAT(result.lse.values(), ::testing::Each(2.5));
}

TYPED_TEST(SdpaSemantics, Rule10NoFeaturesMakeEveryScoreZeroWhateverTheScale) {
  using T = typename TypeParam::Element;
  const auto inputs = random_inputs<T>({.L = 2, .S = 5, .D = 0, .Dv = 3});
  const auto result = this->attend(inputs);
  for (const auto weight : result.weights.values()) {
    EXPECT_NEAR(weight, 0.2, 1e-7);
  }
  EXPECT_TRUE(same_bits(result, this->attend(inputs, {.scale = 1e30})));
  EXPECT_TRUE(same_bits(result, this->attend(inputs, {.softcap = 3.0, .scale = 0.0})));
}

TYPED_TEST(SdpaSemantics, Rule10NoBatchAndNoQueriesGiveEmptyResults) {
  using T = typename TypeParam::Element;
  const auto no_batch = this->attend(random_inputs<T>({.B = 0, .H = 2, .Hkv = 2, .L = 3, .S = 4}));
  EXPECT_EQ(no_batch.out.shape(), (Shape{0, 2, 3, 8}));
  EXPECT_EQ(no_batch.lse.shape(), (Shape{0, 2, 3}));
  const auto no_queries = this->attend(random_inputs<T>({.L = 0, .S = 4}), {.scale = 1.0});
  EXPECT_EQ(no_queries.out.shape(), (Shape{1, 1, 0, 8}));
  EXPECT_EQ(no_queries.weights.shape(), (Shape{1, 1, 0, 4}));
}

TYPED_TEST(SdpaSemantics, Rule10NoValuesStillGiveLseAndWeights) {
  using T = typename TypeParam::Element;
  const auto inputs = random_inputs<T>({.L = 2, .S = 4, .Dv = 0});
  const auto result = this->attend(inputs);
  EXPECT_EQ(result.out.shape(), (Shape{1, 1, 2, 0}));
  const Tensor<T> some_values = random_tensor<T>({1, 1, 4, 3}, 2);
  const auto other = this->attend(inputs.q, inputs.k, some_values);
  EXPECT_TRUE(same_bits(result.lse, other.lse));
  EXPECT_TRUE(same_bits(result.weights, other.weights));
}

// Rule 12. The path is visible and can be forced. (What cannot serve is among the errors.)

TYPED_TEST(SdpaSemantics, Rule12TheForcedPathIsTheOneTaken) {
  const auto inputs = random_inputs<typename TypeParam::Element>({.L = 2, .S = 3});
  EXPECT_EQ(this->attend(inputs).taken.path, TypeParam::kPath);
}

TYPED_TEST(SdpaSemantics, Rule12AutomaticTakesANamedPathAndItsBits) {
  using T = typename TypeParam::Element;
  const auto inputs = random_inputs<T>({.L = 2, .S = 3});
  const auto automatic = sdpa(inputs.q, inputs.k, inputs.v);
  ASSERT_NE(automatic.taken.path, Path::automatic);
  const auto forced =
      sdpa(inputs.q, inputs.k, inputs.v, {.execution = {.path = automatic.taken.path}});
  EXPECT_TRUE(same_bits(automatic, forced));
}

/// docs/semantics.md, rule 12, of the instruction sets.
TEST(SdpaIsa, Rule12AnyInstructionSetOfTheListIsTakenAndTheyAgree) {
  const auto inputs = random_inputs<float>({.H = 2, .L = 40, .S = 300, .D = 19, .Dv = 11});
  const auto expected =
      sdpa(inputs.q, inputs.k, inputs.v, {.execution = {.path = Path::reference}});
  EXPECT_FALSE(expected.taken.isa.has_value());
  ASSERT_EQ(kernel_isas().front(), Isa::portable);
  for (const Isa isa : kernel_isas()) {
    const auto found = sdpa(inputs.q, inputs.k, inputs.v, {.execution = {.isa = isa}});
    EXPECT_EQ(found.taken, (Taken{.path = Path::fused, .isa = isa}));
    EXPECT_LE(largest_difference(found.out, expected.out), 1e-6) << name_of(isa);
    EXPECT_LE(largest_difference(found.lse, expected.lse), 1e-6) << name_of(isa);
  }
}

TEST(SdpaIsa, Rule12AnInstructionSetThatIsNotThereIsAnError) {
  const auto inputs = random_inputs<float>({.L = 2, .S = 3});
  const std::vector<Isa> usable = kernel_isas();
  for (const Isa isa : {Isa::neon, Isa::avx2, Isa::avx512, Isa::avx512_bf16}) {
    if (std::ranges::find(usable, isa) != usable.end()) {
      continue;
    }
    try {
      sdpa(inputs.q, inputs.k, inputs.v, {.execution = {.isa = isa}});
      ADD_FAILURE() << name_of(isa) << ": no error";
    } catch (const Error& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find("execution.isa"), std::string::npos) << text;
      EXPECT_NE(text.find("portable"), std::string::npos) << text;
      EXPECT_NE(text.find(name_of(isa)), std::string::npos) << text;
    }
  }
}

// Rule 15. Two forms, one result.

TYPED_TEST(SdpaSemantics, Rule15BothFormsGiveTheSameBits) {
  using T = typename TypeParam::Element;
  using Real = Accumulator<T>;
  const auto inputs = random_inputs<T>({.B = 2, .H = 2, .Hkv = 1, .L = 19, .S = 40});
  const SdpaOptions options{.softcap = 4.0, .execution = {.path = TypeParam::kPath}};
  const auto owning = this->attend(inputs, options);
  Tensor<T> out({2, 2, 19, 8});
  Tensor<Real> lse({2, 2, 19});
  Tensor<Real> weights({2, 2, 19, 40});
  std::vector<std::byte> workspace(sdpa_workspace_size(
      {.B = 2, .H = 2, .Hkv = 1, .L = 19, .S = 40, .D = 8, .Dv = 8, .dtype = kDTypeOf<T>},
      options.execution));
  EXPECT_EQ(sdpa_into({.out = out.view(), .lse = lse.view(), .weights = weights.view()}, inputs.q,
                      inputs.k, inputs.v, options, workspace),
            owning.taken);
  EXPECT_TRUE(same_bits(out, owning.out));
  EXPECT_TRUE(same_bits(lse, owning.lse));
  EXPECT_TRUE(same_bits(weights, owning.weights));
}

}  // namespace
}  // namespace attention::tests
