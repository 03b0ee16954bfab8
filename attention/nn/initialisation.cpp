#include <cmath>
#include <cstdint>
#include <numbers>

#include <attention/core/error.hpp>
#include <attention/nn/initialisation.hpp>

namespace attention::nn {
namespace {

template <class T>
void draw_linear(TensorView<T> weight, TensorView<T> bias, random::Generator& generator) {
  const auto found = [&] {
    return "weight " + to_string(weight.shape()) + ", bias " + to_string(bias.shape());
  };
  require(weight.rank() == 2, "torch_linear", "weight must have the shape (O, I)", found);
  require(bias.is_null() || (bias.rank() == 1 && bias.size(0) == weight.size(0)), "torch_linear",
          "bias must have the shape (O)", found);
  if (weight.size(1) == 0) {
    for (std::int64_t o = 0; o < weight.size(0) && !bias.is_null(); ++o) {
      bias(o) = 0;
    }
    return;
  }
  // kaiming_uniform_(weight, a = sqrt(5)): gain = sqrt(2 / (1 + a^2)), bound = sqrt(3) * gain /
  // sqrt(I).
  const auto in_features = static_cast<double>(weight.size(1));
  const double a = std::sqrt(5.0);
  const double gain = std::sqrt(2.0 / (1.0 + a * a));
  const double bound = std::numbers::sqrt3 * (gain / std::sqrt(in_features));
  random::uniform(weight, -bound, bound, generator);
  if (!bias.is_null()) {
    const double bias_bound = 1.0 / std::sqrt(in_features);
    random::uniform(bias, -bias_bound, bias_bound, generator);
  }
}

template <class T>
void draw_uniform(TensorView<T> weight, random::Generator& generator) {
  require(weight.rank() == 2, "xavier_uniform", "weight must have the shape (O, I)",
          [&] { return to_string(weight.shape()); });
  const auto fans = static_cast<double>(weight.size(0) + weight.size(1));
  const double bound = std::numbers::sqrt3 * std::sqrt(2.0 / fans);
  random::uniform(weight, -bound, bound, generator);
}

template <class T>
void draw_normal(TensorView<T> row, random::Generator& generator) {
  require(row.rank() == 2 && row.size(0) == 1, "xavier_normal", "row must have the shape (1, E)",
          [&] { return to_string(row.shape()); });
  const auto fans = static_cast<double>(2 * row.size(1));
  random::normal(row, 0.0, std::sqrt(2.0 / fans), generator);
}

}  // namespace

void torch_linear(TensorView<float> weight, TensorView<float> bias, random::Generator& generator) {
  draw_linear(weight, bias, generator);
}

void torch_linear(TensorView<double> weight, TensorView<double> bias,
                  random::Generator& generator) {
  draw_linear(weight, bias, generator);
}

void xavier_uniform(TensorView<float> weight, random::Generator& generator) {
  draw_uniform(weight, generator);
}

void xavier_uniform(TensorView<double> weight, random::Generator& generator) {
  draw_uniform(weight, generator);
}

void xavier_normal(TensorView<float> row, random::Generator& generator) {
  draw_normal(row, generator);
}

void xavier_normal(TensorView<double> row, random::Generator& generator) {
  draw_normal(row, generator);
}

}  // namespace attention::nn
