#pragma once

#include <cstdint>

#include <attention/core/error.hpp>
#include <attention/core/execution.hpp>
#include <attention/core/export.hpp>
#include <attention/core/tensor.hpp>

namespace attention {

/// The options of dropout. `seed` and `call` name the mask: the same two, the same mask.
struct DropoutOptions {
  /// Of being dropped, in [0, 1].
  double probability = 0;
  std::uint64_t seed = 0;
  /// The number of this call among those with one seed: calls with different numbers drop
  /// independently of each other.
  std::uint64_t call = 0;
  Execution execution = {};
};

/// Computes dropout: sets some elements to 0, each with the same probability and independently of
/// the others, and scales the others so that the mean stays: out = x / (1 - probability) where an
/// element is kept.
///
/// Shapes: x of any rank -> out of the same shape. Any strides. Which elements are dropped follows
/// from probability, seed, call and each element's index in row-major order (see
/// random::DropoutMask), and from nothing else: float and double, every number of threads and every
/// stride have the same mask.
///
/// Edge rules: probability 0 gives x, 1 gives zeros. A dropped NaN gives 0: it is selected away,
/// not multiplied.
///
/// Cost: one pass, and 5 multiplications of words an element. The fused path serves float, and
/// multiplies in float; the reference path computes in double and rounds once.
///
/// Throws Error when the probability does not lie in [0, 1], or the path asked for cannot serve.
///
/// Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from
/// overfitting"; random::philox for the words. See also: SdpaOptions::dropout, which drops weights
/// of attention.
ATTENTION_API Tensor<float> dropout(TensorView<const float> x, const DropoutOptions& options);
ATTENTION_API Tensor<double> dropout(TensorView<const double> x, const DropoutOptions& options);

/// Computes the gradient of x from that of out, with the options of the forward pass: the same map,
/// d_x = d_out / (1 - probability) where an element was kept, else 0.
///
/// Throws Error as dropout does.
ATTENTION_API Tensor<float> dropout_backward(TensorView<const float> d_out,
                                             const DropoutOptions& options);
ATTENTION_API Tensor<double> dropout_backward(TensorView<const double> d_out,
                                              const DropoutOptions& options);

/// The same, written into the caller's view, which may be x itself: allocates nothing. Returns the
/// path and the instruction set taken.
///
/// Throws Error as dropout does, and when out has another shape, overlaps itself, or overlaps x
/// without being x.
ATTENTION_API Taken dropout_into(TensorView<float> out, TensorView<const float> x,
                                 const DropoutOptions& options);
ATTENTION_API Taken dropout_into(TensorView<double> out, TensorView<const double> x,
                                 const DropoutOptions& options);
ATTENTION_API Taken dropout_backward_into(TensorView<float> d_x, TensorView<const float> d_out,
                                          const DropoutOptions& options);
ATTENTION_API Taken dropout_backward_into(TensorView<double> d_x, TensorView<const double> d_out,
                                          const DropoutOptions& options);

}  // namespace attention
