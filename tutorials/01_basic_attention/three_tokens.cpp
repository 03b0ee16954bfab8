// Prints every matrix of the tutorial's three-token example as JSON, for the page.

#include "tutorials/01_basic_attention/three_tokens.hpp"

#include <cmath>
#include <cstdint>
#include <iostream>
#include <limits>
#include <numbers>
#include <string>

#include <nlohmann/json.hpp>

#include <attention/ops/linear.hpp>
#include <attention/ops/sdpa.hpp>
#include <attention/ops/softmax.hpp>

#include "tutorials/01_basic_attention/naive.hpp"

namespace {

using attention::Tensor;
using Json = nlohmann::ordered_json;

/// A number; NaN and the infinities, which JSON lacks, as text.
Json number(double value) {
  if (std::isfinite(value)) {
    return value;
  }
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

Json rows(attention::TensorView<const double> matrix) {
  Json json = Json::array();
  for (std::int64_t i = 0; i < matrix.size(0); ++i) {
    Json row = Json::array();
    for (std::int64_t j = 0; j < matrix.size(1); ++j) {
      row.push_back(number(matrix(i, j)));
    }
    json.push_back(row);
  }
  return json;
}

Json rows(const tutorial::Matrix& matrix) {
  Json json = Json::array();
  for (const tutorial::Row& values : matrix) {
    Json row = Json::array();
    for (const double value : values) {
      row.push_back(number(value));
    }
    json.push_back(row);
  }
  return json;
}

tutorial::Matrix nested(const Tensor<double>& matrix) {
  tutorial::Matrix result;
  for (std::int64_t i = 0; i < matrix.size(0); ++i) {
    const double* row = matrix.data() + i * matrix.size(1);
    result.emplace_back(row, row + matrix.size(1));
  }
  return result;
}

/// (L, D) as (1, 1, L, D), what sdpa takes.
attention::TensorView<const double> batch(const Tensor<double>& matrix) {
  return matrix.view().unsqueeze(0).unsqueeze(0);
}

/// The first head of the first batch entry.
Json head(const Tensor<double>& tensor) {
  return rows(tensor.view().select(0, 0).select(0, 0));
}

}  // namespace

int main() {
  const tutorial::ThreeTokens example;
  Json page;

  // Step 0: the tokens and their projections.
  const Tensor<double> q = attention::linear(example.x, example.w_q);
  const Tensor<double> k = attention::linear(example.x, example.w_k);
  const Tensor<double> v = attention::linear(example.x, example.w_v);
  page["x"] = rows(example.x.view());
  page["w_q"] = rows(example.w_q.view());
  page["w_k"] = rows(example.w_k.view());
  page["w_v"] = rows(example.w_v.view());
  page["q"] = rows(q.view());
  page["k"] = rows(k.view());
  page["v"] = rows(v.view());

  // Steps 1 to 4, each by itself. A product with k^T is a linear layer whose weight is k.
  const Tensor<double> dots = attention::linear(q, k);
  Tensor<double> scores = dots;
  for (double& score : scores.values()) {
    score /= std::numbers::sqrt2;
  }
  const Tensor<double> weights = attention::softmax(scores);
  const Tensor<double> out =
      attention::linear(weights, Tensor<double>::copy_of(v.view().transpose(0, 1)));
  page["dots"] = rows(dots.view());
  page["scores"] = rows(scores.view());
  page["weights"] = rows(weights.view());
  page["out"] = rows(out.view());

  // The ten lines of the page, and the library.
  page["naive"] = rows(tutorial::naive_sdpa(nested(q), nested(k), nested(v)));
  // [library]
  const auto result = attention::sdpa(batch(q), batch(k), batch(v), {.return_weights = true});
  // [/library]
  page["sdpa_out"] = head(result.out);
  page["sdpa_weights"] = head(result.weights);
  page["sdpa_lse"] = rows(result.lse.view().select(0, 0));

  // Causal: no token sees a later one.
  // [causal]
  const auto causal =
      attention::sdpa(batch(q), batch(k), batch(v), {.causal = true, .return_weights = true});
  // [/causal]
  page["causal_weights"] = head(causal.weights);
  page["causal_out"] = head(causal.out);

  // A row that may see nothing.
  // [masked]
  const Tensor<bool> keep({3, 3}, {true, true, true,     // the
                                   false, false, false,  // cat: sees no key
                                   true, true, true});   // sat
  const auto masked = attention::sdpa(
      batch(q), batch(k), batch(v), {.mask = attention::Mask::keep(keep), .return_weights = true});
  // [/masked]
  page["masked_weights"] = head(masked.weights);
  page["masked_out"] = head(masked.out);
  page["masked_lse"] = rows(masked.lse.view().select(0, 0));
  // The usual code puts -inf into the scores of such a row and takes the softmax of it.
  Tensor<double> blocked = scores;
  for (std::int64_t j = 0; j < 3; ++j) {
    blocked(1, j) = -std::numeric_limits<double>::infinity();
  }
  page["masked_usual"] = rows(attention::softmax(blocked).view());

  // Scores that overflow the ten lines: exp(1000) is infinite in double.
  Tensor<double> large_q = q;
  for (double& value : large_q.values()) {
    value *= 1000;
  }
  page["large_naive"] = rows(tutorial::naive_sdpa(nested(large_q), nested(k), nested(v)));
  const auto large = attention::sdpa(batch(large_q), batch(k), batch(v), {.return_weights = true});
  page["large_sdpa"] = head(large.out);

  std::cout << page.dump(1) << "\n";
  return 0;
}
