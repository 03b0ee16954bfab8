#include <algorithm>
#include <cstdint>
#include <iomanip>
#include <iostream>

#include <attention/autograd/functions.hpp>
#include <attention/nn/embedding.hpp>
#include <attention/nn/linear.hpp>
#include <attention/nn/multi_head_attention.hpp>
#include <attention/train/trainer.hpp>

namespace {

using namespace attention;

/// 32 rows of 6 numbers from 0 to 7, and the largest so far at each place.
struct Batch {
  Tensor<std::int64_t> numbers{{32, 6}};
  Tensor<std::int64_t> largest{{32, 6}};

  explicit Batch(random::Generator& generator) {
    for (std::int64_t b = 0; b < 32; ++b) {
      for (std::int64_t i = 0; i < 6; ++i) {
        numbers(b, i) = static_cast<std::int64_t>(generator.next_u32() % 8);
        largest(b, i) = std::max(numbers(b, i), i == 0 ? 0 : largest(b, i - 1));
      }
    }
  }
};

}  // namespace

int main() {
  // [learning]
  random::Generator generator(42);
  nn::Embedding embedding(8, 16, generator);
  nn::MultiHeadAttention attention(16, 2, generator);
  nn::Linear head(16, 8, generator);
  nn::Parameters parameters = embedding.parameters();
  nn::append(parameters, "attention", attention.parameters());
  nn::append(parameters, "head", head.parameters());

  train::Adam<float> adam(parameters, {.learning_rate = 1e-2});
  train::Trainer<float> trainer(adam, {.seed = 1});
  trainer.run(400, [&](const train::Step& step) {
    const Batch batch(step.generator);  // numbers, and the largest so far at each place
    const auto x = embedding.forward(batch.numbers.view());
    const auto y = attention.forward(x, x, x, {.causal = true}).output;
    return autograd::cross_entropy(head.forward(y), batch.largest.view());
  });
  // [/learning]
  std::cout << std::fixed << std::setprecision(1) << "loss: " << trainer.losses().front()
            << " at first, " << trainer.losses().back() << " after " << trainer.step()
            << " steps\n";
}
