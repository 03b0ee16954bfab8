#include <cmath>
#include <cstdint>

#include <attention/reference/layer_norm.hpp>

namespace attention::reference {
namespace {

struct Statistics {
  double mean;
  double rstd;
};

/// The mean of x[e] - base.
template <class T>
double mean_beyond(double base, TensorView<const T> x) {
  double sum = 0;
  for (std::int64_t e = 0; e < x.size(0); ++e) {
    sum += static_cast<double>(x(e)) - base;
  }
  return sum / static_cast<double>(x.size(0));
}

/// Passes 1 and 2 of a row.
template <class T>
Statistics statistics_of(TensorView<const T> x, double epsilon) {
  const std::int64_t E = x.size(0);
  const double first = mean_beyond(0.0, x);
  const double mean = first + mean_beyond(first, x);
  double squares = 0;
  for (std::int64_t e = 0; e < E; ++e) {
    const double difference = static_cast<double>(x(e)) - mean;
    squares += difference * difference;
  }
  const double variance = squares / static_cast<double>(E);
  return {.mean = mean, .rstd = 1 / std::sqrt(variance + epsilon)};
}

template <class T>
double weight_at(TensorView<const T> weight, std::int64_t e) {
  return weight.is_null() ? 1.0 : static_cast<double>(weight(e));
}

}  // namespace

template <class T>
void layer_norm(const NormProblem<T>& p, const RowInterval& rows) {
  for (std::int64_t row = rows.begin; row < rows.end; ++row) {
    const TensorView<const T> x = p.x[row];
    const TensorView<T> out = p.out[row];
    const auto [mean, rstd] = statistics_of(x, p.epsilon);
    for (std::int64_t e = 0; e < x.size(0); ++e) {
      const double xhat = (static_cast<double>(x(e)) - mean) * rstd;
      const double bias = p.bias.is_null() ? 0.0 : static_cast<double>(p.bias(e));
      out(e) = static_cast<T>(xhat * weight_at(p.weight, e) + bias);
    }
    if (!p.mean.is_null()) {
      *p.mean.data(row) = static_cast<T>(mean);
    }
    if (!p.rstd.is_null()) {
      *p.rstd.data(row) = static_cast<T>(rstd);
    }
  }
}

template <class T>
void layer_norm_backward(const NormBackwardProblem<T>& p, const RowInterval& rows,
                         const NormSums& sums) {
  for (std::int64_t row = rows.begin; row < rows.end; ++row) {
    const TensorView<const T> x = p.x[row];
    const TensorView<const T> d_out = p.d_out[row];
    const TensorView<T> d_x = p.d_x[row];
    const std::int64_t E = x.size(0);

    // Pass 1: the statistics.
    const auto [mean, rstd] = statistics_of(x, p.epsilon);

    // Pass 2: how the result depends on them, and on weight and bias.
    double sum_g = 0;
    double sum_gx = 0;
    for (std::int64_t e = 0; e < E; ++e) {
      const double xhat = (static_cast<double>(x(e)) - mean) * rstd;
      const double g = static_cast<double>(d_out(e)) * weight_at(p.weight, e);
      sum_g += g;
      sum_gx += g * xhat;
      sums.weight[static_cast<std::size_t>(e)] += static_cast<double>(d_out(e)) * xhat;
      sums.bias[static_cast<std::size_t>(e)] += static_cast<double>(d_out(e));
    }

    const double mean_g = sum_g / static_cast<double>(E);
    const double mean_gx = sum_gx / static_cast<double>(E);

    // Pass 3: on x.
    for (std::int64_t e = 0; e < E; ++e) {
      const double xhat = (static_cast<double>(x(e)) - mean) * rstd;
      const double g = static_cast<double>(d_out(e)) * weight_at(p.weight, e);
      d_x(e) = static_cast<T>(rstd * (g - mean_g - xhat * mean_gx));
    }
  }
}

template void layer_norm(const NormProblem<float>&, const RowInterval&);
template void layer_norm(const NormProblem<double>&, const RowInterval&);
template void layer_norm_backward(const NormBackwardProblem<float>&, const RowInterval&,
                                  const NormSums&);
template void layer_norm_backward(const NormBackwardProblem<double>&, const RowInterval&,
                                  const NormSums&);

}  // namespace attention::reference
