#pragma once

#include <cstdint>

#include <attention/core/error.hpp>
#include <attention/core/execution.hpp>
#include <attention/core/export.hpp>
#include <attention/core/tensor.hpp>

namespace attention {

/// What becomes of the losses of the rows.
enum class Reduction : std::uint8_t {
  /// Their sum over the number of targets that are not ignored.
  mean,
  sum,
  none,
};

/// How cross entropy computes.
struct CrossEntropyOptions {
  /// Of [0, 1]: the part of a target that is shared out evenly among all classes.
  double label_smoothing = 0;
  /// A row with this target does not count: its logits are not read, its loss and its gradient are
  /// 0, its lse is -inf. It may name a class.
  std::int64_t ignore_index = -100;
  Reduction reduction = Reduction::mean;
  Execution execution = {};
};

template <class T>
struct CrossEntropyResult {
  /// (), or (...) for Reduction::none.
  Tensor<T> loss;
  /// (...): log sum_j exp(logits[..., j]).
  Tensor<T> lse;
  /// Targets that are not ignored.
  std::int64_t counted = 0;
  Taken taken = {};
};

/// Computes the cross entropy of logits against the classes that they are to name. For a row x of
/// logits with target t and label smoothing s:
///
///   lse  = log sum_j exp(x[j])
///   loss = (1 - s) (lse - x[t]) + s (lse - mean_j x[j])
///
/// Shapes: logits (..., C) of rank 1 or more (the classes last, unlike in PyTorch), targets (...)
/// of int32 or int64. Any strides.
///
/// The mean of no row, when all are ignored, is NaN (0 / 0), as in PyTorch. A logit of -inf is
/// legal where it is not the target's: with s = 0 it adds nothing; with s > 0 the loss is +inf. A
/// row with a NaN or +inf gives NaN, and so does a row of -inf alone. A constant added to a row,
/// however large, costs no precision.
///
/// Rows are summed in double, in an order that depends on their number alone.
///
/// Cost: two passes over a row while it lies in the caches. The fused path serves float; the
/// reference path, in double, both types.
///
/// Throws Error when shapes do not fit; when label_smoothing lies outside of [0, 1]; when the
/// element type of targets is another one, or a target lies outside of [0, C) and is not
/// ignore_index, naming the first one and its position; when the path asked for cannot serve.
///
/// Source: Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision",
/// section 7, for label smoothing; torch.nn.functional.cross_entropy for the meaning of the
/// options.
///
/// See also: cross_entropy_backward; reference::cross_entropy.
ATTENTION_API CrossEntropyResult<float> cross_entropy(TensorView<const float> logits,
                                                      const AnyView& targets,
                                                      const CrossEntropyOptions& options = {});
ATTENTION_API CrossEntropyResult<double> cross_entropy(TensorView<const double> logits,
                                                       const AnyView& targets,
                                                       const CrossEntropyOptions& options = {});

/// Where cross_entropy_into writes.
template <class T>
struct CrossEntropyOutputs {
  /// (), or (...) for Reduction::none.
  TensorView<T> loss;
  /// (...); null if not wanted.
  TensorView<T> lse = {};
};

/// How cross_entropy_into has run.
struct CrossEntropyRun {
  /// Targets that are not ignored.
  std::int64_t counted = 0;
  Taken taken = {};
};

/// The same, written into the caller's views: allocates nothing.
///
/// Throws Error as cross_entropy does, and when an output has another shape, overlaps itself, an
/// input or the other output. Nothing has been written then.
ATTENTION_API CrossEntropyRun cross_entropy_into(const CrossEntropyOutputs<float>& outputs,
                                                 TensorView<const float> logits,
                                                 const AnyView& targets,
                                                 const CrossEntropyOptions& options = {});
ATTENTION_API CrossEntropyRun cross_entropy_into(const CrossEntropyOutputs<double>& outputs,
                                                 TensorView<const double> logits,
                                                 const AnyView& targets,
                                                 const CrossEntropyOptions& options = {});

/// Computes the gradient of the logits from that of the loss. For a row x with target t:
///
///   p[j]        = exp(x[j] - lse) / sum_k exp(x[k] - lse)
///   d_logits[j] = g (p[j] - (1 - s) [j = t] - s / C)
///
/// g is d_loss[...] for Reduction::none, d_loss for sum, and d_loss over the number of targets that
/// are not ignored for mean. The sum is 1 but for what lse lost in its rounding.
///
/// Shapes: d_loss (), or (...) for Reduction::none; logits (..., C), targets (...), lse (...) as
/// cross_entropy returned it -> d_logits (..., C). Any strides. Options as in the forward pass.
///
/// The row of an ignored target is 0, whatever its logits, its lse and d_loss hold. A logit of -inf
/// has the gradient 0 with s = 0, -g s / C else.
///
/// Cost: two passes over a row while it lies in the caches; nothing is kept from the forward pass
/// but lse. Paths as in the forward pass.
///
/// Throws Error as cross_entropy does.
///
/// See also: cross_entropy; reference::cross_entropy_backward.
ATTENTION_API Tensor<float> cross_entropy_backward(TensorView<const float> d_loss,
                                                   TensorView<const float> logits,
                                                   const AnyView& targets,
                                                   TensorView<const float> lse,
                                                   const CrossEntropyOptions& options = {});
ATTENTION_API Tensor<double> cross_entropy_backward(TensorView<const double> d_loss,
                                                    TensorView<const double> logits,
                                                    const AnyView& targets,
                                                    TensorView<const double> lse,
                                                    const CrossEntropyOptions& options = {});

/// The same, written into the caller's view, which may be the logits themselves: allocates nothing.
/// Returns the path and the instruction set taken.
///
/// Throws Error as cross_entropy_backward does, and when d_logits has another shape, overlaps
/// itself, or overlaps an input without being the logits. Nothing has been written then.
ATTENTION_API Taken cross_entropy_backward_into(TensorView<float> d_logits,
                                                TensorView<const float> d_loss,
                                                TensorView<const float> logits,
                                                const AnyView& targets, TensorView<const float> lse,
                                                const CrossEntropyOptions& options = {});
ATTENTION_API Taken cross_entropy_backward_into(
    TensorView<double> d_logits, TensorView<const double> d_loss, TensorView<const double> logits,
    const AnyView& targets, TensorView<const double> lse, const CrossEntropyOptions& options = {});

}  // namespace attention
