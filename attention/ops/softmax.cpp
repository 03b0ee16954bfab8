#include <array>
#include <span>
#include <string>
#include <string_view>

#include <attention/core/parallel.hpp>
#include <attention/ops/detail/checks.hpp>
#include <attention/ops/detail/workspace.hpp>
#include <attention/ops/softmax.hpp>
#include <attention/reference/softmax.hpp>

namespace attention {
namespace {

template <class T>
struct SoftmaxPath {
  Path path;
  void (*run)(TensorView<T> out, TensorView<const T> x);
};

/// The paths in the order in which they are preferred; the reference is the last.
template <class T>
constexpr std::array<SoftmaxPath<T>, 1> kPaths = {
    {{.path = Path::reference, .run = reference::softmax<T>}}};

template <class T>
const SoftmaxPath<T>& checked_path(std::string_view function, TensorView<const T> x,
                                   const Execution& execution) {
  require(x.rank() >= 1, function, "x must have rank 1 or more",
          [&] { return to_string(x.shape()); });
  detail::require_given(function, "x", x);
  return detail::choose_path(function, std::span<const SoftmaxPath<T>>(kPaths<T>), execution,
                             kDTypeOf<T>);
}

template <class T>
void run(TensorView<T> out, TensorView<const T> x, const SoftmaxPath<T>& path,
         const Execution& execution) {
  if (x.rank() == 1) {
    path.run(out, x);
    return;
  }
  parallel_for(x.size(0), execution.threads,
               [&](std::int64_t task, int) { path.run(out.select(0, task), x.select(0, task)); });
}

template <class T>
Tensor<T> softmax_owning(TensorView<const T> x, const Execution& execution) {
  const SoftmaxPath<T>& path = checked_path("softmax", x, execution);
  Tensor<T> out(x.shape());
  run<T>(out, x, path, execution);
  return out;
}

template <class T>
Path softmax_into_checked(TensorView<T> out, TensorView<const T> x, const Execution& execution) {
  const char* const function = "softmax_into";
  const SoftmaxPath<T>& path = checked_path(function, x, execution);
  require(out.shape() == x.shape(), function, "out must have the shape of x",
          [&] { return "out " + to_string(out.shape()) + ", x " + to_string(x.shape()); });
  detail::require_writable(function, "out", out);
  const bool in_place = out.data() == x.data() && out.strides() == x.strides();
  require(in_place || !may_overlap({out.data(), out.layout(), sizeof(T)},
                                   {x.data(), x.layout(), sizeof(T)}),
          function, "out must be x or lie apart from it",
          [] { return std::string("views that share memory"); });
  run(out, x, path, execution);
  return path.path;
}

}  // namespace

Tensor<float> softmax(TensorView<const float> x, const Execution& execution) {
  return softmax_owning(x, execution);
}

Tensor<double> softmax(TensorView<const double> x, const Execution& execution) {
  return softmax_owning(x, execution);
}

Tensor<float16> softmax(TensorView<const float16> x, const Execution& execution) {
  return softmax_owning(x, execution);
}

Tensor<bfloat16> softmax(TensorView<const bfloat16> x, const Execution& execution) {
  return softmax_owning(x, execution);
}

Path softmax_into(TensorView<float> out, TensorView<const float> x, const Execution& execution) {
  return softmax_into_checked(out, x, execution);
}

Path softmax_into(TensorView<double> out, TensorView<const double> x, const Execution& execution) {
  return softmax_into_checked(out, x, execution);
}

Path softmax_into(TensorView<float16> out, TensorView<const float16> x,
                  const Execution& execution) {
  return softmax_into_checked(out, x, execution);
}

Path softmax_into(TensorView<bfloat16> out, TensorView<const bfloat16> x,
                  const Execution& execution) {
  return softmax_into_checked(out, x, execution);
}

}  // namespace attention
