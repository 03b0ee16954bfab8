#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/random.hpp>
#include <attention/nn/attention.hpp>

#include "tests/golden/goldens.hpp"

namespace attention::nn {
namespace {

using goldens::golden;
using goldens::values;

constexpr double kTolerance = 1e-6;

std::vector<float> flat_parameters(const MultiHeadAttention& module) {
  std::vector<float> flat;
  for (const auto& parameter : module.parameters()) {
    const Tensor<float> dense = Tensor<float>::copy_of(parameter.value);
    flat.insert(flat.end(), dense.values().begin(), dense.values().end());
  }
  return flat;
}

void expect_near(const TensorView<const float>& found, const std::string& name) {
  const TensorView<const float> expected = golden(name).as<float>();
  ASSERT_EQ(found.shape(), expected.shape()) << name;
  for_each_offset(
      found.shape(),
      [&](std::int64_t a, std::int64_t b) {
        EXPECT_NEAR(found.data()[a], expected.data()[b], kTolerance) << name;
      },
      found.strides(), expected.strides());
}

class ExperimentGolden : public testing::TestWithParam<std::tuple<std::string, int, Path>> {};

TEST_P(ExperimentGolden, ParametersBitForBitAndWeightsWithin1e6) {
  const auto& [seed, heads, path] = GetParam();
  random::Generator generator(std::stoull(seed));
  const MultiHeadAttention module(8, heads, generator);
  const auto expected = values<float>("experiment." + seed + ".parameters");
  EXPECT_THAT(flat_parameters(module), testing::ElementsAreArray(expected.values()));
  for (const std::string name : {"pattern", "fibonacci", "sequential"}) {
    const TensorView<const float> x =
        golden("experiment." + name + ".tokens").as<float>().unsqueeze(0);
    const AttentionOutput result = module.forward(x, x, x, {}, {.execution = {.path = path}});
    const std::string prefix = "experiment." + seed + "." + std::to_string(heads) + "." + name;
    expect_near(result.attention_weights.view().select(0, 0), prefix + ".weights");
    expect_near(result.output.view().select(0, 0), prefix + ".output");
  }
}

INSTANTIATE_TEST_SUITE_P(SeedsHeadsPaths, ExperimentGolden,
                         testing::Combine(testing::Values("42", "0", "1", "7", "1234", "2026"),
                                          testing::Values(1, 2),
                                          testing::Values(Path::fused, Path::reference)),
                         [](const auto& test) {
                           return "seed_" + std::get<0>(test.param) + "_heads_" +
                                  std::to_string(std::get<1>(test.param)) + "_" +
                                  std::string(name_of(std::get<2>(test.param)));
                         });

class CrossGolden : public testing::TestWithParam<bool> {};

TEST_P(CrossGolden, MasksOtherSizesAndBias) {
  const std::string prefix = std::string("cross.") + (GetParam() ? "bias" : "no_bias");
  random::Generator generator(11);
  const MultiHeadAttention module(
      {.embed_dim = 12, .num_heads = 3, .kdim = 5, .vdim = 7, .bias = GetParam()}, generator);
  const auto expected = values<float>(prefix + ".parameters");
  EXPECT_THAT(flat_parameters(module), testing::ElementsAreArray(expected.values()));
  const AttentionOutput result =
      module.forward(golden(prefix + ".query").as<float>(), golden(prefix + ".key").as<float>(),
                     golden(prefix + ".value").as<float>(), golden(prefix + ".mask"));
  expect_near(result.attention_weights, prefix + ".weights");
  expect_near(result.output, prefix + ".output");
}

INSTANTIATE_TEST_SUITE_P(Bias, CrossGolden, testing::Bool(), [](const auto& test) {
  return test.param ? "with_bias" : "without_bias";
});

struct TorchCase {
  std::string name;
  MultiHeadAttentionOptions options;
};

class TorchModuleGolden : public testing::TestWithParam<TorchCase> {};

/// bias_k and bias_v are normal draws, which are torch's to within 4 ulp.
void expect_parameter(const Parameter<const float>& parameter, const std::string& name) {
  const Tensor<float> found = Tensor<float>::copy_of(parameter.value);
  const Tensor<float> expected = values<float>(name);
  ASSERT_EQ(found.shape(), expected.shape()) << name;
  if (parameter.name == "bias_k" || parameter.name == "bias_v") {
    EXPECT_THAT(found.values(), testing::Pointwise(testing::FloatEq(), expected.values())) << name;
  } else {
    EXPECT_THAT(found.values(), testing::ElementsAreArray(expected.values())) << name;
  }
}

TEST_P(TorchModuleGolden, ParametersOutputAndWeightsOfEachHead) {
  const std::string prefix = "torch_mha." + GetParam().name;
  MultiHeadAttentionOptions options = GetParam().options;
  options.embed_dim = 12;
  options.num_heads = 3;
  options.batch_first = false;
  options.initialisation = Initialisation::torch_mha;
  random::Generator generator(17);
  const MultiHeadAttention module(options, generator);
  for (const auto& parameter : module.torch_parameters()) {
    expect_parameter(parameter, prefix + ".state." + parameter.name);
  }
  const TensorView<const bool> mask = golden(prefix + ".attn_mask").as<bool>().split(0, 2);
  const AttentionOutput result = module.forward(
      golden(prefix + ".query").as<float>(), golden(prefix + ".key").as<float>(),
      golden(prefix + ".value").as<float>(),
      {.mask = Mask::block(mask),
       .key_padding_mask = Mask::block(golden(prefix + ".key_padding_mask").as<bool>())});
  expect_near(result.attention_weights, prefix + ".weights");
  expect_near(result.output, prefix + ".output");
}

INSTANTIATE_TEST_SUITE_P(
    Options, TorchModuleGolden,
    testing::Values(TorchCase{"packed", {}}, TorchCase{"split", {.kdim = 5, .vdim = 7}},
                    TorchCase{"no_bias", {.bias = false}},
                    TorchCase{"appended", {.add_bias_kv = true, .add_zero_attn = true}}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace attention::nn
