#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include <attention/autograd/variable.hpp>
#include <attention/ops/activation.hpp>
#include <attention/ops/cross_entropy.hpp>
#include <attention/ops/dropout.hpp>
#include <attention/ops/embedding.hpp>
#include <attention/ops/layer_norm.hpp>
#include <attention/ops/linear.hpp>
#include <attention/ops/norm_options.hpp>
#include <attention/ops/sdpa.hpp>

/// The operations, on variables: each computes what the operation of the same name in ops computes,
/// by calling it, and remembers how to go back. Shapes, rules and errors are those of ops. Where
/// nothing is recorded, nothing is kept.
///
/// Views in options (masks, key lengths, slopes) must outlive backward; indices and targets are
/// copied if something is recorded.
///
/// T is float or double.
namespace attention::autograd {

/// f(x weight^T + bias); see attention::linear. The activation is part of the same pass if nothing
/// is recorded.
template <class T>
ATTENTION_API Variable<T> linear(const Variable<T>& x, const Variable<T>& weight,
                                 const Variable<T>& bias = {}, const LinearOptions& options = {});

template <class T>
ATTENTION_API Variable<T> activation(const Variable<T>& x, const ActivationOptions& options);

template <class T>
ATTENTION_API Variable<T> softmax(const Variable<T>& x, const Execution& execution = {});

template <class T>
ATTENTION_API Variable<T> layer_norm(const Variable<T>& x, const Variable<T>& weight = {},
                                     const Variable<T>& bias = {}, const NormOptions& options = {});

template <class T>
ATTENTION_API Variable<T> rms_norm(const Variable<T>& x, const Variable<T>& weight = {},
                                   const NormOptions& options = {});

/// Rows of a table, by int32 or int64 indices.
template <class T>
ATTENTION_API Variable<T> embedding(const AnyView& indices, const Variable<T>& weight,
                                    const EmbeddingOptions& options = {});

/// The same elements are dropped on the way back.
template <class T>
ATTENTION_API Variable<T> dropout(const Variable<T>& x, const DropoutOptions& options);

/// The loss; the gradient goes to the logits.
template <class T>
ATTENTION_API Variable<T> cross_entropy(const Variable<T>& logits, const AnyView& targets,
                                        const CrossEntropyOptions& options = {});

/// Element by element, with NumPy's broadcasting.
template <class T>
ATTENTION_API Variable<T> add(const Variable<T>& a, const Variable<T>& b,
                              const Execution& execution = {});
template <class T>
ATTENTION_API Variable<T> multiply(const Variable<T>& a, const Variable<T>& b,
                                   const Execution& execution = {});
template <class T>
ATTENTION_API Variable<T> scale(const Variable<T>& x, T factor, const Execution& execution = {});
/// The sums over the dimensions that broadcasting `shape` to that of x repeats: () sums all.
template <class T>
ATTENTION_API Variable<T> sum_to(const Variable<T>& x, const Shape& shape,
                                 const Execution& execution = {});

/// One after the other along `dim`.
template <class T>
ATTENTION_API Variable<T> concat(std::span<const Variable<T>> parts, int dim,
                                 const Execution& execution = {});

/// What sdpa learns from, besides queries, keys and values.
template <class T>
struct SdpaExtras {
  /// Added to the scores, as Mask::add: options.mask must then be none.
  Variable<T> bias = {};
  /// (H); options.sinks must then be null.
  Variable<T> sinks = {};
  /// Is kept until backward: what the views in the options name.
  std::shared_ptr<const void> keep = {};
};

template <class T>
struct SdpaOutput {
  /// (B, H, L, Dv), where (B, L, H, Dv) is dense: transpose(1, 2).merge(2) joins the heads.
  Variable<T> out;
  /// (B, H, L, S) if options.return_weights, else null. No gradient goes through them.
  Tensor<T> weights;
};

/// See attention::sdpa. What is kept for the way back is out and lse.
template <class T>
ATTENTION_API SdpaOutput<T> sdpa(const Variable<T>& q, const Variable<T>& k, const Variable<T>& v,
                                 const SdpaOptions& options = {}, const SdpaExtras<T>& extras = {});

}  // namespace attention::autograd
