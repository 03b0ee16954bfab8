#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>

#include <attention/core/export.hpp>
#include <attention/core/tensor.hpp>

/// The tape: what a computation leaves behind, so that gradients can be computed on the way back.
namespace attention::autograd {

namespace detail {
template <class T>
struct Node;
}  // namespace detail

/// A tensor that takes part in a computation whose gradient is wanted.
///
/// A handle: copies name the same tensor. Null when default-constructed, which means "not given".
/// Three kinds: constants (data), parameters (leaves whose gradient is wanted), and results of
/// operations, which remember their inputs if one of them needs a gradient. T is float or double.
///
/// A variable and what was computed from it belong to one thread at a time.
///
/// See also: backward; NoGrad; functions.hpp, the operations.
template <class T>
class ATTENTION_API Variable {
 public:
  Variable() = default;
  /// A constant that owns its elements.
  explicit Variable(Tensor<T> value);
  /// A constant whose elements somebody else owns: they must outlive it and what was computed from
  /// it.
  explicit Variable(TensorView<const T> value);
  /// A leaf whose gradient backward computes.
  static Variable parameter(Tensor<T> value);

  bool is_null() const noexcept { return node_ == nullptr; }
  TensorView<const T> value() const;
  const Shape& shape() const;
  int rank() const { return shape().rank(); }
  std::int64_t size(int dim) const { return shape()[dim]; }
  /// Whether backward computes its gradient, or has to pass through it.
  bool requires_grad() const noexcept;

  /// The gradient that backward has left; a null view before. Several calls of backward, and
  /// several uses of a parameter, add up.
  TensorView<const T> grad() const;
  /// The same to write to: for those who clip or scale gradients.
  TensorView<T> mutable_grad() const;
  /// Forgets the gradient.
  void clear_grad() const;

  /// The elements of a parameter or of a view of it, for those who draw or update it. Not between a
  /// forward pass and its backward, which would use the new values. Throws Error for a constant and
  /// for the result of an operation.
  TensorView<T> mutable_value() const;

  /// The same elements as a constant.
  Variable detached() const;

  /// Views, as those of TensorView: gradients of a view are gradients of what it shows, at no cost.
  Variable select(int dim, std::int64_t index) const;
  Variable slice(int dim, std::int64_t start, std::int64_t count) const;
  Variable permute(const Dims& order) const;
  Variable transpose(int dim_a, int dim_b) const;
  Variable unsqueeze(int dim) const;
  Variable split(int dim, std::int64_t outer) const;
  Variable merge(int dim) const;

  /// Private to autograd.
  explicit Variable(std::shared_ptr<detail::Node<T>> node) noexcept : node_(std::move(node)) {}
  const std::shared_ptr<detail::Node<T>>& node() const noexcept { return node_; }

 private:
  Variable view(TensorView<const T> shown) const;
  const detail::Node<T>& checked_node() const;

  std::shared_ptr<detail::Node<T>> node_;
};

/// Computes the gradient of `loss` with respect to every parameter that it depends on, and adds it
/// to what they hold. The tape of this computation is gone afterwards.
///
/// `d_loss` is the gradient of what follows with respect to loss, of its shape; null: 1, for a loss
/// of one element.
///
/// Deterministic: operations go back in the opposite order of their recording, so that sums of
/// gradients have one order. Gradients of intermediate results are freed as soon as they are used.
///
/// Throws Error when loss has more than one element and no d_loss, when d_loss has another shape,
/// when nothing was recorded for loss, and when backward was called before through one of the
/// operations, naming it.
template <class T>
ATTENTION_API void backward(const Variable<T>& loss, TensorView<const T> d_loss = {});

/// While one lives, nothing is recorded on its thread: results are constants.
class ATTENTION_API NoGrad {
 public:
  NoGrad() noexcept;
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;
  NoGrad(NoGrad&&) = delete;
  NoGrad& operator=(NoGrad&&) = delete;
  ~NoGrad();

 private:
  bool before_;
};

/// Whether operations of this thread are recorded.
ATTENTION_API bool is_recording() noexcept;

}  // namespace attention::autograd
