#pragma once

#include <attention/core/export.hpp>
#include <attention/core/tensor_view.hpp>

namespace attention::reference {

/// out[...] = a[...] + b[...], and the product. a and b broadcast to the shape of out. Computes in
/// double and rounds once. Instantiated, as all below, for float and double.
template <class T>
ATTENTION_API void add(TensorView<T> out, TensorView<const T> a, TensorView<const T> b);
template <class T>
ATTENTION_API void multiply(TensorView<T> out, TensorView<const T> a, TensorView<const T> b);

/// out[...] = factor x[...], of one shape. Computes in double and rounds once.
template <class T>
ATTENTION_API void scale(TensorView<T> out, TensorView<const T> x, double factor);

/// out = x, summed over the dimensions that broadcasting out to the shape of x repeats: each
/// element of x is added to the element of out that it would be a copy of. Computes in double and
/// rounds once.
template <class T>
ATTENTION_API void sum_to(TensorView<T> out, TensorView<const T> x);

}  // namespace attention::reference
