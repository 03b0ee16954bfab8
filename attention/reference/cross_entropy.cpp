#include <algorithm>
#include <cmath>
#include <limits>

#include <attention/reference/cross_entropy.hpp>

namespace attention::reference {
namespace {

template <class T>
double logit(const CrossEntropyRow<T>& row, std::int64_t j) {
  return static_cast<double>(row.logits[j * row.stride]);
}

}  // namespace

template <class T>
CrossEntropyRowLoss cross_entropy(const CrossEntropyRow<T>& row) {
  constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();
  double maximum = kMinusInfinity;
  for (std::int64_t j = 0; j < row.C; ++j) {
    maximum = std::max(maximum, logit(row, j));
  }
  maximum = maximum == kMinusInfinity ? 0 : maximum;

  double sum = 0;
  double mean = 0;  // of the logits, less the maximum
  for (std::int64_t j = 0; j < row.C; ++j) {
    const double x = logit(row, j) - maximum;
    sum += std::exp(x);
    mean += x / static_cast<double>(row.C);
  }

  const double log_sum = std::log(sum);
  const double s = row.label_smoothing;
  const double at_target = s == 1 ? 0 : (1 - s) * (log_sum - (logit(row, row.target) - maximum));
  const double at_all = s == 0 ? 0 : s * (log_sum - mean);
  return {.loss = at_target + at_all, .lse = maximum + log_sum};
}

template <class T>
void cross_entropy_backward(const CrossEntropyRowGradient<T>& gradient) {
  const CrossEntropyRow<T>& row = gradient.row;
  double sum = 0;
  for (std::int64_t j = 0; j < row.C; ++j) {
    sum += std::exp(logit(row, j) - gradient.lse);
  }
  const double s = row.label_smoothing;
  for (std::int64_t j = 0; j < row.C; ++j) {
    const double p = std::exp(logit(row, j) - gradient.lse) / sum;
    const double wanted = (j == row.target ? 1 - s : 0) + s / static_cast<double>(row.C);
    gradient.d_logits[j * gradient.d_stride] = static_cast<T>(gradient.d_loss * (p - wanted));
  }
}

template CrossEntropyRowLoss cross_entropy(const CrossEntropyRow<float>&);
template CrossEntropyRowLoss cross_entropy(const CrossEntropyRow<double>&);
template void cross_entropy_backward(const CrossEntropyRowGradient<float>&);
template void cross_entropy_backward(const CrossEntropyRowGradient<double>&);

}  // namespace attention::reference
