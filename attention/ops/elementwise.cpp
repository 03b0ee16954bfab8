#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <string_view>

#include <attention/ops/detail/checks.hpp>
#include <attention/ops/detail/reference_only.hpp>
#include <attention/ops/detail/strided_runs.hpp>
#include <attention/ops/detail/sum_to.hpp>
#include <attention/ops/elementwise.hpp>

namespace attention {
namespace {

/// NumPy's rule. Throws Error from `function` unless a and b fit.
Shape broadcast_shape(std::string_view function, const Shape& a, const Shape& b) {
  Shape shape = a.rank() < b.rank() ? b : a;
  const Shape& other = a.rank() < b.rank() ? a : b;
  const int missing = shape.rank() - other.rank();
  bool fits = true;
  for (int dim = missing; dim < shape.rank(); ++dim) {
    const std::int64_t extent = other[dim - missing];
    fits = fits && (extent == shape[dim] || extent == 1 || shape[dim] == 1);
    shape[dim] = shape[dim] == 1 ? extent : shape[dim];
  }
  require(fits, function, "each extent of a and b, from the last, must be 1 or equal",
          [&] { return detail::describe("a", a) + ", " + detail::describe("b", b); });
  return shape;
}

/// True when both views of one shape put each element at the same place.
template <class T>
bool is_same_view(TensorView<const T> a, TensorView<const T> b) {
  bool same = a.data() == b.data();
  for (int dim = 0; dim < a.rank(); ++dim) {
    same = same && (a.size(dim) == 1 || a.strides()[dim] == b.strides()[dim]);
  }
  return same;
}

/// `input` has been broadcast to the shape of out.
template <class T>
void require_same_or_apart(std::string_view function, std::string_view name, TensorView<T> out,
                           TensorView<const T> input) {
  require(is_same_view<T>(out, input) || !may_overlap({out.data(), out.layout(), sizeof(T)},
                                                      {input.data(), input.layout(), sizeof(T)}),
          [&] {
            return Error(function, "out must be " + std::string(name) + " or lie apart from it",
                         "views that share memory");
          });
}

template <class T>
void require_shape_of_out(std::string_view function, TensorView<T> out, const Shape& shape) {
  require(out.shape() == shape, [&] {
    return Error(function, detail::describe("out must have the shape", shape),
                 to_string(out.shape()));
  });
  detail::require_writable(function, "out", out);
}

/// Calls use(read), read(i) the i-th of the elements that lie at `x` with a step of 0 or 1. Those
/// of out are read as such: compilers that must allow for any overlap use no vectors.
template <class T, class Use>
void with_reader(const T* x, std::int64_t step, const T* out, const Use& use) {
  if (step == 0) {
    use([value = *x](std::int64_t /*i*/) { return value; });
  } else if (x == out) {
    use([out](std::int64_t i) { return out[i]; });
  } else {
    use([x](std::int64_t i) { return x[i]; });
  }
}

/// out = operation(a, b), all of one shape.
template <class T, class Operation>
void combine(TensorView<T> out, TensorView<const T> a, TensorView<const T> b, int threads) {
  const detail::StridedRuns<3> runs(out.shape(), {out.strides(), a.strides(), b.strides()});
  const auto [to_step, a_step, b_step] = runs.steps();
  const bool dense = to_step == 1 && (a_step == 0 || a_step == 1) && (b_step == 0 || b_step == 1);
  runs.for_each(threads, [&](const std::array<std::int64_t, 3>& offsets, std::int64_t count) {
    constexpr Operation kOperation = {};
    T* const to = out.data() + offsets[0];
    const T* const from_a = a.data() + offsets[1];
    const T* const from_b = b.data() + offsets[2];
    if (!dense) {
      for (std::int64_t i = 0; i < count; ++i) {
        to[i * to_step] = kOperation(from_a[i * a_step], from_b[i * b_step]);
      }
      return;
    }
    with_reader(from_a, a_step, to, [&](const auto& element_of_a) {
      with_reader(from_b, b_step, to, [&](const auto& element_of_b) {
        for (std::int64_t i = 0; i < count; ++i) {
          to[i] = kOperation(element_of_a(i), element_of_b(i));
        }
      });
    });
  });
}

template <class T, class Operation>
Tensor<T> combined(const char* function, TensorView<const T> a, TensorView<const T> b,
                   const Execution& execution) {
  const Shape shape = broadcast_shape(function, a.shape(), b.shape());
  detail::require_given(function, "a", a);
  detail::require_given(function, "b", b);
  detail::reference_only(function, execution, kDTypeOf<T>);
  Tensor<T> out = Tensor<T>::for_overwrite(shape);
  combine<T, Operation>(out, a.broadcast_to(shape), b.broadcast_to(shape), execution.threads);
  return out;
}

template <class T, class Operation>
Path combine_into(const char* function, TensorView<T> out, TensorView<const T> a,
                  TensorView<const T> b, const Execution& execution) {
  const Shape shape = broadcast_shape(function, a.shape(), b.shape());
  detail::require_given(function, "a", a);
  detail::require_given(function, "b", b);
  require_shape_of_out(function, out, shape);
  const TensorView<const T> from_a = a.broadcast_to(shape);
  const TensorView<const T> from_b = b.broadcast_to(shape);
  require_same_or_apart(function, "a", out, from_a);
  require_same_or_apart(function, "b", out, from_b);
  const Path path = detail::reference_only(function, execution, kDTypeOf<T>);
  combine<T, Operation>(out, from_a, from_b, execution.threads);
  return path;
}

template <class T>
void scale_all(TensorView<T> out, TensorView<const T> x, double factor, int threads) {
  const detail::StridedRuns<2> runs(out.shape(), {out.strides(), x.strides()});
  const auto [to_step, from_step] = runs.steps();
  const auto product = [factor](T value) {
    return static_cast<T>(static_cast<double>(value) * factor);
  };
  runs.for_each(threads, [&](const std::array<std::int64_t, 2>& offsets, std::int64_t count) {
    T* const to = out.data() + offsets[0];
    const T* const from = x.data() + offsets[1];
    if (to_step != 1 || from_step != 1) {
      for (std::int64_t i = 0; i < count; ++i) {
        to[i * to_step] = product(from[i * from_step]);
      }
      return;
    }
    with_reader(from, 1, to, [&](const auto& element) {
      for (std::int64_t i = 0; i < count; ++i) {
        to[i] = product(element(i));
      }
    });
  });
}

template <class T>
Tensor<T> scaled(TensorView<const T> x, double factor, const Execution& execution) {
  const char* const function = "scale";
  detail::require_given(function, "x", x);
  detail::reference_only(function, execution, kDTypeOf<T>);
  Tensor<T> out = Tensor<T>::for_overwrite(x.shape());
  scale_all<T>(out, x, factor, execution.threads);
  return out;
}

template <class T>
Path scale_into_checked(TensorView<T> out, TensorView<const T> x, double factor,
                        const Execution& execution) {
  const char* const function = "scale_into";
  detail::require_given(function, "x", x);
  require_shape_of_out(function, out, x.shape());
  require_same_or_apart(function, "x", out, x);
  const Path path = detail::reference_only(function, execution, kDTypeOf<T>);
  scale_all(out, x, factor, execution.threads);
  return path;
}

template <class T>
void check_sum(const char* function, TensorView<const T> x, const Shape& shape) {
  const int missing = x.rank() - shape.rank();
  bool fits = missing >= 0;
  for (int dim = 0; fits && dim < shape.rank(); ++dim) {
    fits = shape[dim] == 1 || shape[dim] == x.size(dim + missing);
  }
  require(fits, function, "a tensor of `shape` must broadcast to the shape of x", [&] {
    return detail::describe("shape", shape) + ", " + detail::describe("x", x.shape());
  });
  detail::require_given(function, "x", x);
}

template <class T>
Tensor<T> summed(TensorView<const T> x, const Shape& shape, const Execution& execution) {
  const char* const function = "sum_to";
  check_sum(function, x, shape);
  detail::reference_only(function, execution, kDTypeOf<T>);
  Tensor<T> out = Tensor<T>::for_overwrite(shape);
  detail::sum_to<T>(out, x, execution.threads);
  return out;
}

template <class T>
Path sum_into_checked(TensorView<T> out, TensorView<const T> x, const Execution& execution) {
  const char* const function = "sum_to_into";
  check_sum(function, x, out.shape());
  detail::require_writable(function, "out", out);
  require(!may_overlap({out.data(), out.layout(), sizeof(T)}, {x.data(), x.layout(), sizeof(T)}),
          function, "out must not overlap x",
          [] { return std::string("views that share memory"); });
  const Path path = detail::reference_only(function, execution, kDTypeOf<T>);
  detail::sum_to(out, x, execution.threads);
  return path;
}

}  // namespace

Tensor<float> add(TensorView<const float> a, TensorView<const float> b,
                  const Execution& execution) {
  return combined<float, std::plus<>>("add", a, b, execution);
}

Tensor<double> add(TensorView<const double> a, TensorView<const double> b,
                   const Execution& execution) {
  return combined<double, std::plus<>>("add", a, b, execution);
}

Path add_into(TensorView<float> out, TensorView<const float> a, TensorView<const float> b,
              const Execution& execution) {
  return combine_into<float, std::plus<>>("add_into", out, a, b, execution);
}

Path add_into(TensorView<double> out, TensorView<const double> a, TensorView<const double> b,
              const Execution& execution) {
  return combine_into<double, std::plus<>>("add_into", out, a, b, execution);
}

Tensor<float> multiply(TensorView<const float> a, TensorView<const float> b,
                       const Execution& execution) {
  return combined<float, std::multiplies<>>("multiply", a, b, execution);
}

Tensor<double> multiply(TensorView<const double> a, TensorView<const double> b,
                        const Execution& execution) {
  return combined<double, std::multiplies<>>("multiply", a, b, execution);
}

Path multiply_into(TensorView<float> out, TensorView<const float> a, TensorView<const float> b,
                   const Execution& execution) {
  return combine_into<float, std::multiplies<>>("multiply_into", out, a, b, execution);
}

Path multiply_into(TensorView<double> out, TensorView<const double> a, TensorView<const double> b,
                   const Execution& execution) {
  return combine_into<double, std::multiplies<>>("multiply_into", out, a, b, execution);
}

Tensor<float> scale(TensorView<const float> x, double factor, const Execution& execution) {
  return scaled(x, factor, execution);
}

Tensor<double> scale(TensorView<const double> x, double factor, const Execution& execution) {
  return scaled(x, factor, execution);
}

Path scale_into(TensorView<float> out, TensorView<const float> x, double factor,
                const Execution& execution) {
  return scale_into_checked(out, x, factor, execution);
}

Path scale_into(TensorView<double> out, TensorView<const double> x, double factor,
                const Execution& execution) {
  return scale_into_checked(out, x, factor, execution);
}

Tensor<float> sum_to(TensorView<const float> x, const Shape& shape, const Execution& execution) {
  return summed(x, shape, execution);
}

Tensor<double> sum_to(TensorView<const double> x, const Shape& shape, const Execution& execution) {
  return summed(x, shape, execution);
}

Path sum_to_into(TensorView<float> out, TensorView<const float> x, const Execution& execution) {
  return sum_into_checked(out, x, execution);
}

Path sum_to_into(TensorView<double> out, TensorView<const double> x, const Execution& execution) {
  return sum_into_checked(out, x, execution);
}

}  // namespace attention
