#include <algorithm>
#include <array>
#include <string>

#include "experiments/catalogue.hpp"
#include "experiments/claims.hpp"

namespace attention::experiments {
namespace {

constexpr std::array<int, 6> kNumbers = {1, 1, 2, 3, 5, 8};
constexpr auto kTokens = static_cast<std::int64_t>(kNumbers.size());

Input fibonacci_input() {
  Input input{.labels = {}, .tokens = Tensor<float>({kTokens, kEmbedding})};
  for (std::int64_t i = 0; i < kTokens; ++i) {
    const int number = kNumbers[static_cast<std::size_t>(i)];
    input.labels.push_back("Fib(" + std::to_string(i + 1) + ")=" + std::to_string(number));
    input.tokens(i, std::int64_t{0}) = static_cast<float>(number) / 8.0F;
  }
  return input;
}

bool does_not_fall(const Weights& weights, std::int64_t row) {
  for (std::int64_t j = 1; j < kTokens; ++j) {
    if (weights(row, j) < weights(row, j - 1)) {
      return false;
    }
  }
  return true;
}

Claim rising_claim(const Input& input) {
  Claim claim{
      .id = "rising",
      .statement = "The weights of a row do not fall as the key's number rises.",
      .published = "weights rise from left to right, from 0.16 to 0.17",
      .exact = "1/2 for each row",
      .proof =
          "Only feature 0 differs between the tokens, so the score of key j is c + s x_j, with x_j "
          "its number / 8 "
          "and s = q . w_0 / sqrt(D), where w_0 is column 0 of W_k. The weights of a row rise if s "
          "> 0 and fall "
          "if s < 0. w_0 is independent of q and as likely as -w_0, so each has probability 1/2.",
      .events = {}};
  for (std::int64_t row = 1; row < kTokens; ++row) {  // row 0 equals row 1
    claim.events.push_back(
        {.label = input.labels[static_cast<std::size_t>(row)],
         .holds = [row](const Weights& weights) { return does_not_fall(weights, row); },
         .exact = 0.5});
  }
  return claim;
}

Claim predecessors_claim(const Input& input) {
  Claim claim{.id = "predecessors",
              .statement = "A number gives its two predecessors the most weight.",
              .published = "expected: each number is the sum of the two before it",
              .exact = "1/2 for Fib(3), 0 for Fib(4), Fib(5) and Fib(6)",
              .proof =
                  "The weights of a row rise or fall with the key's number, so the largest two lie "
                  "at one end: on 5 and 8, "
                  "or on 1 and 1. The predecessors of Fib(3) are 1 and 1 (they win when the row "
                  "falls); those of the "
                  "later numbers are at neither end. No projection can change that: without "
                  "positions the scores are "
                  "linear in the number.",
              .events = {}};
  for (std::int64_t row = 2; row < kTokens; ++row) {
    claim.events.push_back(
        {.label = input.labels[static_cast<std::size_t>(row)],
         .holds =
             [row](const Weights& weights) { return gets_most(weights, row, {row - 2, row - 1}); },
         .exact = row == 2 ? 0.5 : 0.0});
  }
  return claim;
}

double rise(const Weights& weights) {
  double sum = 0;
  for (std::int64_t i = 0; i < kTokens; ++i) {
    sum += static_cast<double>(weights(i, kTokens - 1)) -
           static_cast<double>(weights(i, std::int64_t{0}));
  }
  return sum / static_cast<double>(kTokens);
}

}  // namespace

Experiment fibonacci_experiment() {
  const Input input = fibonacci_input();
  Experiment experiment{
      .name = "fibonacci",
      .title = "The Fibonacci sequence",
      .description =
          "Six tokens, 1 1 2 3 5 8. Feature 0 is the number divided by 8; the others are 0.",
      .expectation = "Each number is the sum of the two before it, so it should attend to them.",
      .input = input,
      .claims = {rising_claim(input), predecessors_claim(input), equal_tokens_claim(input)},
      .effects = {
          {.id = "rise",
           .statement = "Weight of the last key minus that of the first, mean over the rows",
           .published = "0.01 (from 0.16 to 0.17)",
           .measure = rise},
          spread_effect()}};
  return experiment;
}

}  // namespace attention::experiments
