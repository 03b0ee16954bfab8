#include <attention/core/tensor.hpp>
#include <attention/reference/elementwise.hpp>

namespace attention::reference {
namespace {

template <class T, class Operation>
void combine(TensorView<T> out, TensorView<const T> a, TensorView<const T> b,
             const Operation& operation) {
  for_each_offset(
      out.shape(),
      [&](std::int64_t at_out, std::int64_t at_a, std::int64_t at_b) {
        const auto left = static_cast<double>(a.data()[at_a]);
        const auto right = static_cast<double>(b.data()[at_b]);
        out.data()[at_out] = static_cast<T>(operation(left, right));
      },
      out.strides(), a.broadcast_to(out.shape()).strides(), b.broadcast_to(out.shape()).strides());
}

}  // namespace

template <class T>
void add(TensorView<T> out, TensorView<const T> a, TensorView<const T> b) {
  combine(out, a, b, [](double left, double right) { return left + right; });
}

template <class T>
void multiply(TensorView<T> out, TensorView<const T> a, TensorView<const T> b) {
  combine(out, a, b, [](double left, double right) { return left * right; });
}

template <class T>
void scale(TensorView<T> out, TensorView<const T> x, double factor) {
  for_each_offset(
      out.shape(),
      [&](std::int64_t at_out, std::int64_t at_x) {
        out.data()[at_out] = static_cast<T>(factor * static_cast<double>(x.data()[at_x]));
      },
      out.strides(), x.strides());
}

template <class T>
void sum_to(TensorView<T> out, TensorView<const T> x) {
  Tensor<double> sums(out.shape());
  const TensorView<double> repeated = sums.view().broadcast_to(x.shape());
  for_each_offset(
      x.shape(),
      [&](std::int64_t at_sum, std::int64_t at_x) {
        repeated.data()[at_sum] += static_cast<double>(x.data()[at_x]);
      },
      repeated.strides(), x.strides());
  for_each_offset(
      out.shape(),
      [&](std::int64_t at_out, std::int64_t at_sum) {
        out.data()[at_out] = static_cast<T>(sums.data()[at_sum]);
      },
      out.strides(), sums.view().strides());
}

template void add(TensorView<float>, TensorView<const float>, TensorView<const float>);
template void add(TensorView<double>, TensorView<const double>, TensorView<const double>);
template void multiply(TensorView<float>, TensorView<const float>, TensorView<const float>);
template void multiply(TensorView<double>, TensorView<const double>, TensorView<const double>);
template void scale(TensorView<float>, TensorView<const float>, double);
template void scale(TensorView<double>, TensorView<const double>, double);
template void sum_to(TensorView<float>, TensorView<const float>);
template void sum_to(TensorView<double>, TensorView<const double>);

}  // namespace attention::reference
