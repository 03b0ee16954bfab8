#include "experiments/run.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/error.hpp>
#include <attention/ops/kernel_isas.hpp>

namespace attention::experiments {
namespace {

class EveryExperiment : public testing::TestWithParam<std::string> {
 protected:
  static const Experiment& experiment() { return *find_experiment(GetParam()); }
};

/// The seeds 0 .. 9999 were fixed before anybody looked.
TEST_P(EveryExperiment, MeasuresTheExactProbabilitiesOver10000Seeds) {
  const Result result = run(experiment(), {});
  for (const ClaimResult& claim : result.claims) {
    EXPECT_NE(claim.verdict, Verdict::differs) << claim.claim->id;
    for (const EventResult& event : claim.events) {
      ASSERT_TRUE(event.exact.has_value());
      EXPECT_TRUE(event.interval.contains(*event.exact))
          << claim.claim->id << ", " << event.label << ": " << event.probability << ", exact "
          << *event.exact;
    }
  }
  for (const EffectResult& effect : result.effects) {
    if (effect.effect->exact_mean) {
      EXPECT_LE(std::abs(effect.moments.mean - *effect.effect->exact_mean),
                3.3 * effect.moments.standard_error)
          << effect.effect->id;
    }
  }
}

TEST_P(EveryExperiment, TheProofsHoldInEachOfTwoHeads) {
  const Result result = run(experiment(), {.seeds = 3000, .heads = 2});
  for (const ClaimResult& claim : result.claims) {
    EXPECT_EQ(claim.events.size(), 2 * claim.claim->events.size());
    EXPECT_NE(claim.verdict, Verdict::differs) << claim.claim->id;
  }
}

TEST_P(EveryExperiment, RowsOfEveryDrawSumToOne) {
  for (const std::uint64_t seed : {0, 1, 42}) {
    const Draw one = draw(experiment(), {.heads = 4}, seed);
    for (std::int64_t h = 0; h < 4; ++h) {
      for (std::int64_t i = 0; i < one.weights.size(1); ++i) {
        double sum = 0;
        for (std::int64_t j = 0; j < one.weights.size(2); ++j) {
          sum += static_cast<double>(one.weights(h, i, j));
        }
        EXPECT_NEAR(sum, 1.0, 1e-6);
      }
    }
  }
}

void expect_near(const Tensor<float>& found, const Tensor<float>& expected, Isa isa) {
  ASSERT_EQ(found.shape(), expected.shape());
  for (std::size_t n = 0; n < expected.values().size(); ++n) {
    const float value = expected.values()[n];
    EXPECT_NEAR(found.values()[n], value, 1e-6F * std::max(1.0F, std::abs(value)))
        << name_of(isa) << ", element " << n;
  }
}

TEST_P(EveryExperiment, TheKernelsOfEachInstructionSetAgreeWithTheReference) {
  for (const Isa isa : kernel_isas()) {
    for (const std::int64_t heads : {1, 2, 4}) {
      for (const std::uint64_t seed : {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 42}) {
        const Draw reference = draw(experiment(), {.heads = heads}, seed);
        const Draw fused =
            draw(experiment(), {.heads = heads, .path = Path::fused, .isa = isa}, seed);
        expect_near(fused.weights, reference.weights, isa);
        expect_near(fused.output, reference.output, isa);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, EveryExperiment,
                         testing::Values("pattern", "fibonacci", "sequential", "uniform",
                                         "focused"),
                         [](const auto& test) { return test.param; });

TEST(Run, DoesNotDependOnTheNumberOfThreads) {
  const Experiment& experiment = *find_experiment("fibonacci");
  const Result one = run(experiment, {.seeds = 950, .threads = 1});
  const Result four = run(experiment, {.seeds = 950, .threads = 4});
  EXPECT_EQ(one.claims[0].events[0].count, four.claims[0].events[0].count);
  EXPECT_EQ(one.effects[0].over_seeds, four.effects[0].over_seeds);
  EXPECT_THAT(one.distribution.mean.values(),
              testing::ElementsAreArray(four.distribution.mean.values()));
}

TEST(Run, TheShownDrawIsAmongTheSeeds) {
  const Experiment& experiment = *find_experiment("pattern");
  const Result result = run(experiment, {.seed = 17, .seeds = 20});
  EXPECT_EQ(result.effects[0].one_draw, result.effects[0].over_seeds[17]);
}

TEST(Run, TheControlShowsThePattern) {
  const Result result = run(*find_experiment("pattern"), {.seeds = 0});
  EXPECT_NEAR(result.control_weights(0, 0, 3), 0.208, 5e-4);
  EXPECT_NEAR(result.control_weights(0, 0, 1), 0.146, 5e-4);
  EXPECT_TRUE(result.claims[0].events[0].control);
  EXPECT_TRUE(result.distribution.mean.is_null());
}

TEST(Run, LargestSharesAddUpToOneInEachRow) {
  const Result result = run(*find_experiment("pattern"), {.seeds = 500});
  for (std::int64_t i = 0; i < 6; ++i) {
    double sum = 0;
    for (std::int64_t j = 0; j < 6; ++j) {
      sum += result.distribution.largest_share(i, j);
    }
    EXPECT_NEAR(sum, 1.0, 1e-9);
  }
  EXPECT_EQ(result.distribution.largest_share(0, 0), result.distribution.largest_share(0, 3));
}

TEST(Run, AScoreFactorMultipliesTheScores) {
  const Experiment& experiment = *find_experiment("pattern");
  const Result flat = run(experiment, {.seeds = 10, .score_factor = 0});
  EXPECT_FLOAT_EQ(flat.draw.weights(0, 2, 1), 1.0F / 6.0F);
  EXPECT_FALSE(flat.claims[0].events[0].exact.has_value());
  EXPECT_EQ(flat.claims[0].verdict, Verdict::measured);
  EXPECT_EQ(flat.claims[1].verdict, Verdict::proved);  // equal tokens stay equal
  const Result one = run(experiment, {.seeds = 0});
  const Result three = run(experiment, {.seeds = 0, .score_factor = 3});
  const auto log_ratio = [](const Result& r) {
    return std::log(r.draw.weights(0, 0, 2) / r.draw.weights(0, 0, 0));
  };
  EXPECT_NEAR(log_ratio(three), 3 * log_ratio(one), 1e-5);
  const Result steep = run(experiment, {.seeds = 2000, .score_factor = 16});
  EXPECT_EQ(steep.claims[0].verdict, Verdict::chance);
}

TEST(Run, ReportsProgressUpToTheEnd) {
  std::vector<std::int64_t> seen;
  run(*find_experiment("uniform"),
      {.seeds = 250, .progress = [&](std::int64_t done) { seen.push_back(done); }});
  EXPECT_EQ(seen.back(), 250);
}

TEST(Run, RefusesSettingsThatMakeNoSense) {
  const Experiment& experiment = *find_experiment("pattern");
  EXPECT_THROW(run(experiment, {.heads = 3}), Error);
  EXPECT_THROW(run(experiment, {.heads = 0}), Error);
  EXPECT_THROW(run(experiment, {.seeds = -1}), Error);
  EXPECT_THROW(run(experiment, {.score_factor = std::nan("")}), Error);
}

}  // namespace
}  // namespace attention::experiments
