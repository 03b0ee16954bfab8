#include <iostream>

#include <attention/nn/attention.hpp>

int main() {
  attention::random::manual_seed(42);
  const attention::nn::MultiHeadAttention attention(8, 2);  // E = 8 features, H = 2 heads
  const auto x = attention::Tensor<float>::filled({1, 4, 8}, 1.0F);
  const auto [output, weights] = attention.forward(x, x, x);
  std::cout << to_string(weights.shape()) << ", each weight " << weights(0, 1, 3, 3) << "\n";
}
