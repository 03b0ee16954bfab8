#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include <attention/reference/softmax.hpp>

namespace attention::reference {
namespace {

template <class T>
void softmax_row(T* out, std::int64_t out_stride, const T* x, std::int64_t x_stride,
                 std::int64_t count) {
  const auto load = [&](std::int64_t j) { return element_cast<double>(x[j * x_stride]); };
  double maximum = -std::numeric_limits<double>::infinity();
  for (std::int64_t j = 0; j < count; ++j) {
    maximum = std::max(maximum, load(j));
  }
  double sum = 0;
  for (std::int64_t j = 0; j < count; ++j) {
    sum += std::exp(load(j) - maximum);
  }
  for (std::int64_t j = 0; j < count; ++j) {
    out[j * out_stride] = element_cast<T>(std::exp(load(j) - maximum) / sum);
  }
}

template <class T>
void softmax_backward_row(TensorView<T> d_x, TensorView<const T> d_out, TensorView<const T> out) {
  double mean = 0;
  for (std::int64_t j = 0; j < out.size(0); ++j) {
    mean += element_cast<double>(out(j)) * element_cast<double>(d_out(j));
  }
  for (std::int64_t j = 0; j < out.size(0); ++j) {
    d_x(j) =
        element_cast<T>(element_cast<double>(out(j)) * (element_cast<double>(d_out(j)) - mean));
  }
}

}  // namespace

template <class T>
void softmax(TensorView<T> out, TensorView<const T> x) {
  const int last = x.rank() - 1;
  Shape rows = x.shape();
  Strides out_strides = out.strides();
  Strides x_strides = x.strides();
  rows.erase(last);
  out_strides.erase(last);
  x_strides.erase(last);
  for_each_offset(
      rows,
      [&](std::int64_t out_offset, std::int64_t x_offset) {
        softmax_row(out.data() + out_offset, out.strides()[last], x.data() + x_offset,
                    x.strides()[last], x.size(last));
      },
      out_strides, x_strides);
}

template <class T>
void softmax_backward(TensorView<T> d_x, TensorView<const T> d_out, TensorView<const T> out) {
  if (out.rank() == 1) {
    softmax_backward_row(d_x, d_out, out);
    return;
  }
  for (std::int64_t n = 0; n < out.size(0); ++n) {
    softmax_backward(d_x.select(0, n), d_out.select(0, n), out.select(0, n));
  }
}

template void softmax(TensorView<float>, TensorView<const float>);
template void softmax(TensorView<double>, TensorView<const double>);
template void softmax(TensorView<float16>, TensorView<const float16>);
template void softmax(TensorView<bfloat16>, TensorView<const bfloat16>);
template void softmax_backward(TensorView<float>, TensorView<const float>, TensorView<const float>);
template void softmax_backward(TensorView<double>, TensorView<const double>,
                               TensorView<const double>);
template void softmax_backward(TensorView<float16>, TensorView<const float16>,
                               TensorView<const float16>);
template void softmax_backward(TensorView<bfloat16>, TensorView<const bfloat16>,
                               TensorView<const bfloat16>);

}  // namespace attention::reference
