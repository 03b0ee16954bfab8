#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <attention/autograd/variable.hpp>

/// Private to autograd: what the tape is made of.
namespace attention::autograd::detail {

/// How an operation goes back: from the gradient of its result, and the result, to gradients that
/// its inputs `receive`.
template <class T>
using Back = std::function<void(TensorView<const T> d_out, TensorView<const T> out)>;

template <class T>
struct Node {
  explicit Node(TensorView<const T> shown) : value(std::move(shown)) {}
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  Node(Node&&) = delete;
  Node& operator=(Node&&) = delete;
  ~Node();

  TensorView<const T> value;
  Tensor<T> storage;  // what value shows, if the node owns it
  bool requires_grad = false;
  bool is_parameter = false;
  std::uint64_t number = next_number();  // rises: inputs have smaller ones than results

  /// Of a view: the node that owns the elements. Its gradient holds the view's.
  std::shared_ptr<Node> base;
  Tensor<T> gradient;  // null until it is needed; laid out as storage is

  /// Of a result that was recorded.
  const char* operation = nullptr;
  std::vector<Variable<T>> inputs;
  Back<T> back;
  bool went_back = false;

  Node& root() noexcept { return base == nullptr ? *this : *base; }
  /// Where value lies, in the root's gradient.
  TensorView<T> place_in_gradient();

  static std::uint64_t next_number() noexcept {
    static std::atomic<std::uint64_t> count = 0;
    return count.fetch_add(1, std::memory_order_relaxed);
  }
};

/// Adds a contribution to the gradient of an input; nothing if it needs none.
template <class T>
void receive(const Variable<T>& input, Tensor<T> d_input);

/// The result of an operation. `back` is remembered if an input needs a gradient and this thread
/// records.
///
/// `shown`: how the result shows the elements of `out`; null: as they lie.
template <class T, class BackFunction>
Variable<T> record(const char* operation, Tensor<T> out, std::span<const Variable<T>> inputs,
                   BackFunction&& back, const TensorView<const T>& shown = {}) {
  auto node = std::make_shared<Node<T>>(shown.is_null() ? std::as_const(out).view() : shown);
  node->storage = std::move(out);  // (elements do not move)
  if (!is_recording()) {
    return Variable<T>(std::move(node));
  }
  for (const Variable<T>& input : inputs) {
    if (input.requires_grad()) {
      node->inputs.push_back(input);
    }
  }
  if (!node->inputs.empty()) {
    node->requires_grad = true;
    node->operation = operation;
    node->back = std::forward<BackFunction>(back);
  }
  return Variable<T>(std::move(node));
}
template <class T, class BackFunction>
Variable<T> record(const char* operation, Tensor<T> out, std::initializer_list<Variable<T>> inputs,
                   BackFunction&& back, const TensorView<const T>& shown = {}) {
  return record<T>(operation, std::move(out), std::span<const Variable<T>>(inputs),
                   std::forward<BackFunction>(back), shown);
}

}  // namespace attention::autograd::detail
