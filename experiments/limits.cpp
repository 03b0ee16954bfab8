#include <string>

#include "experiments/catalogue.hpp"
#include "experiments/claims.hpp"

/// The two limits of what weights can look like: all equal, and all on one.
namespace attention::experiments {
namespace {

constexpr std::int64_t kTokens = 6;
constexpr std::int64_t kLarge = 2;  // which token of the focused input is the large one
constexpr float kLargeNorm = 10.0F;

Input uniform_input() {
  Input input{.labels = {"T1", "T2", "T3", "T4", "T5", "T6"},
              .tokens = Tensor<float>({kTokens, kEmbedding})};
  for (std::int64_t i = 0; i < kTokens; ++i) {
    input.tokens(i, std::int64_t{0}) = 1.0F;
  }
  return input;
}

Input focused_input() {
  Input input = uniform_input();
  input.labels[kLarge] = "T3 (large)";
  input.tokens(kLarge, std::int64_t{0}) = kLargeNorm;
  return input;
}

bool all_equal(const Weights& weights) {
  for (std::int64_t i = 0; i < kTokens; ++i) {
    for (std::int64_t j = 0; j < kTokens; ++j) {
      if (weights(i, j) != weights(std::int64_t{0}, std::int64_t{0})) {
        return false;
      }
    }
  }
  return true;
}

Claim large_token_claim() {
  const auto event = [](const char* label, std::int64_t row) {
    return Event{
        .label = label,
        .holds = [row](const Weights& weights) { return gets_most(weights, row, {kLarge}); },
        .exact = 0.5};
  };
  return {
      .id = "large_token",
      .statement = "The large token gets the most weight.",
      .published = "expected: what is large is looked at",
      .exact = "1/2 for each row",
      .proof =
          "The score of a key is c + s x_j with x_j = 10 for the large token and 1 for the others, "
          "and s = q . w_0 / "
          "sqrt(D) is as likely positive as negative. If s > 0 the large token wins, if s < 0 it "
          "gets the least. "
          "Without projections s = x_i / sqrt(D) > 0 always.",
      .events = {event("other tokens", 0), event("large token", kLarge)}};
}

}  // namespace

Experiment uniform_experiment() {
  Experiment experiment{
      .name = "uniform",
      .title = "The uniform limit",
      .description = "Six equal tokens.",
      .expectation = "Nothing tells the tokens apart, so each gets 1/6.",
      .input = uniform_input(),
      .claims = {{.id = "uniform",
                  .statement = "All weights are equal, bit for bit.",
                  .published = "",
                  .exact = "1",
                  .proof = "All scores of a row are the same number, and softmax of equal scores "
                           "is 1/L, whatever the "
                           "projections are.",
                  .events = {{.label = "all weights", .holds = all_equal, .exact = 1.0}}}},
      .effects = {spread_effect()},
      .shows_control_first = true};
  experiment.effects[0].exact_mean = 0.0;
  experiment.effects[0].proof = "All weights are equal.";
  return experiment;
}

Experiment focused_experiment() {
  Experiment experiment{
      .name = "focused",
      .title = "The focused limit",
      .description = "Six tokens along one direction: five of norm 1 and one of norm 10.",
      .expectation = "The large token has the largest dot products, so all attend to it.",
      .input = focused_input(),
      .claims = {large_token_claim()},
      .effects = {{.id = "weight_on_large",
                   .statement = "Weight on the large token, mean over the rows",
                   .published = "none stated",
                   .measure =
                       [](const Weights& weights) {
                         double sum = 0;
                         for (std::int64_t i = 0; i < kTokens; ++i) {
                           sum += static_cast<double>(weights(i, kLarge));
                         }
                         return sum / kTokens;
                       }},
                  spread_effect()},
      .shows_control_first = true};
  experiment.claims.push_back(equal_tokens_claim(experiment.input));
  return experiment;
}

}  // namespace attention::experiments
