#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/run.hpp"
#include "tests/golden/goldens.hpp"

namespace attention::experiments {
namespace {

using goldens::golden;
using goldens::values;

TEST(ExperimentDraw, EqualsPyTorchForSixSeeds) {
  for (const std::string seed : {"42", "0", "1", "7", "1234", "2026"}) {
    for (const int heads : {1, 2}) {
      for (const char* name : {"pattern", "fibonacci", "sequential"}) {
        const Experiment& experiment = *find_experiment(name);
        EXPECT_THAT(experiment.input.tokens.values(),
                    testing::ElementsAreArray(
                        values<float>(std::string("experiment.") + name + ".tokens").values()));
        const Draw drawn = draw(experiment, {.heads = heads}, std::stoull(seed));
        std::vector<float> parameters;
        for (const auto& parameter : drawn.parameters) {
          parameters.insert(parameters.end(), parameter.value.values().begin(),
                            parameter.value.values().end());
        }
        EXPECT_THAT(parameters, testing::ElementsAreArray(
                                    values<float>("experiment." + seed + ".parameters").values()));
        const std::string prefix = "experiment." + seed + "." + std::to_string(heads) + "." + name;
        EXPECT_THAT(drawn.weights.values(),
                    testing::Pointwise(testing::FloatNear(1e-6F),
                                       values<float>(prefix + ".weights").values()));
        EXPECT_THAT(drawn.output.values(),
                    testing::Pointwise(testing::FloatNear(1e-6F),
                                       values<float>(prefix + ".output").values()));
      }
    }
  }
}

}  // namespace
}  // namespace attention::experiments
