#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <attention/train/trainer.hpp>

/// Learning to look back: a small decoder reads random tokens and a separator, and says the tokens
/// again. No token says what comes next; only attention to an earlier place does.
namespace attention::experiments {

enum class RecallTask : std::uint8_t {
  repeat,   // a b c | a b c
  reverse,  // a b c | c b a
};

struct RecallSettings {
  RecallTask task = RecallTask::repeat;
  /// Different tokens, besides the separator; and how many are to be said again.
  std::int64_t tokens = 16;
  std::int64_t length = 8;
  std::int64_t batch = 32;
  std::int64_t layers = 2;
  std::int64_t heads = 4;
  std::int64_t embed_dim = 32;
  double dropout = 0;
  double learning_rate = 3e-3;
  /// Steps in which the learning rate rises; at most half of all.
  std::int64_t warmup = 20;
  std::int64_t steps = 600;
  /// Seeds parameters, data and dropout.
  std::uint64_t seed = 42;
  int threads = 0;
};

struct RecallResult {
  /// Of each step.
  std::vector<double> losses;
  /// The share of tokens said right in 256 sequences drawn afresh after training, and what guessing
  /// would have.
  double accuracy = 0;
  double chance = 0;
  std::int64_t parameters = 0;
  /// Whether it came to its last step.
  bool finished = false;
};

/// Trains the decoder. Of the trainer's options, seed and schedule come from the settings; `resume`
/// names a checkpoint to go on from.
///
/// Throws Error when a setting breaks a rule of what it goes to, FileError for checkpoints.
RecallResult learn_recall(const RecallSettings& settings, train::TrainerOptions options = {},
                          const std::optional<std::filesystem::path>& resume = {});

}  // namespace attention::experiments
