#include "bench/drawn.hpp"

#include <attention/core/random.hpp>

namespace attention::bench {

Tensor<float> drawn(const Shape& shape, std::uint64_t seed) {
  random::Generator generator(seed);
  Tensor<float> tensor(shape);
  random::normal(tensor, 0.0, 1.0, generator);
  return tensor;
}

}  // namespace attention::bench
