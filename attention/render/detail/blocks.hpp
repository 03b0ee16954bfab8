#pragma once

#include <cstdint>
#include <vector>

#include <attention/core/export.hpp>
#include <attention/core/tensor.hpp>

/// Private to the room; exported because the component `render` uses it across the library's
/// border.
namespace attention::render::detail {

/// The edges of blocks along one side of a matrix: block i is [edges[i], edges[i + 1]).
using BlockEdges = std::vector<std::int64_t>;

/// `blocks` blocks of `count` rows or columns, the same size to within one.
ATTENTION_API BlockEdges even_blocks(std::int64_t count, std::int64_t blocks);

/// Blocks of `size`; the last one may be smaller.
ATTENTION_API BlockEdges blocks_of(std::int64_t count, std::int64_t size);

/// The mean of the finite values of each block; the first value of a block that has none.
ATTENTION_API Tensor<double> block_means(const Tensor<double>& values, const BlockEdges& rows,
                                         const BlockEdges& columns);

}  // namespace attention::render::detail
