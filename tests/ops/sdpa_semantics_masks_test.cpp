#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/ops/sdpa.hpp>

#include "harness/every_path.hpp"

/// docs/semantics.md, rules 1 and 2: masks, and where the queries stand.
namespace attention::tests {
namespace {

using Rows = std::vector<std::string>;

constexpr std::int64_t kHugest = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kFurthest = std::int64_t{1} << 40;  // the largest offset that sdpa takes

template <class Setting>
class SdpaMasks : public OnEveryPath<Setting> {};
TYPED_TEST_SUITE(SdpaMasks, EveryPath, PathNames);

template <class Setting>
class SdpaPositions : public OnEveryPath<Setting> {};
TYPED_TEST_SUITE(SdpaPositions, EveryPath, PathNames);

// Rule 1. A mask says by name what true means.

static_assert(!std::is_convertible_v<TensorView<const bool>, Mask>);
static_assert(!std::is_convertible_v<TensorView<const float>, Mask>);
static_assert(!std::is_convertible_v<const Tensor<bool>&, Mask>);
static_assert(!std::is_constructible_v<Mask, TensorView<const bool>>);

template <class MaskTensor>
concept KeepTakes = requires(MaskTensor&& mask) { Mask::keep(std::forward<MaskTensor>(mask)); };
template <class MaskTensor>
concept AddTakes = requires(MaskTensor&& mask) { Mask::add(std::forward<MaskTensor>(mask)); };

static_assert(KeepTakes<const Tensor<bool>&> && !KeepTakes<Tensor<bool>>,
              "a temporary would not outlive the mask");
static_assert(AddTakes<const Tensor<float>&> && !AddTakes<Tensor<float>>);
static_assert(!KeepTakes<const Tensor<float>&> && !AddTakes<const Tensor<bool>&>);

TYPED_TEST(SdpaMasks, Rule01KeepAttendsWhereTrue) {
  const auto inputs = random_inputs<typename TypeParam::Element>({.L = 2, .S = 3});
  const Tensor<bool> mask({2, 3}, {true, false, true, false, true, false});
  EXPECT_EQ(seen_keys(this->attend(inputs, {.mask = Mask::keep(mask)})), (Rows{"101", "010"}));
}

TYPED_TEST(SdpaMasks, Rule01BlockAttendsWhereFalse) {
  const auto inputs = random_inputs<typename TypeParam::Element>({.L = 2, .S = 3});
  const Tensor<bool> mask({2, 3}, {true, false, true, false, true, false});
  EXPECT_EQ(seen_keys(this->attend(inputs, {.mask = Mask::block(mask)})), (Rows{"010", "101"}));
}

TYPED_TEST(SdpaMasks, Rule01NoMaskBlocksNothing) {
  const auto inputs = random_inputs<typename TypeParam::Element>({.L = 2, .S = 3});
  EXPECT_EQ(seen_keys(this->attend(inputs)), (Rows{"111", "111"}));
}

TYPED_TEST(SdpaMasks, Rule01AddIsAddedAndMinusInfinityBlocks) {
  using T = typename TypeParam::Element;
  const auto inputs = random_inputs<T>({.L = 1, .S = 4, .D = 0});  // every score is 0
  const auto added = [&]<class M>() {
    const auto at = [](double value) { return element_cast<M>(value); };
    const Tensor<M> mask({4}, {at(0.0), at(1.0), at(-HUGE_VAL), at(-2.0)});
    const auto result = this->attend(inputs, {.mask = Mask::add(mask)});
    const double sum = 1 + std::numbers::e + std::exp(-2.0);
    EXPECT_NEAR(result.lse(0, 0, 0), std::log(sum), 1e-6);
    EXPECT_NEAR(result.weights(0, 0, 0, 0), 1 / sum, 1e-6);
    EXPECT_NEAR(result.weights(0, 0, 0, 1), std::numbers::e / sum, 1e-6);
    EXPECT_EQ(result.weights(0, 0, 0, 2), 0);
    EXPECT_NEAR(result.weights(0, 0, 0, 3), std::exp(-2.0) / sum, 1e-6);
  };
  added.template operator()<float>();
  added.template operator()<double>();
  added.template operator()<float16>();
  added.template operator()<bfloat16>();
}

TYPED_TEST(SdpaMasks, Rule01EveryBroadcastShapeEqualsTheWholeMask) {
  using T = typename TypeParam::Element;
  const Shape whole{2, 4, 5, 19};
  const auto inputs = random_inputs<T>({.B = 2, .H = 4, .Hkv = 2, .L = 5, .S = 19});
  std::vector<Shape> shapes = {{}};
  for (int rank = 1; rank <= 4; ++rank) {
    for (int repeated = 0; repeated < (1 << rank); ++repeated) {
      Shape shape;
      for (int dim = 0; dim < rank; ++dim) {
        shape.push_back(((repeated >> dim) & 1) != 0 ? 1 : whole[4 - rank + dim]);
      }
      shapes.push_back(shape);
    }
  }
  for (const Shape& shape : shapes) {
    SCOPED_TRACE(to_string(shape));
    const Tensor<float> bias = random_tensor<float>(shape, 5);
    Tensor<bool> keep(shape);
    for (std::size_t n = 0; n < keep.values().size(); ++n) {
      keep.values()[n] = bias.values()[n] < 0.5F;
    }
    const auto whole_bias = Tensor<float>::copy_of(bias.view().broadcast_to(whole));
    const auto whole_keep = Tensor<bool>::copy_of(std::as_const(keep).view().broadcast_to(whole));
    EXPECT_TRUE(same_bits(this->attend(inputs, {.mask = Mask::add(bias)}),
                          this->attend(inputs, {.mask = Mask::add(whole_bias)})));
    EXPECT_TRUE(same_bits(this->attend(inputs, {.mask = Mask::keep(keep)}),
                          this->attend(inputs, {.mask = Mask::keep(whole_keep)})));
  }
}

TYPED_TEST(SdpaMasks, Rule01EachBatchEntryAndQueryHeadHasItsOwnMask) {
  const auto inputs =
      random_inputs<typename TypeParam::Element>({.B = 2, .H = 4, .Hkv = 2, .L = 20, .S = 8});
  Tensor<bool> keep({2, 4, 20, 8});
  for (std::int64_t b = 0; b < 2; ++b) {
    for (std::int64_t h = 0; h < 4; ++h) {
      for (std::int64_t i = 0; i < 20; ++i) {
        keep(b, h, i, (4 * b + h + i) % 8) = true;
      }
    }
  }
  const auto result = this->attend(inputs, {.mask = Mask::keep(std::as_const(keep))});
  for (std::size_t n = 0; n < keep.values().size(); ++n) {
    EXPECT_EQ(result.weights.values()[n], keep.values()[n] ? 1 : 0) << n;
  }
}

// Rule 2. Query i stands at key position i + offset, for causality, windows and ALiBi alike.

struct PositionCase {
  PositionCase(const char* its_name, std::int64_t queries, std::int64_t keys, SdpaOptions how,
               Rows rows)
      : name(its_name), L(queries), S(keys), options(std::move(how)), expected(std::move(rows)) {}

  const char* name;
  std::int64_t L;
  std::int64_t S;
  SdpaOptions options;
  Rows expected;
};

std::vector<PositionCase> causal_cases() {
  const auto bottom_right = Alignment::bottom_right();
  return {
      {"causal, square", 3, 3, {.causal = true}, {"100", "110", "111"}},
      {"causal, top left",
       3,
       5,
       {.causal = true, .alignment = Alignment::top_left()},
       {"10000", "11000", "11100"}},
      {"causal, bottom right",
       3,
       5,
       {.causal = true, .alignment = bottom_right},
       {"11100", "11110", "11111"}},
      {"causal, at 1",
       3,
       5,
       {.causal = true, .alignment = Alignment::at(1)},
       {"11000", "11100", "11110"}},
      {"causal, before the keys",
       3,
       5,
       {.causal = true, .alignment = Alignment::at(-2)},
       {"00000", "00000", "10000"}},
      {"causal, far past the keys",
       2,
       3,
       {.causal = true, .alignment = Alignment::at(1000000007)},
       {"111", "111"}},
      {"causal, more queries than keys",
       5,
       3,
       {.causal = true, .alignment = bottom_right},
       {"000", "000", "100", "110", "111"}},
  };
}

std::vector<PositionCase> window_cases() {
  const auto top_left = Alignment::top_left();
  const auto bottom_right = Alignment::bottom_right();
  return {
      {"window of itself", 3, 3, {.window = {.left = 0, .right = 0}}, {"100", "010", "001"}},
      {"window, both ends included",
       3,
       5,
       {.alignment = bottom_right, .window = {.left = 1, .right = 1}},
       {"01110", "00111", "00011"}},
      {"window, left only",
       3,
       5,
       {.alignment = top_left, .window = {.left = 1}},
       {"11111", "11111", "01111"}},
      {"window, right only",
       3,
       5,
       {.alignment = top_left, .window = {.right = 1}},
       {"11000", "11100", "11110"}},
      {"window, past the keys",
       2,
       3,
       {.alignment = Alignment::at(10), .window = {.left = 2, .right = 0}},
       {"000", "000"}},
      {"window, before the keys",
       2,
       3,
       {.alignment = Alignment::at(-10), .window = {.left = 2, .right = 4}},
       {"000", "000"}},
      {"window and causal",
       4,
       4,
       {.causal = true, .window = {.left = 1, .right = 3}},
       {"1000", "1100", "0110", "0011"}},
  };
}

std::vector<PositionCase> cases_at_the_ends_of_the_integers() {
  return {
      {"window, hugest",
       2,
       3,
       {.alignment = Alignment::bottom_right(), .window = {.left = kHugest, .right = kHugest}},
       {"111", "111"}},
      {"window, hugest and causal",
       2,
       3,
       {.causal = true, .alignment = Alignment::at(1), .window = {.left = kHugest}},
       {"110", "111"}},
      {"furthest offset",
       2,
       3,
       {.causal = true, .alignment = Alignment::at(kFurthest)},
       {"111", "111"}},
      {"lowest offset",
       2,
       3,
       {.causal = true, .alignment = Alignment::at(-kFurthest)},
       {"000", "000"}},
      {"furthest offset and window",
       2,
       3,
       {.alignment = Alignment::at(kFurthest), .window = {.left = 5, .right = kHugest}},
       {"000", "000"}},
      {"lowest offset and window",
       2,
       3,
       {.alignment = Alignment::at(-kFurthest), .window = {.left = kHugest, .right = 5}},
       {"000", "000"}},
  };
}

TYPED_TEST(SdpaPositions, Rule02VisibleKeysAreTheNamedOnes) {
  using T = typename TypeParam::Element;
  for (const auto& cases : {causal_cases(), window_cases(), cases_at_the_ends_of_the_integers()}) {
    for (const PositionCase& c : cases) {
      SCOPED_TRACE(c.name);
      const auto inputs = random_inputs<T>({.L = c.L, .S = c.S});
      EXPECT_EQ(seen_keys(this->attend(inputs, c.options)), c.expected);
    }
  }
}

TYPED_TEST(SdpaPositions, Rule02BottomRightCountsFromEachKeyLength) {
  const auto inputs = random_inputs<typename TypeParam::Element>({.B = 4, .L = 3, .S = 5});
  const Tensor<std::int32_t> lengths({4}, {5, 3, 2, 0});
  const auto causal = this->attend(
      inputs, {.causal = true, .alignment = Alignment::bottom_right(), .key_lengths = lengths});
  EXPECT_EQ(seen_keys(causal, 0), (Rows{"11100", "11110", "11111"}));
  EXPECT_EQ(seen_keys(causal, 1), (Rows{"10000", "11000", "11100"}));
  EXPECT_EQ(seen_keys(causal, 2), (Rows{"00000", "10000", "11000"}));
  EXPECT_EQ(seen_keys(causal, 3), (Rows{"00000", "00000", "00000"}));
  const auto window = this->attend(inputs, {.alignment = Alignment::bottom_right(),
                                            .window = {.left = 1, .right = 0},
                                            .key_lengths = lengths});
  EXPECT_EQ(seen_keys(window, 0), (Rows{"01100", "00110", "00011"}));
  EXPECT_EQ(seen_keys(window, 1), (Rows{"10000", "11000", "01100"}));
  EXPECT_EQ(seen_keys(window, 2), (Rows{"00000", "10000", "11000"}));
}

TYPED_TEST(SdpaPositions, Rule02TopLeftDoesNotCountFromTheKeyLength) {
  const auto inputs = random_inputs<typename TypeParam::Element>({.L = 3, .S = 5});
  const Tensor<std::int64_t> lengths({1}, {2});
  const auto result = this->attend(
      inputs, {.causal = true, .alignment = Alignment::top_left(), .key_lengths = lengths});
  EXPECT_EQ(seen_keys(result), (Rows{"10000", "11000", "11000"}));
}

TYPED_TEST(SdpaPositions, Rule02CausalWindowMaskAndKeyLengthsCompose) {
  const auto inputs = random_inputs<typename TypeParam::Element>({.L = 4, .S = 6});
  const Tensor<std::int64_t> lengths({1}, {5});
  const Tensor<bool> keep({6}, {true, true, false, true, true, true});
  const auto result = this->attend(inputs, {.mask = Mask::keep(keep),
                                            .causal = true,
                                            .alignment = Alignment::at(2),
                                            .window = {.left = 2},
                                            .key_lengths = lengths});
  EXPECT_EQ(seen_keys(result), (Rows{"110000", "010100", "000110", "000110"}));
}

/// slope ln 2 halves a weight with each step of distance.
TYPED_TEST(SdpaPositions, Rule02AlibiAddsMinusSlopeTimesDistance) {
  using T = typename TypeParam::Element;
  const auto inputs = random_inputs<T>({.H = 2, .Hkv = 2, .L = 2, .S = 4, .D = 0});
  const Tensor<double> slopes({2}, {std::numbers::ln2, 0.0});
  const auto result = this->attend(inputs, {.alignment = Alignment::at(1), .alibi_slopes = slopes});
  // Query 0 stands at key 1: distances 1, 0, 1, 2. Query 1 at key 2: 2, 1, 0, 1.
  const std::vector<std::vector<double>> expected = {{2, 4, 2, 1}, {1, 2, 4, 2}};
  for (std::int64_t i = 0; i < 2; ++i) {
    for (std::int64_t j = 0; j < 4; ++j) {
      EXPECT_NEAR(result.weights(0, 0, i, j),
                  expected[static_cast<std::size_t>(i)][static_cast<std::size_t>(j)] / 9, 1e-6);
      EXPECT_NEAR(result.weights(0, 1, i, j), 0.25, 1e-7);
    }
    EXPECT_NEAR(result.lse(0, 0, i), std::log(9.0 / 4.0), 1e-6);
  }
}

TYPED_TEST(SdpaPositions, Rule02EachQueryHeadHasItsOwnSlope) {
  using T = typename TypeParam::Element;
  const auto inputs = random_inputs<T>({.H = 4, .Hkv = 2, .L = 1, .S = 2, .D = 0});
  const Tensor<double> slopes({4}, {0.0, 1.0, 2.0, -1.0});
  const auto result =
      this->attend(inputs, {.alignment = Alignment::top_left(), .alibi_slopes = slopes});
  for (std::int64_t h = 0; h < 4; ++h) {
    EXPECT_NEAR(result.weights(0, h, 0, 0), 1 / (1 + std::exp(-slopes(h))), 1e-6) << h;
  }
}

TYPED_TEST(SdpaPositions, Rule02AWindowMovesWithTheQuery) {
  const auto inputs = random_inputs<typename TypeParam::Element>({.L = 150, .S = 150});
  const auto result = this->attend(inputs, {.window = {.left = 70, .right = 5}});
  for (std::int64_t i = 0; i < 150; ++i) {
    for (std::int64_t j = 0; j < 150; ++j) {
      ASSERT_EQ(result.weights(0, 0, i, j) != 0, j >= i - 70 && j <= i + 5) << i << ", " << j;
    }
  }
}

TYPED_TEST(SdpaPositions, Rule02LengthsSlopesAndSinksOfEitherTypeGiveTheSameBits) {
  using T = typename TypeParam::Element;
  const auto inputs = random_inputs<T>({.B = 3, .H = 2, .Hkv = 1, .L = 4, .S = 21});
  const Tensor<std::int32_t> short_lengths({3}, {21, 16, 3});
  const Tensor<std::int64_t> long_lengths({3}, {21, 16, 3});
  const Tensor<float> float_slopes({2}, {0.25F, 0.375F});
  const Tensor<double> double_slopes({2}, {0.25, 0.375});
  const Tensor<float> float_sinks({2}, {-1.5F, 2.0F});
  const Tensor<double> double_sinks({2}, {-1.5, 2.0});
  const auto alignment = Alignment::bottom_right();
  EXPECT_TRUE(same_bits(this->attend(inputs, {.alignment = alignment,
                                              .key_lengths = short_lengths,
                                              .alibi_slopes = float_slopes,
                                              .sinks = float_sinks}),
                        this->attend(inputs, {.alignment = alignment,
                                              .key_lengths = long_lengths,
                                              .alibi_slopes = double_slopes,
                                              .sinks = double_sinks})));
}

TYPED_TEST(SdpaPositions, Rule02AnAlignmentIsNeededOnlyIfSomethingCountsFromIt) {
  const auto inputs = random_inputs<typename TypeParam::Element>({.L = 2, .S = 5});
  const Tensor<bool> keep({5}, {true, true, false, true, true});
  const Tensor<std::int64_t> lengths({1}, {4});
  EXPECT_EQ(seen_keys(this->attend(inputs, {.mask = Mask::keep(keep), .key_lengths = lengths})),
            (Rows{"11010", "11010"}));
}

TYPED_TEST(SdpaPositions, LowerTriangularWeightsAreExactlyZeroAboveTheDiagonal) {
  const auto inputs =
      random_inputs<typename TypeParam::Element>({.B = 2, .H = 2, .Hkv = 2, .L = 67, .S = 67});
  const auto result = this->attend(inputs, {.causal = true});
  for_each_offset(
      result.weights.shape(),
      [&](std::int64_t n) {
        const std::int64_t i = n / 67 % 67;
        const std::int64_t j = n % 67;
        ASSERT_EQ(result.weights.data()[n] != 0, j <= i) << i << ", " << j;
      },
      row_major_strides(result.weights.shape()));
}

}  // namespace
}  // namespace attention::tests
