#include <algorithm>
#include <array>
#include <cstdint>

#include <attention/reference/activation.hpp>
#include <attention/reference/linear.hpp>

namespace attention::reference {
namespace {

/// Inputs whose sums are added up side by side, each by itself: so the processor need not wait for
/// one sum.
constexpr std::int64_t kInputs = 16;
using Sums = std::array<double, kInputs>;

template <class T>
Shape outer_shape(TensorView<T> tensor) {
  Shape shape = tensor.shape();
  shape.erase(shape.rank() - 1);
  return shape;
}
template <class T>
Strides outer_strides(TensorView<T> tensor) {
  Strides strides = tensor.strides();
  strides.erase(strides.rank() - 1);
  return strides;
}
template <class T>
std::int64_t last_stride(TensorView<T> tensor) {
  return tensor.strides()[tensor.rank() - 1];
}

/// sums[c] += factor * row[c * stride] for the first `count`.
template <class T>
void add_row(Sums& sums, T factor, const T* row, std::int64_t stride, std::int64_t count) {
  for (std::int64_t c = 0; c < count; ++c) {
    sums[static_cast<std::size_t>(c)] +=
        static_cast<double>(factor) * static_cast<double>(row[c * stride]);
  }
}

template <class T>
void write(const LinearBackwardProblem<T>& problem, T& place, double sum) {
  place = static_cast<T>(problem.accumulate ? static_cast<double>(place) + sum : sum);
}

/// The inputs [begin, begin + count) of d_x, row by row.
template <class T>
void backward_x(const LinearBackwardProblem<T>& p, std::int64_t begin, std::int64_t count) {
  const std::int64_t step = last_stride(p.d_out);
  for_each_offset(
      outer_shape(p.d_x),
      [&](std::int64_t out_row, std::int64_t row) {
        Sums sums = {};
        for (std::int64_t o = 0; o < p.weight.size(0); ++o) {
          add_row(sums, p.d_out.data()[out_row + o * step], &p.weight(o, begin),
                  p.weight.strides()[1], count);
        }
        for (std::int64_t c = 0; c < count; ++c) {
          write(p, p.d_x.data()[row + (begin + c) * last_stride(p.d_x)],
                sums[static_cast<std::size_t>(c)]);
        }
      },
      outer_strides(p.d_out), outer_strides(p.d_x));
}

/// The same of d_weight, output by output.
template <class T>
void backward_weight(const LinearBackwardProblem<T>& p, std::int64_t begin, std::int64_t count) {
  for (std::int64_t o = 0; o < p.weight.size(0); ++o) {
    const std::int64_t output = o * last_stride(p.d_out);
    const std::int64_t input = begin * last_stride(p.x);
    Sums sums = {};
    for_each_offset(
        outer_shape(p.x),
        [&](std::int64_t out_row, std::int64_t row) {
          add_row(sums, p.d_out.data()[out_row + output], p.x.data() + row + input,
                  last_stride(p.x), count);
        },
        outer_strides(p.d_out), outer_strides(p.x));
    for (std::int64_t c = 0; c < count; ++c) {
      write(p, p.d_weight(o, begin + c), sums[static_cast<std::size_t>(c)]);
    }
  }
}

template <class T>
void backward_bias(const LinearBackwardProblem<T>& p) {
  for (std::int64_t o = 0; o < p.d_bias.size(0); ++o) {
    double sum = 0;
    for_each_offset(
        outer_shape(p.d_out),
        [&](std::int64_t row) {
          sum += static_cast<double>(p.d_out.data()[row + o * last_stride(p.d_out)]);
        },
        outer_strides(p.d_out));
    write(p, p.d_bias(o), sum);
  }
}

}  // namespace

template <class T>
void linear(TensorView<T> out, TensorView<const T> x, TensorView<const T> weight,
            TensorView<const T> bias, Activation activation) {
  for (std::int64_t n = 0; n < x.size(0); ++n) {
    for (std::int64_t o = 0; o < weight.size(0); ++o) {
      double sum = 0;
      for (std::int64_t i = 0; i < x.size(1); ++i) {
        sum += element_cast<double>(x(n, i)) * element_cast<double>(weight(o, i));
      }
      if (!bias.is_null()) {
        sum += element_cast<double>(bias(o));
      }
      out(n, o) = element_cast<T>(activated(activation, sum));
    }
  }
}

template <class T>
void linear_backward(const LinearBackwardProblem<T>& problem) {
  for (std::int64_t i = 0; i < problem.weight.size(1); i += kInputs) {
    const std::int64_t count = std::min(kInputs, problem.weight.size(1) - i);
    if (!problem.d_x.is_null()) {
      backward_x(problem, i, count);
    }
    if (!problem.d_weight.is_null()) {
      backward_weight(problem, i, count);
    }
  }
  if (!problem.d_bias.is_null()) {
    backward_bias(problem);
  }
}

template void linear(TensorView<float>, TensorView<const float>, TensorView<const float>,
                     TensorView<const float>, Activation);
template void linear(TensorView<double>, TensorView<const double>, TensorView<const double>,
                     TensorView<const double>, Activation);
template void linear(TensorView<float16>, TensorView<const float16>, TensorView<const float16>,
                     TensorView<const float16>, Activation);
template void linear(TensorView<bfloat16>, TensorView<const bfloat16>, TensorView<const bfloat16>,
                     TensorView<const bfloat16>, Activation);
template void linear_backward(const LinearBackwardProblem<float>&);
template void linear_backward(const LinearBackwardProblem<double>&);

}  // namespace attention::reference
