#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <attention/autograd/detail/node.hpp>
#include <attention/autograd/variable.hpp>
#include <attention/core/error.hpp>
#include <attention/ops/elementwise.hpp>

namespace attention::autograd {
namespace {

bool& recording() noexcept {
  thread_local bool on = true;
  return on;
}

}  // namespace

NoGrad::NoGrad() noexcept : before_(std::exchange(recording(), false)) {}

NoGrad::~NoGrad() {
  recording() = before_;
}

bool is_recording() noexcept {
  return recording();
}

namespace detail {

/// (One node after the other: a long chain of inputs would otherwise be as many calls deep.)
template <class T>
Node<T>::~Node() {
  back = nullptr;  // (what it holds of the inputs, they hold too)
  std::vector<Variable<T>> waiting = std::move(inputs);
  while (!waiting.empty()) {
    const std::shared_ptr<Node> node = waiting.back().node();
    waiting.pop_back();
    if (node.use_count() == 1) {
      std::ranges::copy(node->inputs, std::back_inserter(waiting));
      node->back = nullptr;
      node->inputs.clear();
    }
  }
}

template <class T>
TensorView<T> Node<T>::place_in_gradient() {
  Node& owner = root();
  if (owner.gradient.is_null()) {
    return {};
  }
  return {owner.gradient.data() + (value.data() - owner.storage.data()), value.layout()};
}

template <class T>
void receive(const Variable<T>& input, Tensor<T> d_input) {
  if (!input.requires_grad()) {
    return;
  }
  Node<T>& node = *input.node();
  Node<T>& owner = node.root();
  require(d_input.shape() == input.shape(), "autograd::backward",
          "a gradient must have the shape of its variable", [&] {
            return "gradient " + to_string(d_input.shape()) + ", variable " +
                   to_string(input.shape());
          });
  const bool is_first = owner.gradient.is_null();
  const bool is_whole = node.value.element_count() == owner.storage.element_count();
  if (is_first && is_whole && node.value.layout().is_contiguous()) {
    owner.gradient = std::move(d_input);
    return;
  }
  if (is_first) {
    // (The storage's shape tells its size alone: places are found by the strides of values.)
    owner.gradient = Tensor<T>(owner.storage.shape());
  }
  const TensorView<T> place = node.place_in_gradient();
  add_into(place, place, TensorView<const T>(d_input));
}

template struct Node<float>;
template struct Node<double>;
template void receive(const Variable<float>&, Tensor<float>);
template void receive(const Variable<double>&, Tensor<double>);

}  // namespace detail

template <class T>
Variable<T>::Variable(Tensor<T> value) {
  node_ = std::make_shared<detail::Node<T>>(std::as_const(value).view());
  node_->storage = std::move(value);
}

template <class T>
Variable<T>::Variable(TensorView<const T> value)
    : node_(value.is_null() ? nullptr : std::make_shared<detail::Node<T>>(std::move(value))) {}

template <class T>
Variable<T> Variable<T>::parameter(Tensor<T> value) {
  Variable<T> result(std::move(value));
  result.node_->requires_grad = true;
  result.node_->is_parameter = true;
  return result;
}

template <class T>
const detail::Node<T>& Variable<T>::checked_node() const {
  require(node_ != nullptr, "autograd::Variable", "the variable must be given",
          [] { return std::string("a null variable"); });
  return *node_;
}

template <class T>
TensorView<const T> Variable<T>::value() const {
  return is_null() ? TensorView<const T>() : node_->value;
}

template <class T>
const Shape& Variable<T>::shape() const {
  return checked_node().value.shape();
}

template <class T>
bool Variable<T>::requires_grad() const noexcept {
  return !is_null() && node_->requires_grad;
}

template <class T>
TensorView<T> Variable<T>::mutable_grad() const {
  return is_null() ? TensorView<T>() : node_->place_in_gradient();
}

template <class T>
TensorView<const T> Variable<T>::grad() const {
  return mutable_grad();
}

template <class T>
void Variable<T>::clear_grad() const {
  if (!is_null()) {
    node_->root().gradient = {};
  }
}

template <class T>
TensorView<T> Variable<T>::mutable_value() const {
  checked_node();
  detail::Node<T>& owner = node_->root();
  require(owner.is_parameter, "autograd::Variable::mutable_value",
          "the variable must be a parameter",
          [&] { return owner.operation == nullptr ? "a constant" : owner.operation; });
  return {owner.storage.data() + (node_->value.data() - owner.storage.data()),
          node_->value.layout()};
}

template <class T>
Variable<T> Variable<T>::view(TensorView<const T> shown) const {
  auto node = std::make_shared<detail::Node<T>>(std::move(shown));
  node->base = node_->base == nullptr ? node_ : node_->base;
  node->requires_grad = node_->requires_grad;
  if (node->requires_grad) {
    node->inputs.push_back(Variable(node->base));
  }
  return Variable(std::move(node));
}

template <class T>
Variable<T> Variable<T>::detached() const {
  checked_node();
  Variable<T> result = view(node_->value);
  result.node_->requires_grad = false;
  result.node_->inputs.clear();
  return result;
}

template <class T>
Variable<T> Variable<T>::select(int dim, std::int64_t index) const {
  return view(checked_node().value.select(dim, index));
}

template <class T>
Variable<T> Variable<T>::slice(int dim, std::int64_t start, std::int64_t count) const {
  return view(checked_node().value.slice(dim, start, count));
}

template <class T>
Variable<T> Variable<T>::permute(const Dims& order) const {
  return view(checked_node().value.permute(order));
}

template <class T>
Variable<T> Variable<T>::transpose(int dim_a, int dim_b) const {
  return view(checked_node().value.transpose(dim_a, dim_b));
}

template <class T>
Variable<T> Variable<T>::unsqueeze(int dim) const {
  return view(checked_node().value.unsqueeze(dim));
}

template <class T>
Variable<T> Variable<T>::split(int dim, std::int64_t outer) const {
  return view(checked_node().value.split(dim, outer));
}

template <class T>
Variable<T> Variable<T>::merge(int dim) const {
  return view(checked_node().value.merge(dim));
}

namespace {

/// The nodes that the gradient of `from` passes through, those recorded last first.
template <class T>
std::vector<std::shared_ptr<detail::Node<T>>> way_back(
    const std::shared_ptr<detail::Node<T>>& from) {
  std::vector<std::shared_ptr<detail::Node<T>>> found = {from};
  std::unordered_set<const detail::Node<T>*> seen = {from.get()};
  for (std::size_t n = 0; n < found.size(); ++n) {
    const std::vector<Variable<T>> inputs = found[n]->inputs;
    for (const Variable<T>& input : inputs) {
      if (seen.insert(input.node().get()).second) {
        found.push_back(input.node());
      }
    }
  }
  std::ranges::sort(found, [](const auto& a, const auto& b) { return a->number > b->number; });
  return found;
}

template <class T>
void check_loss(const Variable<T>& loss, TensorView<const T> d_loss) {
  const char* const function = "autograd::backward";
  require(!loss.is_null(), function, "loss must be given",
          [] { return std::string("a null variable"); });
  require(loss.requires_grad(), function,
          "loss must depend on a parameter, and must have been recorded",
          [&] { return "a constant of shape " + to_string(loss.shape()); });
  require(!d_loss.is_null() || loss.value().element_count() == 1, function,
          "loss must have one element unless d_loss is given",
          [&] { return "loss " + to_string(loss.shape()); });
  require(d_loss.is_null() || d_loss.shape() == loss.shape(), function,
          "d_loss must have the shape of loss", [&] {
            return "d_loss " + to_string(d_loss.shape()) + ", loss " + to_string(loss.shape());
          });
}

}  // namespace

template <class T>
void backward(const Variable<T>& loss, TensorView<const T> d_loss) {
  check_loss(loss, d_loss);
  const std::vector<std::shared_ptr<detail::Node<T>>> nodes = way_back(loss.node());
  for (const auto& node : nodes) {
    require(!node->went_back, "autograd::backward",
            "backward must be called once for a computation",
            [&] { return std::string("a second call through ") + node->operation; });
  }
  detail::receive(
      loss, d_loss.is_null() ? Tensor<T>::filled(loss.shape(), T{1}) : Tensor<T>::copy_of(d_loss));
  for (const auto& node : nodes) {
    if (node->operation == nullptr) {
      continue;
    }
    node->went_back = true;
    const detail::Back<T> back = std::exchange(node->back, nullptr);
    const std::vector<Variable<T>> inputs = std::exchange(node->inputs, {});
    if (!node->gradient.is_null()) {
      back(node->place_in_gradient(), node->value);
      node->gradient = {};
    }
  }
}

template class Variable<float>;
template class Variable<double>;
template void backward(const Variable<float>&, TensorView<const float>);
template void backward(const Variable<double>&, TensorView<const double>);

}  // namespace attention::autograd
