#include <cmath>
#include <cstdint>

#include <attention/reference/rms_norm.hpp>

namespace attention::reference {
namespace {

/// Pass 1 of a row.
template <class T>
double rstd_of(TensorView<const T> x, double epsilon) {
  const std::int64_t E = x.size(0);
  double squares = 0;
  for (std::int64_t e = 0; e < E; ++e) {
    squares += static_cast<double>(x(e)) * static_cast<double>(x(e));
  }
  return 1 / std::sqrt(squares / static_cast<double>(E) + epsilon);
}

template <class T>
double weight_at(TensorView<const T> weight, std::int64_t e) {
  return weight.is_null() ? 1.0 : static_cast<double>(weight(e));
}

}  // namespace

template <class T>
void rms_norm(const NormProblem<T>& p, const RowInterval& rows) {
  for (std::int64_t row = rows.begin; row < rows.end; ++row) {
    const TensorView<const T> x = p.x[row];
    const TensorView<T> out = p.out[row];
    const double rstd = rstd_of(x, p.epsilon);
    for (std::int64_t e = 0; e < x.size(0); ++e) {
      out(e) = static_cast<T>(static_cast<double>(x(e)) * rstd * weight_at(p.weight, e));
    }
    if (!p.rstd.is_null()) {
      *p.rstd.data(row) = static_cast<T>(rstd);
    }
  }
}

template <class T>
void rms_norm_backward(const NormBackwardProblem<T>& p, const RowInterval& rows,
                       const NormSums& sums) {
  for (std::int64_t row = rows.begin; row < rows.end; ++row) {
    const TensorView<const T> x = p.x[row];
    const TensorView<const T> d_out = p.d_out[row];
    const TensorView<T> d_x = p.d_x[row];
    const std::int64_t E = x.size(0);

    // Pass 1: the root mean square.
    const double rstd = rstd_of(x, p.epsilon);

    // Pass 2: how the result depends on it, and on weight.
    double sum_gx = 0;
    for (std::int64_t e = 0; e < E; ++e) {
      const double xhat = static_cast<double>(x(e)) * rstd;
      const double g = static_cast<double>(d_out(e)) * weight_at(p.weight, e);
      sum_gx += g * xhat;
      sums.weight[static_cast<std::size_t>(e)] += static_cast<double>(d_out(e)) * xhat;
    }
    const double mean_gx = sum_gx / static_cast<double>(E);

    // Pass 3: on x.
    for (std::int64_t e = 0; e < E; ++e) {
      const double xhat = static_cast<double>(x(e)) * rstd;
      const double g = static_cast<double>(d_out(e)) * weight_at(p.weight, e);
      d_x(e) = static_cast<T>(rstd * (g - xhat * mean_gx));
    }
  }
}

template void rms_norm(const NormProblem<float>&, const RowInterval&);
template void rms_norm(const NormProblem<double>&, const RowInterval&);
template void rms_norm_backward(const NormBackwardProblem<float>&, const RowInterval&,
                                const NormSums&);
template void rms_norm_backward(const NormBackwardProblem<double>&, const RowInterval&,
                                const NormSums&);

}  // namespace attention::reference
