#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <attention/core/tensor.hpp>

/// What an experiment is: an input, what people say of its attention weights, and what is provably
/// so.
namespace attention::experiments {

/// Tokens (L, E) and a label for each.
struct Input {
  std::vector<std::string> labels;
  Tensor<float> tokens;
};

/// The attention weights (L, L) of one head in one draw.
using Weights = TensorView<const float>;

/// A question with the answer yes or no, put to the weights of one head in one draw.
struct Event {
  /// The row that it is about, as a rule: a token's label.
  std::string label;
  std::function<bool(const Weights&)> holds;
  /// The probability of yes over untrained weights, where it is known.
  std::optional<double> exact;
};

/// Something that is said of the weights, as one or more events: one a row, as a rule.
struct Claim {
  std::string id;
  std::string statement;
  /// What has been published, or what one expects; empty for a fact that follows from the
  /// definition.
  std::string published;
  /// The exact probabilities in words, and why. Empty where none is known.
  std::string exact;
  std::string proof;
  std::vector<Event> events;
};

/// A number measured on the weights of one head in one draw.
struct Effect {
  std::string id;
  std::string statement;
  std::string published;
  std::function<double(const Weights&)> measure;
  /// The expectation over untrained weights, where it is known, and why.
  std::optional<double> exact_mean = {};
  std::string proof = {};
};

struct Experiment {
  std::string name;
  std::string title;
  /// What the tokens are, and what intuition expects of them.
  std::string description;
  std::string expectation;
  Input input;
  std::vector<Claim> claims;
  std::vector<Effect> effects;
  /// Whether the figure to look at is the one without projections (the limits of what weights can
  /// look like).
  bool shows_control_first = false;
};

/// The experiments by name, in the order of the tutorial.
const std::vector<Experiment>& all_experiments();

/// The one of this name, or nullptr.
const Experiment* find_experiment(std::string_view name);

/// An experiment on tokens (L, E) of one's own, with what can be said of any input. Labels "0",
/// "1", ... unless given.
///
/// Throws Error unless tokens has rank 2, is not empty and finite, and has one label per token if
/// any.
Experiment custom_experiment(const AnyView& tokens, std::vector<std::string> labels);

}  // namespace attention::experiments
