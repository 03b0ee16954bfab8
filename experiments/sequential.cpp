#include <algorithm>
#include <array>
#include <string>

#include "experiments/catalogue.hpp"
#include "experiments/claims.hpp"

namespace attention::experiments {
namespace {

constexpr std::int64_t kTokens = 4;
constexpr std::array<double, kTokens> kArcsine = {5.0 / 16.0, 3.0 / 16.0, 3.0 / 16.0, 5.0 / 16.0};

Input sequential_input() {
  Input input{.labels = {"Start", "Dep(1)", "Dep(1,2)", "Dep(1,2,3)"},
              .tokens = Tensor<float>({kTokens, kEmbedding})};
  for (std::int64_t i = 0; i < kTokens; ++i) {
    for (std::int64_t feature = 0; feature <= i; ++feature) {
      input.tokens(i, feature) = 1.0F;
    }
  }
  return input;
}

Claim rising_claim(const Input& input) {
  Claim claim{.id = "rising",
              .statement = "Each weight of a row is larger than the one before.",
              .published = "weights vary little and without order, from 0.23 to 0.27",
              .exact = "1/8 for each row",
              .proof =
                  "Token j + 1 is token j with one more feature, so from key j to key j + 1 a "
                  "score changes by "
                  "q . w_(j+1) / sqrt(D): along a row the scores are a random walk. Its three "
                  "steps are independent given "
                  "q, alike, and symmetric, so all three go up with probability 1/2 * 1/2 * 1/2.",
              .events = {}};
  for (std::int64_t row = 0; row < kTokens; ++row) {
    claim.events.push_back({.label = input.labels[static_cast<std::size_t>(row)],
                            .holds =
                                [row](const Weights& weights) {
                                  for (std::int64_t j = 1; j < kTokens; ++j) {
                                    if (!(weights(row, j) > weights(row, j - 1))) {
                                      return false;
                                    }
                                  }
                                  return true;
                                },
                            .exact = 1.0 / 8.0});
  }
  return claim;
}

Claim largest_claim(const Input& input) {
  Claim claim{.id = "largest",
              .statement = "The largest weight of a row falls on key 0, 1, 2, 3.",
              .published = "expected: later tokens attend to the earlier ones that they depend on",
              .exact = "5/16, 3/16, 3/16, 5/16 in each row",
              .proof =
                  "Where a random walk of n symmetric steps has its maximum follows the discrete "
                  "arcsine law (Sparre "
                  "Andersen 1953): P(k) = u_k u_(n-k) with u_k = C(2k, k) / 4^k = 1, 1/2, 3/8, "
                  "5/16. The ends are the "
                  "likeliest for every row, the row of the first token included: what a token "
                  "depends on plays no part.",
              .events = {}};
  for (std::int64_t row = 0; row < kTokens; ++row) {
    for (std::int64_t key = 0; key < kTokens; ++key) {
      claim.events.push_back(
          {.label = input.labels[static_cast<std::size_t>(row)] + ", key " + std::to_string(key),
           .holds = [row, key](const Weights& weights) { return largest_key(weights, row) == key; },
           .exact = kArcsine[static_cast<std::size_t>(key)]});
    }
  }
  return claim;
}

/// The weight that a row gives to the tokens before its own, minus their share i / L, mean over the
/// rows after the first.
double weight_on_earlier(const Weights& weights) {
  double sum = 0;
  for (std::int64_t i = 1; i < kTokens; ++i) {
    for (std::int64_t j = 0; j < i; ++j) {
      sum += static_cast<double>(weights(i, j)) - 1.0 / kTokens;
    }
  }
  return sum / (kTokens - 1);
}

}  // namespace

Experiment sequential_experiment() {
  const Input input = sequential_input();
  Experiment experiment{
      .name = "sequential",
      .title = "Sequential dependencies",
      .description = "Four tokens; token i has the features 0 to i equal to 1, the others 0.",
      .expectation = "Each token depends on the ones before it, so it should attend to them.",
      .input = input,
      .claims = {rising_claim(input), largest_claim(input), equal_tokens_claim(input)},
      .effects = {
          {.id = "weight_on_earlier",
           .statement = "Weight on the earlier tokens minus their share, mean over the later rows",
           .published = "none stated",
           .measure = weight_on_earlier},
          spread_effect()}};
  experiment.effects.back().published = "0.04 (from 0.23 to 0.27)";
  return experiment;
}

}  // namespace attention::experiments
