#include <cmath>
#include <numbers>

#include <attention/reference/activation.hpp>

namespace attention::reference {

double activated(Activation activation, double x) noexcept {
  switch (activation) {
    case Activation::relu:
      return x > 0 || std::isnan(x) ? x : 0.0;
    case Activation::gelu:
      return 0.5 * x * std::erfc(-x / std::numbers::sqrt2);
    case Activation::gelu_tanh: {
      const double root = std::sqrt(2.0 / std::numbers::pi);
      // (1 + tanh(u)) / 2 = 1 / (1 + exp(-2 u))
      return x / (1.0 + std::exp(-2.0 * root * (x + 0.044715 * x * x * x)));
    }
    case Activation::silu:
      return x / (1.0 + std::exp(-x));
    default:
      return x;
  }
}

}  // namespace attention::reference
