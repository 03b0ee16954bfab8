#include <algorithm>
#include <cmath>

#include <attention/render/detail/blocks.hpp>

namespace attention::render::detail {
namespace {

struct Extent {
  std::int64_t first;
  std::int64_t last;
};

double mean_of(const Tensor<double>& values, const Extent& rows, const Extent& columns) {
  double sum = 0;
  std::int64_t count = 0;
  for (std::int64_t i = rows.first; i < rows.last; ++i) {
    for (std::int64_t j = columns.first; j < columns.last; ++j) {
      const double value = values(i, j);
      if (std::isfinite(value)) {
        sum += value;
        ++count;
      }
    }
  }
  return count > 0 ? sum / static_cast<double>(count) : values(rows.first, columns.first);
}

}  // namespace

BlockEdges even_blocks(std::int64_t count, std::int64_t blocks) {
  BlockEdges edges;
  for (std::int64_t i = 0; i <= blocks; ++i) {
    edges.push_back(i * count / blocks);
  }
  return edges;
}

BlockEdges blocks_of(std::int64_t count, std::int64_t size) {
  BlockEdges edges = {0};
  while (edges.back() < count) {
    edges.push_back(std::min(edges.back() + size, count));
  }
  return edges;
}

Tensor<double> block_means(const Tensor<double>& values, const BlockEdges& rows,
                           const BlockEdges& columns) {
  Tensor<double> means({std::ssize(rows) - 1, std::ssize(columns) - 1});
  double* next = means.data();
  for (std::size_t i = 0; i + 1 < rows.size(); ++i) {
    for (std::size_t j = 0; j + 1 < columns.size(); ++j) {
      *next++ = mean_of(values, {.first = rows[i], .last = rows[i + 1]},
                        {.first = columns[j], .last = columns[j + 1]});
    }
  }
  return means;
}

}  // namespace attention::render::detail
