#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/train/trainer.hpp>

#include "experiments/small_decoder.hpp"
#include "goldens.hpp"

namespace attention {
namespace {

using goldens::values;

/// The optimisers of make_training_goldens.py.
template <class T>
std::unique_ptr<train::Optimiser<T>> optimiser_of(const std::string& name,
                                                  const nn::ParameterList<T>& parameters) {
  if (name == "sgd") {
    return std::make_unique<train::Sgd<T>>(
        parameters,
        train::SgdOptions{
            .learning_rate = 1e-3, .momentum = 0.9, .weight_decay = 0.01, .nesterov = true});
  }
  if (name == "adam") {
    return std::make_unique<train::Adam<T>>(
        parameters, train::AdamOptions{.learning_rate = 1e-3, .weight_decay = 0.01});
  }
  return std::make_unique<train::Adam<T>>(
      parameters,
      train::AdamOptions{
          .learning_rate = 1e-3, .beta2 = 0.98, .weight_decay = 0.1, .decoupled = true});
}

template <class T>
struct Trained {
  std::vector<double> losses;
  nn::ParameterList<T> parameters;
  std::shared_ptr<experiments::SmallDecoder<T>> model;
};

template <class T>
Trained<T> trained_by(const std::string& name) {
  random::Generator generator;
  Trained<T> result;
  result.model =
      std::make_shared<experiments::SmallDecoder<T>>(experiments::SmallDecoderOptions(), generator);
  result.parameters = result.model->parameters();
  const Tensor<double> initial = values<double>("training.parameters");
  std::int64_t next = 0;
  for (const nn::Parameter<T>& parameter : result.parameters) {
    for (std::int64_t n = 0; n < parameter.value.element_count(); ++n) {
      parameter.value.data()[n] = static_cast<T>(initial(next++));
    }
  }
  EXPECT_EQ(next, initial.element_count());
  const Tensor<std::int64_t> tokens = values<std::int64_t>("training.tokens");
  const Tensor<std::int64_t> targets = values<std::int64_t>("training.targets");
  const auto optimiser = optimiser_of<T>(name, result.parameters);
  train::Trainer<T> trainer(*optimiser, {});
  trainer.run(tokens.size(0), [&](const train::Step& step) {
    return result.model->loss(tokens.view().select(0, step.number - 1),
                              targets.view().select(0, step.number - 1));
  });
  result.losses = trainer.losses();
  return result;
}

class TrainingGolden : public testing::TestWithParam<const char*> {};

TEST_P(TrainingGolden, IsPyTorchsInDouble) {
  const std::string name = GetParam();
  const Trained<double> found = trained_by<double>(name);
  const Tensor<double> losses = values<double>("training." + name + ".float64.losses");
  ASSERT_EQ(found.losses.size(), 20U);
  for (std::int64_t n = 0; n < 20; ++n) {
    EXPECT_NEAR(found.losses[static_cast<std::size_t>(n)], losses(n), 1e-10) << "step " << n + 1;
  }
  const Tensor<double> expected = values<double>("training." + name + ".float64.parameters");
  std::int64_t next = 0;
  double worst = 0;
  for (const nn::Parameter<double>& parameter : found.parameters) {
    // The gradient of the keys' bias is zero in theory (it moves all scores of a row alike), so
    // that it holds rounding errors alone, which Adam makes as large as any other step.
    const bool counts = !parameter.name.ends_with("W_k.bias");
    for (std::int64_t n = 0; n < parameter.value.element_count(); ++n) {
      const double difference = std::abs(parameter.value.data()[n] - expected(next++));
      worst = counts ? std::max(worst, difference) : worst;
    }
  }
  EXPECT_LE(worst, 1e-10);
  RecordProperty("largest difference of a parameter", std::to_string(worst * 1e15) + "e-15");
}

TEST_P(TrainingGolden, HasPyTorchsLossesInFloat) {
  const std::string name = GetParam();
  const std::vector<double> found = trained_by<float>(name).losses;
  const Tensor<double> losses = values<double>("training." + name + ".float32.losses");
  for (std::int64_t n = 0; n < 20; ++n) {
    EXPECT_NEAR(found[static_cast<std::size_t>(n)], losses(n), 1e-5 * losses(n))
        << "step " << n + 1;
  }
}

INSTANTIATE_TEST_SUITE_P(Optimisers, TrainingGolden, testing::Values("sgd", "adam", "adamw"));

}  // namespace
}  // namespace attention
