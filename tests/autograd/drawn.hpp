#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <attention/autograd/gradcheck.hpp>
#include <attention/core/random.hpp>

/// Drawn inputs, and gradcheck as an assertion.
namespace attention::test {

inline Tensor<double> drawn(const Shape& shape, std::uint64_t seed, double size = 1) {
  random::Generator generator(seed);
  Tensor<double> tensor(shape);
  random::uniform(tensor, -size, size, generator);
  return tensor;
}

inline void expect_gradients(const autograd::CheckedFunction& function,
                             const std::vector<Tensor<double>>& inputs) {
  const autograd::GradcheckResult result = autograd::gradcheck(function, inputs);
  EXPECT_TRUE(result.agrees) << result.to_string();
  EXPECT_GT(result.checked, 0);
}

}  // namespace attention::test
