#include <charconv>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>

#include <attention/core/atomic_file.hpp>
#include <attention/core/error.hpp>
#include <attention/train/trainer.hpp>

namespace attention::train {
namespace {

constexpr const char* kFunction = "train::Trainer";

using Clock = std::chrono::steady_clock;

template <class T>
bool all_finite(TensorView<const T> view) {
  bool finite = true;
  for_each_offset(
      view.shape(), [&](std::int64_t at) { finite = finite && std::isfinite(view.data()[at]); },
      view.strides());
  return finite;
}

/// What to say of a step that has left the numbers: the first parameter that is not finite, in its
/// values or else in its gradient.
template <class T>
std::string first_not_finite(const nn::ParameterList<T>& parameters) {
  for (const nn::Parameter<T>& parameter : parameters) {
    if (!all_finite<T>(parameter.value)) {
      return "parameter " + parameter.name + " is not finite";
    }
  }
  for (const nn::Parameter<T>& parameter : parameters) {
    const TensorView<const T> grad = parameter.variable.grad();
    if (!grad.is_null() && !all_finite<T>(grad)) {
      return "the gradient of parameter " + parameter.name + " is not finite";
    }
  }
  return "all parameters are finite";
}

}  // namespace

template <class T>
Trainer<T>::Trainer(Optimiser<T>& optimiser, TrainerOptions options)
    : optimiser_(optimiser),
      options_(std::move(options)),
      generator_(options_.seed),
      dropout_{.seed = options_.seed},
      state_{.parameters = optimiser.parameters(),
             .optimiser = &optimiser_,
             .generator = &generator_,
             .dropout = &dropout_} {
  require(options_.max_grad_norm >= 0 && options_.checkpoint_every >= 0, kFunction,
          "max_grad_norm and checkpoint_every must not be negative", [&] {
            return std::to_string(options_.max_grad_norm) + " and " +
                   std::to_string(options_.checkpoint_every);
          });
}

template <class T>
void Trainer<T>::resume(const std::filesystem::path& checkpoint) {
  load_checkpoint(checkpoint, state_);
  saved_step_ = state_.step;
}

template <class T>
Progress Trainer<T>::do_step(const LossFunction& loss_of) {
  const std::int64_t number = state_.step + 1;
  const auto at_step = [&] { return "at step " + std::to_string(number); };
  if (options_.schedule) {
    optimiser_.set_learning_rate(options_.schedule(number));
  }
  optimiser_.clear_grad();
  const autograd::Variable<T> loss =
      loss_of({.number = number, .generator = generator_, .dropout = dropout_});
  require(!loss.is_null() && loss.value().element_count() == 1, kFunction,
          "the loss must be one number",
          [&] { return "shape " + to_string(loss.value().shape()) + " " + at_step(); });
  const auto value = static_cast<double>(*loss.value().data());
  require(std::isfinite(value), kFunction, "the loss must be finite", [&] {
    return std::to_string(value) + " " + at_step() + "; " +
           first_not_finite(optimiser_.parameters());
  });
  autograd::backward(loss);
  const double norm = options_.max_grad_norm > 0
                          ? clip_grad_norm(optimiser_.parameters(), options_.max_grad_norm)
                          : grad_norm(optimiser_.parameters());
  require(std::isfinite(norm), kFunction, "gradients must be finite", [&] {
    return "a norm of " + std::to_string(norm) + " " + at_step() + "; " +
           first_not_finite(optimiser_.parameters());
  });
  optimiser_.step();
  state_.step = number;
  state_.losses.push_back(value);
  return {.step = number,
          .loss = value,
          .learning_rate = optimiser_.learning_rate(),
          .grad_norm = norm};
}

template <class T>
void Trainer<T>::save_if_due(bool at_end) {
  const bool due =
      at_end || (options_.checkpoint_every > 0 && state_.step % options_.checkpoint_every == 0);
  if (!options_.checkpoint.empty() && due && saved_step_ != state_.step) {
    save_checkpoint(options_.checkpoint, state_);
    saved_step_ = state_.step;
  }
}

template <class T>
bool Trainer<T>::run(std::int64_t steps, const LossFunction& loss_of) {
  const std::int64_t first = state_.step;
  const Clock::time_point begin = Clock::now();
  bool stopped = false;
  while (state_.step < steps && !stopped) {
    Progress progress = do_step(loss_of);
    stopped = options_.stop != nullptr && options_.stop->load();
    save_if_due(stopped || state_.step == steps);
    if (options_.on_step) {
      const std::chrono::duration<double> taken = Clock::now() - begin;
      progress.steps = steps;
      progress.steps_per_second = static_cast<double>(state_.step - first) / taken.count();
      progress.seconds_left = static_cast<double>(steps - state_.step) / progress.steps_per_second;
      options_.on_step(progress);
    }
  }
  optimiser_.clear_grad();
  return state_.step >= steps;
}

void write_losses_csv(const std::filesystem::path& path, const std::vector<double>& losses) {
  std::string text = "step,loss\n";
  for (std::size_t n = 0; n < losses.size(); ++n) {
    char number[32];
    const auto [end, error] = std::to_chars(number, number + sizeof(number), losses[n]);
    text += std::to_string(n + 1) + "," + std::string(number, end) + "\n";
  }
  write_file_atomically(path, text);
}

template class Trainer<float>;
template class Trainer<double>;

}  // namespace attention::train
