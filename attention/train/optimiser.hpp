#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <attention/core/export.hpp>
#include <attention/core/tensor.hpp>
#include <attention/nn/parameter.hpp>

/// Training: from gradients to better parameters.
namespace attention::train {

/// Updates parameters by their gradients. T is float or double. The same bits for any number of
/// threads.
///
/// See also: Sgd, Adam.
template <class T>
class ATTENTION_API Optimiser {
 public:
  Optimiser(const Optimiser&) = delete;
  Optimiser& operator=(const Optimiser&) = delete;
  Optimiser(Optimiser&&) = delete;
  Optimiser& operator=(Optimiser&&) = delete;
  virtual ~Optimiser() = default;

  /// One step, in place. A parameter without a gradient stays as it is.
  void step();
  /// Forgets all gradients.
  void clear_grad() const;

  double learning_rate() const noexcept { return learning_rate_; }
  void set_learning_rate(double rate) noexcept { learning_rate_ = rate; }
  const nn::ParameterList<T>& parameters() const noexcept { return parameters_; }

  /// "sgd", "adam" or "adamw".
  virtual std::string_view name() const noexcept = 0;
  /// What it remembers between steps besides their number, to be saved and restored: named
  /// "first_moment.W_q.weight", ...
  virtual nn::ParameterList<T> state() = 0;
  std::int64_t steps() const noexcept { return steps_; }
  void set_steps(std::int64_t steps) noexcept { steps_ = steps; }

 protected:
  /// Throws Error for an empty list, and for a parameter that is not on the tape (of a layer that
  /// is const), naming it.
  Optimiser(const char* function, nn::ParameterList<T> parameters, double learning_rate,
            int threads);

  /// Some elements of a parameter and its gradient, side by side in memory.
  struct Piece {
    T* value;
    const T* grad;
    std::int64_t begin;  // in the parameter, in row-major order
    std::int64_t count;
  };
  virtual void update(std::size_t parameter, const Piece& piece) noexcept = 0;
  /// Before the pieces of a step.
  virtual void begin_step() {}

  /// Zeros in the shapes of the parameters.
  std::vector<Tensor<T>> zeros() const;
  /// Those, as a list, "prefix." before the parameters' names.
  nn::ParameterList<T> named(std::string_view prefix, std::vector<Tensor<T>>& tensors) const;

 private:
  nn::ParameterList<T> parameters_;
  double learning_rate_;
  int threads_;
  std::int64_t steps_ = 0;
};

struct SgdOptions {
  double learning_rate = 1e-2;
  double momentum = 0;
  double dampening = 0;
  double weight_decay = 0;
  bool nesterov = false;
  int threads = 0;
};

/// Stochastic gradient descent, as torch.optim.SGD:
///
///   g = grad + weight_decay p,  m = momentum m + (1 - dampening) g (m = g at first)
///   p = p - learning_rate (nesterov ? g + momentum m : m)
///
/// Source: Sutskever et al. 2013, "On the importance of initialization and momentum in deep
/// learning".
template <class T>
class ATTENTION_API Sgd final : public Optimiser<T> {
 public:
  /// Throws Error for no parameter, a negative number, and nesterov without momentum or with
  /// dampening.
  explicit Sgd(nn::ParameterList<T> parameters, const SgdOptions& options = {});

  std::string_view name() const noexcept override { return "sgd"; }
  nn::ParameterList<T> state() override;

 private:
  using typename Optimiser<T>::Piece;
  void update(std::size_t parameter, const Piece& piece) noexcept override;

  SgdOptions options_;
  std::vector<Tensor<T>> momenta_;  // empty without momentum
};

struct AdamOptions {
  double learning_rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;
  /// Whether weight decay shrinks the parameters themselves (AdamW), not by way of the gradient.
  bool decoupled = false;
  int threads = 0;
};

/// Adam and, with `decoupled`, AdamW, as torch.optim.Adam and AdamW:
///
///   p = p - learning_rate weight_decay p   if decoupled, else   g = grad + weight_decay p
///   m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2
///   p = p - learning_rate m / (1 - beta1^t) / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
///
/// Source: Kingma and Ba 2015, "Adam", algorithm 1; Loshchilov and Hutter 2019, "Decoupled weight
/// decay regularization", algorithm 2.
template <class T>
class ATTENTION_API Adam final : public Optimiser<T> {
 public:
  /// Throws Error for no parameter, a negative number, and betas outside [0, 1).
  explicit Adam(nn::ParameterList<T> parameters, const AdamOptions& options = {});

  std::string_view name() const noexcept override { return options_.decoupled ? "adamw" : "adam"; }
  nn::ParameterList<T> state() override;

 private:
  using typename Optimiser<T>::Piece;
  void begin_step() override;
  void update(std::size_t parameter, const Piece& piece) noexcept override;

  AdamOptions options_;
  std::vector<Tensor<T>> first_moments_;
  std::vector<Tensor<T>> second_moments_;
  T step_size_ = 0;
  T second_root_ = 1;
};

/// Scales all gradients by one factor, so that the root of the sum of their squares is at most
/// max_norm. Returns what it was before. Summed in double, in a fixed order.
///
/// Throws Error when max_norm is not positive.
template <class T>
ATTENTION_API double clip_grad_norm(const nn::ParameterList<T>& parameters, double max_norm);

/// The root of the sum of the squares of all gradients; NaN if one is.
template <class T>
ATTENTION_API double grad_norm(const nn::ParameterList<T>& parameters);

}  // namespace attention::train
