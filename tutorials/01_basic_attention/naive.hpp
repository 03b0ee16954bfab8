#pragma once

#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

/// The naive attention of the tutorial: the formula and nothing else, on vectors of vectors.
namespace tutorial {

using Row = std::vector<double>;
using Matrix = std::vector<Row>;

/// The sum of a[d] * b[d].
inline double dot(const Row& a, const Row& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

/// row += factor * other.
inline void add(Row& row, double factor, const Row& other) {
  for (std::size_t d = 0; d < row.size(); ++d) {
    row[d] += factor * other[d];
  }
}

// clang-format off
// [naive]
inline Matrix naive_sdpa(const Matrix& q, const Matrix& k, const Matrix& v) {
  Matrix out(q.size(), Row(v[0].size()));
  for (std::size_t i = 0; i < q.size(); ++i) {
    Row weights;
    for (const Row& key : k) weights.push_back(std::exp(dot(q[i], key) / std::sqrt(key.size())));
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    for (std::size_t j = 0; j < k.size(); ++j) add(out[i], weights[j] / sum, v[j]);
  }
  return out;
}
// [/naive]
// clang-format on

}  // namespace tutorial
