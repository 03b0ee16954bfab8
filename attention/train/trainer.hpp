#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include <attention/autograd/variable.hpp>
#include <attention/core/export.hpp>
#include <attention/core/random.hpp>
#include <attention/nn/dropout.hpp>
#include <attention/train/checkpoint.hpp>
#include <attention/train/optimiser.hpp>
#include <attention/train/schedule.hpp>

namespace attention::train {

/// What a step is made of, for the function that computes its loss.
struct Step {
  /// From 1.
  std::int64_t number = 0;
  /// Draws the data: checkpoints keep it.
  random::Generator& generator;
  /// For the forward passes of layers with dropout.
  nn::DropoutCalls& dropout;
};

/// How training goes, after a step.
struct Progress {
  std::int64_t step = 0;
  std::int64_t steps = 0;
  double loss = 0;
  double learning_rate = 0;
  /// Of all gradients, before clipping.
  double grad_norm = 0;
  double steps_per_second = 0;
  double seconds_left = 0;
};

struct TrainerOptions {
  /// Seeds the data and the dropout.
  std::uint64_t seed = 0;
  /// Null: the learning rate that the optimiser has.
  Schedule schedule = {};
  /// The most that the norm of all gradients may be; 0: as it is.
  double max_grad_norm = 0;
  /// Where checkpoints go; empty: nowhere.
  std::filesystem::path checkpoint = {};
  /// Steps from one checkpoint to the next; one is written at the end too. 0: at the end only.
  std::int64_t checkpoint_every = 0;
  /// Called after each step.
  std::function<void(const Progress&)> on_step = {};
  /// Looked at after each step: set, training ends there, as if it were done. How a program stops
  /// for Ctrl-C.
  const std::atomic<bool>* stop = nullptr;
};

/// Trains: computes a loss, goes back, updates, as often as wanted. T is float or double.
///
/// The same seed gives the same bits, on any number of threads, and also when training stops at any
/// step and is resumed from its checkpoint.
template <class T>
class ATTENTION_API Trainer {
 public:
  using LossFunction = std::function<autograd::Variable<T>(const Step& step)>;

  /// The optimiser must outlive the trainer. Throws Error when a number of the options is negative.
  Trainer(Optimiser<T>& optimiser, TrainerOptions options);
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;
  Trainer(Trainer&&) = delete;
  Trainer& operator=(Trainer&&) = delete;
  ~Trainer() = default;

  /// Goes on from a checkpoint, bit for bit. Throws FileError as load_checkpoint does.
  void resume(const std::filesystem::path& checkpoint);

  /// Trains up to step `steps`, counted from the beginning. Returns false if `stop` ended it
  /// before.
  ///
  /// Throws Error when the loss is not one finite number, or a gradient is not finite: it names the
  /// step and the first parameter concerned. The last checkpoint is then the one before.
  bool run(std::int64_t steps, const LossFunction& loss_of);

  std::int64_t step() const noexcept { return state_.step; }
  /// Of each step that is done.
  const std::vector<double>& losses() const noexcept { return state_.losses; }

 private:
  Progress do_step(const LossFunction& loss_of);
  void save_if_due(bool at_end);

  Optimiser<T>& optimiser_;
  TrainerOptions options_;
  random::Generator generator_;
  nn::DropoutCalls dropout_;
  TrainingState<T> state_;
  std::int64_t saved_step_ = -1;
};

/// Writes "step,loss" and a line for each step, losses in the shortest form that reads back to the
/// same number. The file appears whole or not at all.
ATTENTION_API void write_losses_csv(const std::filesystem::path& path,
                                    const std::vector<double>& losses);

}  // namespace attention::train
