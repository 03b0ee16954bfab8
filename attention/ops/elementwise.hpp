#pragma once

#include <attention/core/error.hpp>
#include <attention/core/execution.hpp>
#include <attention/core/export.hpp>
#include <attention/core/tensor.hpp>

/// Sums and products of tensors element by element, with NumPy's broadcasting, and what takes a
/// gradient back through it.
///
/// Of each operation there is one path, the reference. None allocates but for its result.
namespace attention {

/// Adds two tensors: out[...] = a[...] + b[...].
///
/// Shapes: a and b broadcast to the shape of out: right-aligned, an extent of 1 (or a missing one)
/// repeats. Any strides. Each element is rounded once.
///
/// The gradients: d_a = sum_to(d_out, shape of a), d_b = sum_to(d_out, shape of b).
///
/// Cost: one pass over memory.
///
/// Throws Error when the shapes do not broadcast, or the path asked for does not exist.
///
/// See also: sum_to; reference::add.
ATTENTION_API Tensor<float> add(TensorView<const float> a, TensorView<const float> b,
                                const Execution& execution = {});
ATTENTION_API Tensor<double> add(TensorView<const double> a, TensorView<const double> b,
                                 const Execution& execution = {});

/// The same, written into the caller's view, which may be a or b itself (or both): allocates
/// nothing. Returns the path taken.
///
/// Throws Error as add does, and when out has another shape than a and b together, overlaps itself,
/// or overlaps an input without being it.
ATTENTION_API Path add_into(TensorView<float> out, TensorView<const float> a,
                            TensorView<const float> b, const Execution& execution = {});
ATTENTION_API Path add_into(TensorView<double> out, TensorView<const double> a,
                            TensorView<const double> b, const Execution& execution = {});

/// Multiplies two tensors element by element: out[...] = a[...] b[...]. All else as add.
///
/// The gradients: d_a = sum_to(multiply(d_out, b), shape of a), and so for b.
///
/// See also: scale; reference::multiply.
ATTENTION_API Tensor<float> multiply(TensorView<const float> a, TensorView<const float> b,
                                     const Execution& execution = {});
ATTENTION_API Tensor<double> multiply(TensorView<const double> a, TensorView<const double> b,
                                      const Execution& execution = {});
ATTENTION_API Path multiply_into(TensorView<float> out, TensorView<const float> a,
                                 TensorView<const float> b, const Execution& execution = {});
ATTENTION_API Path multiply_into(TensorView<double> out, TensorView<const double> a,
                                 TensorView<const double> b, const Execution& execution = {});

/// Multiplies a tensor by a number: out[...] = factor x[...], the product of doubles rounded once
/// to the element type.
///
/// Shapes: x of any shape and strides -> out of the same shape. The gradient is
/// scale(d_out, factor).
///
/// Cost: one pass over memory.
///
/// Throws Error when x is not given, or the path asked for does not exist.
///
/// See also: reference::scale.
ATTENTION_API Tensor<float> scale(TensorView<const float> x, double factor,
                                  const Execution& execution = {});
ATTENTION_API Tensor<double> scale(TensorView<const double> x, double factor,
                                   const Execution& execution = {});

/// The same, written into the caller's view, which may be x itself: allocates nothing. Returns the
/// path taken.
///
/// Throws Error as scale does, and when out has another shape, overlaps itself, or overlaps x
/// without being x.
ATTENTION_API Path scale_into(TensorView<float> out, TensorView<const float> x, double factor,
                              const Execution& execution = {});
ATTENTION_API Path scale_into(TensorView<double> out, TensorView<const double> x, double factor,
                              const Execution& execution = {});

/// Sums x over the dimensions that broadcasting a tensor of `shape` to the shape of x repeats: the
/// gradient of that broadcast.
///
/// Shapes: x of a shape that `shape` broadcasts to -> out of `shape`. sum_to(x, Shape{}) is the sum
/// of all elements. Any strides. A sum of no elements is 0; where nothing repeats, out is a copy.
///
/// Adds in double and rounds once. The terms of a sum are cut into at most 16 pieces, and the order
/// in which pieces and their terms are added depends on the shapes alone.
///
/// Cost: one pass over x.
///
/// Throws Error when `shape` does not broadcast to the shape of x, or the path asked for does not
/// exist.
///
/// See also: add, multiply; reference::sum_to.
ATTENTION_API Tensor<float> sum_to(TensorView<const float> x, const Shape& shape,
                                   const Execution& execution = {});
ATTENTION_API Tensor<double> sum_to(TensorView<const double> x, const Shape& shape,
                                    const Execution& execution = {});

/// The same, written into the caller's view, whose shape is the one to sum to: allocates nothing.
/// Returns the path taken.
///
/// Throws Error as sum_to does, and when out overlaps itself or x.
ATTENTION_API Path sum_to_into(TensorView<float> out, TensorView<const float> x,
                               const Execution& execution = {});
ATTENTION_API Path sum_to_into(TensorView<double> out, TensorView<const double> x,
                               const Execution& execution = {});

}  // namespace attention
