#pragma once

#include <span>

#include <attention/core/error.hpp>
#include <attention/core/execution.hpp>
#include <attention/core/export.hpp>
#include <attention/core/tensor.hpp>

namespace attention {

/// Joins tensors along one dimension: part 0, then part 1, ...
///
/// Shapes: one part or more, of one rank of 1 or more, whose extents differ in `dim` only
/// (negative: counted from the end) -> out of that shape, its extent in `dim` the sum of theirs.
/// Any strides; parts may be empty.
///
/// The gradient of a part is a slice of d_out: d_out.slice(dim, start, extent of the part), without
/// a copy.
///
/// Cost: one pass over memory. There is one path, the reference.
///
/// Throws Error when there is no part, shapes do not fit, or the path asked for does not exist.
///
/// See also: TensorView::slice; reference::concat.
ATTENTION_API Tensor<float> concat(std::span<const TensorView<const float>> parts, int dim,
                                   const Execution& execution = {});
ATTENTION_API Tensor<double> concat(std::span<const TensorView<const double>> parts, int dim,
                                    const Execution& execution = {});

/// The same, written into the caller's view: allocates nothing. Returns the path taken.
///
/// Throws Error as concat does, and when out has another shape, overlaps itself or overlaps a part.
ATTENTION_API Path concat_into(TensorView<float> out,
                               std::span<const TensorView<const float>> parts, int dim,
                               const Execution& execution = {});
ATTENTION_API Path concat_into(TensorView<double> out,
                               std::span<const TensorView<const double>> parts, int dim,
                               const Execution& execution = {});

}  // namespace attention
