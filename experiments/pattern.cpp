#include <string>
#include <utility>
#include <vector>

#include "experiments/catalogue.hpp"
#include "experiments/claims.hpp"

namespace attention::experiments {
namespace {

constexpr std::int64_t kKinds = 3;  // A, B, C
constexpr std::int64_t kTokens = 2 * kKinds;

Input pattern_input() {
  Input input{.labels = {"A1", "B1", "C1", "A2", "B2", "C2"},
              .tokens = Tensor<float>({kTokens, kEmbedding})};
  for (std::int64_t i = 0; i < kTokens; ++i) {
    input.tokens(i, i % kKinds) = 1.0F;
  }
  return input;
}

/// The mean weight of a key of the query's own kind minus that of a key of another kind, mean over
/// the rows.
double same_minus_different(const Weights& weights) {
  double same = 0;
  double different = 0;
  for (std::int64_t i = 0; i < kTokens; ++i) {
    for (std::int64_t j = 0; j < kTokens; ++j) {
      (i % kKinds == j % kKinds ? same : different) += static_cast<double>(weights(i, j));
    }
  }
  constexpr double kSameCells = 2.0 * kTokens;
  return same / kSameCells - different / (kTokens * kTokens - kSameCells);
}

Claim own_pattern_claim(const std::vector<std::string>& labels) {
  Claim claim{.id = "own_pattern",
              .statement = "A token gives its own pattern the most weight.",
              .published = "0.17 for the own pattern, 0.16 for the others",
              .exact = "1/3 for each pattern",
              .proof =
                  "Fix the query q of a token. The scores of the three kinds of keys are q . (w_A "
                  "+ b), q . (w_B + b), "
                  "q . (w_C + b), where w_A, w_B, w_C are columns of W_k: independent of q, and "
                  "drawn independently "
                  "from one distribution. Exchanging the columns exchanges the scores, so each "
                  "kind is the largest "
                  "with the same probability; there are three.",
              .events = {}};
  for (std::int64_t kind = 0; kind < kKinds; ++kind) {
    const auto twin = static_cast<std::size_t>(kind + kKinds);
    claim.events.push_back({.label = labels[static_cast<std::size_t>(kind)] + ", " + labels[twin],
                            .holds =
                                [kind](const Weights& weights) {
                                  return gets_most(weights, kind, {kind, kind + kKinds});
                                },
                            .exact = 1.0 / 3.0});
  }
  return claim;
}

}  // namespace

Experiment pattern_experiment() {
  Input input = pattern_input();
  Claim own_pattern = own_pattern_claim(input.labels);
  Claim equal_tokens = equal_tokens_claim(input);
  return {
      .name = "pattern",
      .title = "Repeated patterns",
      .description = "Six tokens, A B C A B C. A, B and C are one-hot vectors.",
      .expectation = "A1 and A2 are the same token twice, so they should attend to each other.",
      .input = std::move(input),
      .claims = {std::move(own_pattern), std::move(equal_tokens)},
      .effects = {
          {.id = "same_minus_different",
           .statement =
               "Weight of a key of the own pattern minus that of another, mean over the cells",
           .published = "0.01 (0.17 against 0.16)",
           .measure = same_minus_different,
           .exact_mean = 0.0,
           .proof = "Exchanging two columns of W_k exchanges the weights of two kinds of keys, so "
                    "that in each row "
                    "the three kinds have the same expected weight."},
          spread_effect()}};
}

}  // namespace attention::experiments
