#include "experiments/claims.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include <gtest/gtest.h>

#include <attention/core/error.hpp>

#include "experiments/experiment.hpp"

namespace attention::experiments {
namespace {

const Claim& claim_of(const Experiment& experiment, std::string_view id) {
  for (const Claim& claim : experiment.claims) {
    if (claim.id == id) {
      return claim;
    }
  }
  throw std::runtime_error("no such claim");
}

const Effect& effect_of(const Experiment& experiment, std::string_view id) {
  for (const Effect& effect : experiment.effects) {
    if (effect.id == id) {
      return effect;
    }
  }
  throw std::runtime_error("no such effect");
}

/// Rows that are all this one.
Tensor<float> equal_rows(std::initializer_list<float> row) {
  const auto length = static_cast<std::int64_t>(row.size());
  Tensor<float> weights({length, length});
  for (std::int64_t i = 0; i < length; ++i) {
    std::ranges::copy(row, weights.data() + i * length);
  }
  return weights;
}

TEST(Pattern, HoldsWhereTheOwnKindHasTheMost) {
  const Experiment& experiment = *find_experiment("pattern");
  const Claim& claim = claim_of(experiment, "own_pattern");
  const Tensor<float> to_a = equal_rows({0.2F, 0.15F, 0.15F, 0.2F, 0.15F, 0.15F});
  EXPECT_TRUE(claim.events[0].holds(to_a));
  EXPECT_FALSE(claim.events[1].holds(to_a));
  EXPECT_FALSE(claim.events[2].holds(to_a));
  const Tensor<float> tie = equal_rows({0.2F, 0.2F, 0.1F, 0.2F, 0.2F, 0.1F});
  EXPECT_FALSE(claim.events[0].holds(tie));
  EXPECT_NEAR(effect_of(experiment, "same_minus_different").measure(to_a), 0.0, 1e-7);
}

TEST(Fibonacci, TellsRisingFromFallingAndFindsThePredecessors) {
  const Experiment& experiment = *find_experiment("fibonacci");
  const Tensor<float> rising = equal_rows({0.1F, 0.1F, 0.15F, 0.2F, 0.2F, 0.25F});
  const Tensor<float> falling = equal_rows({0.25F, 0.25F, 0.2F, 0.15F, 0.1F, 0.05F});
  for (const Event& event : claim_of(experiment, "rising").events) {
    EXPECT_TRUE(event.holds(rising));
    EXPECT_FALSE(event.holds(falling));
  }
  const Claim& predecessors = claim_of(experiment, "predecessors");
  ASSERT_EQ(predecessors.events.size(), 4U);
  EXPECT_TRUE(predecessors.events[0].holds(falling));
  EXPECT_FALSE(predecessors.events[0].holds(rising));
  EXPECT_TRUE(predecessors.events[3].holds(equal_rows({0.1F, 0.1F, 0.1F, 0.3F, 0.3F, 0.1F})));
  EXPECT_NEAR(effect_of(experiment, "rise").measure(rising), 0.15, 1e-6);
}

TEST(Sequential, CountsStepsAndFindsTheLargest) {
  const Experiment& experiment = *find_experiment("sequential");
  const Tensor<float> rising = equal_rows({0.1F, 0.2F, 0.3F, 0.4F});
  const Tensor<float> level = equal_rows({0.25F, 0.25F, 0.25F, 0.25F});
  EXPECT_TRUE(claim_of(experiment, "rising").events[2].holds(rising));
  EXPECT_FALSE(claim_of(experiment, "rising").events[2].holds(level));
  const Claim& largest = claim_of(experiment, "largest");
  ASSERT_EQ(largest.events.size(), 16U);
  EXPECT_TRUE(largest.events[7].holds(rising));   // row 1, key 3
  EXPECT_FALSE(largest.events[6].holds(rising));  // row 1, key 2
  // Rows 1, 2, 3 give 0.1, 0.3, 0.6 to earlier tokens; their shares are 1/4, 2/4, 3/4.
  EXPECT_NEAR(effect_of(experiment, "weight_on_earlier").measure(rising),
              (0.1 + 0.3 + 0.6 - 1.5) / 3, 1e-6);
}

TEST(Focused, HoldsWhereTheLargeTokenWins) {
  const Claim& claim = claim_of(*find_experiment("focused"), "large_token");
  EXPECT_TRUE(claim.events[0].holds(equal_rows({0.1F, 0.1F, 0.5F, 0.1F, 0.1F, 0.1F})));
  EXPECT_FALSE(claim.events[0].holds(equal_rows({0.2F, 0.2F, 0.0F, 0.2F, 0.2F, 0.2F})));
}

TEST(EqualTokens, SeesADifferenceOfOneBitInARowOrAColumn) {
  const Claim& claim = claim_of(*find_experiment("pattern"), "equal_tokens");
  Tensor<float> weights = equal_rows({0.2F, 0.15F, 0.15F, 0.2F, 0.15F, 0.15F});
  EXPECT_TRUE(claim.events[0].holds(weights));
  weights(3, 1) = std::nextafter(weights(3, 1), 1.0F);
  EXPECT_FALSE(claim.events[0].holds(weights));
  weights(3, 1) = 0.15F;
  weights(2, 5) = std::nextafter(weights(2, 5), 1.0F);
  EXPECT_FALSE(claim.events[0].holds(weights));
}

TEST(Spread, IsLargestMinusSmallestOfEachRow) {
  EXPECT_NEAR(spread_effect().measure(equal_rows({0.1F, 0.6F, 0.3F})), 0.5, 1e-6);
}

TEST(Experiments, HaveDistinctNamesAndOneLabelPerToken) {
  for (const Experiment& experiment : all_experiments()) {
    EXPECT_EQ(static_cast<std::int64_t>(experiment.input.labels.size()),
              experiment.input.tokens.size(0));
    EXPECT_EQ(experiment.input.tokens.size(1), 8);
    EXPECT_EQ(find_experiment(experiment.name), &experiment);
  }
  EXPECT_EQ(find_experiment("patern"), nullptr);
}

TEST(CustomExperiment, LabelsByNumberAndChecksItsTokens) {
  const Experiment experiment = custom_experiment(Tensor<double>({3, 4}), {});
  EXPECT_EQ(experiment.input.labels, (std::vector<std::string>{"0", "1", "2"}));
  EXPECT_THROW(custom_experiment(Tensor<float>({3}), {}), Error);
  EXPECT_THROW(custom_experiment(Tensor<float>({0, 4}), {}), Error);
  EXPECT_THROW(custom_experiment(Tensor<float>({3, 4}), {"a", "b"}), Error);
  Tensor<float> broken({1, 1});
  broken(0, 0) = std::numeric_limits<float>::infinity();
  EXPECT_THROW(custom_experiment(broken, {}), Error);
}

}  // namespace
}  // namespace attention::experiments
