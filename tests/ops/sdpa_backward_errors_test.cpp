#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/sdpa_backward.hpp>

namespace attention::tests {
namespace {

void expect_error(const std::function<void()>& run, const std::vector<std::string>& parts) {
  try {
    run();
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_EQ(error.function(), "sdpa_backward");
    for (const std::string& part : parts) {
      EXPECT_NE(text.find(part), std::string::npos) << part << " is not in: " << text;
    }
  }
}

TEST(SdpaBackwardErrors, NameTheArgumentTheRuleAndTheShapes) {
  const Tensor<float> q({1, 2, 3, 4});
  const Tensor<float> k({1, 2, 5, 4});
  const Tensor<float> v({1, 2, 5, 6});
  const Tensor<float> out({1, 2, 3, 6});
  const Tensor<float> lse({1, 2, 3});
  const Tensor<bool> keep = Tensor<bool>::filled({3, 5}, true);
  const SdpaSaved<float> saved = {.out = out, .lse = lse};
  expect_error([&] { sdpa_backward(q, q, k, v, saved); },
               {"d_out must have the shape (1, 2, 3, 6)", "(1, 2, 3, 4)"});
  expect_error([&] { sdpa_backward(out, q, k, v, {.out = q, .lse = lse}); },
               {"saved.out must have the shape (1, 2, 3, 6)", "(1, 2, 3, 4)"});
  expect_error([&] { sdpa_backward(out, q, k, v, {.out = out, .lse = {}}); },
               {"saved.lse must have the shape (1, 2, 3)"});
  expect_error([&] { sdpa_backward(out, q, v, v, saved); }, {"head size D"});
  expect_error([&] { sdpa_backward(out, q, k, v, saved, {.dropout = {.probability = 1.25}}); },
               {"dropout.probability must lie in [0, 1]", "1.25"});
  expect_error([&] { sdpa_backward(out, q, k, v, saved, {.return_mask_gradient = true}); },
               {"return_mask_gradient", "no mask"});
  expect_error(
      [&] {
        sdpa_backward(out, q, k, v, saved,
                      {.mask = Mask::keep(keep), .return_mask_gradient = true});
      },
      {"return_mask_gradient", "a boolean mask"});
  const Tensor<double> wide({1, 1, 1, 1});
  const Tensor<double> wide_lse({1, 1, 1});
  expect_error(
      [&] {
        sdpa_backward(wide, wide, wide, wide, {.out = wide, .lse = wide_lse},
                      {.execution = {.path = Path::fused}});
      },
      {"fused", "float64", "reference"});
}

}  // namespace
}  // namespace attention::tests
