#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>

#include <attention/core/error.hpp>
#include <attention/core/parallel.hpp>
#include <attention/train/optimiser.hpp>

namespace attention::train {
namespace {

/// Elements of a task: their values, gradients and moments stay in the inner caches.
constexpr std::int64_t kElementsPerTask = 16384;

std::int64_t tasks_of(std::int64_t elements) {
  return (elements + kElementsPerTask - 1) / kElementsPerTask;
}

void check_not_negative(const char* function, const char* name, double value) {
  require(value >= 0, [&] {
    return Error(function, std::string(name) + " must not be negative", std::to_string(value));
  });
}

/// Calls function(element) for each, in row-major order.
template <class T, class Function>
void for_each_element(TensorView<T> view, const Function& function) {
  if (view.layout().is_contiguous()) {
    std::for_each_n(view.data(), view.element_count(), function);
    return;
  }
  for_each_offset(
      view.shape(), [&](std::int64_t at) { function(view.data()[at]); }, view.strides());
}

template <class T>
void check_dense(const nn::Parameter<T>& parameter) {
  require(parameter.value.layout().is_contiguous(), "train::Optimiser",
          "a parameter must lie dense in memory", [&] {
            return parameter.name + " of shape " + to_string(parameter.value.shape()) +
                   ", strides " + to_string(parameter.value.strides());
          });
}

}  // namespace

template <class T>
Optimiser<T>::Optimiser(const char* function, nn::ParameterList<T> parameters, double learning_rate,
                        int threads)
    : parameters_(std::move(parameters)), learning_rate_(learning_rate), threads_(threads) {
  require(!parameters_.empty(), function, "there must be a parameter",
          [] { return std::string("an empty list"); });
  check_not_negative(function, "learning_rate", learning_rate);
  for (const nn::Parameter<T>& parameter : parameters_) {
    require(parameter.variable.requires_grad(), function, "every parameter must be on the tape",
            [&] { return "parameter " + parameter.name; });
    check_dense(parameter);
  }
}

template <class T>
void Optimiser<T>::step() {
  ++steps_;
  begin_step();
  for (std::size_t n = 0; n < parameters_.size(); ++n) {
    const TensorView<const T> grad = parameters_[n].variable.grad();
    if (grad.is_null()) {
      continue;
    }
    const TensorView<T> value = parameters_[n].value;
    const std::int64_t elements = value.element_count();
    parallel_for(tasks_of(elements), threads_, [&](std::int64_t task, int /*worker*/) {
      const std::int64_t begin = task * kElementsPerTask;
      update(n, {.value = value.data() + begin,
                 .grad = grad.data() + begin,
                 .begin = begin,
                 .count = std::min(kElementsPerTask, elements - begin)});
    });
  }
}

template <class T>
void Optimiser<T>::clear_grad() const {
  for (const nn::Parameter<T>& parameter : parameters_) {
    parameter.variable.clear_grad();
  }
}

template <class T>
std::vector<Tensor<T>> Optimiser<T>::zeros() const {
  std::vector<Tensor<T>> result;
  result.reserve(parameters_.size());
  for (const nn::Parameter<T>& parameter : parameters_) {
    result.emplace_back(parameter.value.shape());
  }
  return result;
}

template <class T>
nn::ParameterList<T> Optimiser<T>::named(std::string_view prefix,
                                         std::vector<Tensor<T>>& tensors) const {
  nn::ParameterList<T> list;
  for (std::size_t n = 0; n < tensors.size(); ++n) {
    list.push_back(
        {.name = std::string(prefix) + "." + parameters_[n].name, .value = tensors[n].view()});
  }
  return list;
}

template <class T>
Sgd<T>::Sgd(nn::ParameterList<T> parameters, const SgdOptions& options)
    : Optimiser<T>("train::Sgd", std::move(parameters), options.learning_rate, options.threads),
      options_(options) {
  const char* const function = "train::Sgd";
  check_not_negative(function, "momentum", options.momentum);
  check_not_negative(function, "dampening", options.dampening);
  check_not_negative(function, "weight_decay", options.weight_decay);
  require(!options.nesterov || (options.momentum > 0 && options.dampening == 0), function,
          "nesterov needs momentum, and no dampening", [&] {
            return "momentum " + std::to_string(options.momentum) + ", dampening " +
                   std::to_string(options.dampening);
          });
  if (options.momentum != 0) {
    momenta_ = this->zeros();
  }
}

template <class T>
nn::ParameterList<T> Sgd<T>::state() {
  return this->named("momentum", momenta_);
}

template <class T>
void Sgd<T>::update(std::size_t parameter, const Piece& piece) noexcept {
  const auto decay = static_cast<T>(options_.weight_decay);
  const auto momentum = static_cast<T>(options_.momentum);
  const auto rate = static_cast<T>(this->learning_rate());
  const bool first = this->steps() == 1;
  const auto fresh = static_cast<T>(first ? 1.0 : 1.0 - options_.dampening);
  T* const moments = momenta_.empty() ? nullptr : momenta_[parameter].data() + piece.begin;
  for (std::int64_t n = 0; n < piece.count; ++n) {
    T g = piece.grad[n] + decay * piece.value[n];
    if (moments != nullptr) {
      moments[n] = momentum * moments[n] + fresh * g;
      g = options_.nesterov ? g + momentum * moments[n] : moments[n];
    }
    piece.value[n] -= rate * g;
  }
}

template <class T>
Adam<T>::Adam(nn::ParameterList<T> parameters, const AdamOptions& options)
    : Optimiser<T>("train::Adam", std::move(parameters), options.learning_rate, options.threads),
      options_(options),
      first_moments_(this->zeros()),
      second_moments_(this->zeros()) {
  const char* const function = "train::Adam";
  check_not_negative(function, "epsilon", options.epsilon);
  check_not_negative(function, "weight_decay", options.weight_decay);
  const auto fits = [](double beta) { return beta >= 0 && beta < 1; };
  require(fits(options.beta1) && fits(options.beta2), function, "betas must lie in [0, 1)",
          [&] { return std::to_string(options.beta1) + " and " + std::to_string(options.beta2); });
}

template <class T>
nn::ParameterList<T> Adam<T>::state() {
  nn::ParameterList<T> list = this->named("first_moment", first_moments_);
  for (nn::Parameter<T>& parameter : this->named("second_moment", second_moments_)) {
    list.push_back(std::move(parameter));
  }
  return list;
}

template <class T>
void Adam<T>::begin_step() {
  const auto t = static_cast<double>(this->steps());
  step_size_ = static_cast<T>(this->learning_rate() / (1 - std::pow(options_.beta1, t)));
  second_root_ = static_cast<T>(std::sqrt(1 - std::pow(options_.beta2, t)));
}

template <class T>
void Adam<T>::update(std::size_t parameter, const Piece& piece) noexcept {
  const auto beta1 = static_cast<T>(options_.beta1);
  const auto beta2 = static_cast<T>(options_.beta2);
  const auto fresh1 = static_cast<T>(1 - options_.beta1);
  const auto fresh2 = static_cast<T>(1 - options_.beta2);
  const auto epsilon = static_cast<T>(options_.epsilon);
  const auto decay = static_cast<T>(options_.decoupled ? 0.0 : options_.weight_decay);
  const auto keep =
      static_cast<T>(options_.decoupled ? 1 - this->learning_rate() * options_.weight_decay : 1.0);
  T* const value = piece.value;
  const T* const grad = piece.grad;
  T* const first = first_moments_[parameter].data() + piece.begin;
  T* const second = second_moments_[parameter].data() + piece.begin;
  for (std::int64_t n = 0; n < piece.count; ++n) {
    const T g = grad[n] + decay * value[n];
    first[n] = beta1 * first[n] + fresh1 * g;
    second[n] = beta2 * second[n] + fresh2 * (g * g);
    const T denominator = std::sqrt(second[n]) / second_root_ + epsilon;
    value[n] = keep * value[n] - step_size_ * (first[n] / denominator);
  }
}

template <class T>
double grad_norm(const nn::ParameterList<T>& parameters) {
  double sum = 0;
  for (const nn::Parameter<T>& parameter : parameters) {
    const TensorView<const T> grad = parameter.variable.grad();
    if (grad.is_null()) {
      continue;
    }
    for_each_element(grad, [&](T element) {
      const auto g = static_cast<double>(element);
      sum += g * g;
    });
  }
  return std::sqrt(sum);
}

template <class T>
double clip_grad_norm(const nn::ParameterList<T>& parameters, double max_norm) {
  require(max_norm > 0, "train::clip_grad_norm", "max_norm must be positive",
          [&] { return std::to_string(max_norm); });
  const double norm = grad_norm(parameters);
  if (!(norm > max_norm)) {
    return norm;
  }
  const auto factor = static_cast<T>(max_norm / norm);
  for (const nn::Parameter<T>& parameter : parameters) {
    const TensorView<T> grad = parameter.variable.mutable_grad();
    if (!grad.is_null()) {
      for_each_element(grad, [factor](T& element) { element *= factor; });
    }
  }
  return norm;
}

template class Optimiser<float>;
template class Optimiser<double>;
template class Sgd<float>;
template class Sgd<double>;
template class Adam<float>;
template class Adam<double>;
template double grad_norm(const nn::ParameterList<float>&);
template double grad_norm(const nn::ParameterList<double>&);
template double clip_grad_norm(const nn::ParameterList<float>&, double);
template double clip_grad_norm(const nn::ParameterList<double>&, double);

}  // namespace attention::train
