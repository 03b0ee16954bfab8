#include <cmath>
#include <cstdint>
#include <numbers>

#include <attention/reference/activation.hpp>

namespace attention::reference {
namespace {

/// s(v) + x v' s(v) s(-v), from v and x v'. The smaller of s(v) and s(-v) is computed, not 1 minus
/// the other.
double gated_slope(double v, double x_times_dv) {
  const double decay = std::exp(-std::abs(v));
  const double larger = 1.0 / (1.0 + decay);
  const double smaller = decay * larger;
  // (Infinity times 0 would be NaN.)
  const double bend = smaller == 0 ? 0.0 : x_times_dv * smaller * larger;
  return (v < 0 ? smaller : larger) + bend;
}

}  // namespace

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

double activation_slope(Activation activation, double x) noexcept {
  switch (activation) {
    case Activation::relu:
      return std::isnan(x) ? x : (x > 0 ? 1.0 : 0.0);
    case Activation::gelu: {
      const double bell = std::exp(-0.5 * x * x) / std::sqrt(2.0 * std::numbers::pi);
      return 0.5 * std::erfc(-x / std::numbers::sqrt2) + (bell == 0 ? 0.0 : x * bell);
    }
    case Activation::gelu_tanh: {
      const double root = std::sqrt(8.0 / std::numbers::pi);
      const double cubic = 0.044715 * x * x * x;
      return gated_slope(root * (x + cubic), root * (x + 3.0 * cubic));
    }
    case Activation::silu:
      return gated_slope(x, x);
    default:
      return 1.0;
  }
}

template <class T>
void activation(TensorView<T> out, TensorView<const T> x, Activation activation) {
  for_each_offset(
      x.shape(),
      [&](std::int64_t to, std::int64_t from) {
        const auto number = static_cast<double>(x.data()[from]);
        out.data()[to] = static_cast<T>(activated(activation, number));
      },
      out.strides(), x.strides());
}

template <class T>
void activation_backward(TensorView<T> d_x, TensorView<const T> d_out, TensorView<const T> x,
                         Activation activation) {
  for_each_offset(
      x.shape(),
      [&](std::int64_t to, std::int64_t d_from, std::int64_t from) {
        const double slope = activation_slope(activation, static_cast<double>(x.data()[from]));
        d_x.data()[to] = static_cast<T>(static_cast<double>(d_out.data()[d_from]) * slope);
      },
      d_x.strides(), d_out.strides(), x.strides());
}

template void activation(TensorView<float>, TensorView<const float>, Activation);
template void activation(TensorView<double>, TensorView<const double>, Activation);
template void activation_backward(TensorView<float>, TensorView<const float>,
                                  TensorView<const float>, Activation);
template void activation_backward(TensorView<double>, TensorView<const double>,
                                  TensorView<const double>, Activation);

}  // namespace attention::reference
