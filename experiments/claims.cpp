#include "experiments/claims.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace attention::experiments {
namespace {

using Pairs = std::vector<std::pair<std::int64_t, std::int64_t>>;

/// The pairs of equal tokens.
Pairs equal_pairs(const Tensor<float>& tokens) {
  Pairs pairs;
  for (std::int64_t a = 0; a < tokens.size(0); ++a) {
    for (std::int64_t b = a + 1; b < tokens.size(0); ++b) {
      bool equal = true;
      for (std::int64_t feature = 0; feature < tokens.size(1); ++feature) {
        equal = equal && tokens(a, feature) == tokens(b, feature);
      }
      if (equal) {
        pairs.emplace_back(a, b);
      }
    }
  }
  return pairs;
}

bool rows_and_columns_equal(const Weights& weights, const Pairs& pairs) {
  for (const auto& [a, b] : pairs) {
    for (std::int64_t i = 0; i < weights.size(0); ++i) {
      if (weights(a, i) != weights(b, i) || weights(i, a) != weights(i, b)) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace

Claim equal_tokens_claim(const Input& input) {
  return {.id = "equal_tokens",
          .statement = "Equal tokens have equal rows and equal columns, bit for bit.",
          .published = "",
          .exact = "1",
          .proof =
              "A row depends on its query token alone, and a weight within it on its key token "
              "alone (without "
              "positions, a token does not know where it stands). Equal tokens give equal queries "
              "and equal keys, "
              "whatever the projections are.",
          .events = {{.label = "all pairs of equal tokens",
                      .holds =
                          [pairs = equal_pairs(input.tokens)](const Weights& weights) {
                            return rows_and_columns_equal(weights, pairs);
                          },
                      .exact = 1.0}}};
}

Effect spread_effect() {
  return {.id = "spread",
          .statement = "Largest minus smallest weight of a row, mean over the rows",
          .published = "",
          .measure = [](const Weights& weights) {
            double sum = 0;
            for (std::int64_t i = 0; i < weights.size(0); ++i) {
              float low = weights(i, std::int64_t{0});
              float high = low;
              for (std::int64_t j = 1; j < weights.size(1); ++j) {
                low = std::min(low, weights(i, j));
                high = std::max(high, weights(i, j));
              }
              sum += static_cast<double>(high) - static_cast<double>(low);
            }
            return sum / static_cast<double>(weights.size(0));
          }};
}

bool gets_most(const Weights& weights, std::int64_t row, const std::vector<std::int64_t>& keys) {
  float least_inside = std::numeric_limits<float>::infinity();
  float most_outside = -std::numeric_limits<float>::infinity();
  for (std::int64_t j = 0; j < weights.size(1); ++j) {
    const bool inside = std::ranges::find(keys, j) != keys.end();
    if (inside) {
      least_inside = std::min(least_inside, weights(row, j));
    } else {
      most_outside = std::max(most_outside, weights(row, j));
    }
  }
  return least_inside > most_outside;
}

std::int64_t largest_key(const Weights& weights, std::int64_t row) {
  std::int64_t largest = 0;
  for (std::int64_t j = 1; j < weights.size(1); ++j) {
    if (weights(row, j) > weights(row, largest)) {
      largest = j;
    }
  }
  return largest;
}

}  // namespace attention::experiments
