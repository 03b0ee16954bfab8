#include <array>
#include <span>
#include <string>
#include <string_view>

#include <attention/core/parallel.hpp>
#include <attention/kernels/softmax_fused.hpp>
#include <attention/ops/detail/checks.hpp>
#include <attention/ops/detail/path_choice.hpp>
#include <attention/ops/softmax.hpp>
#include <attention/reference/softmax.hpp>

namespace attention {
namespace {

/// One way to compute. `isa` is not looked at by a path that has no kernels.
template <class T>
struct SoftmaxPath {
  Path path;
  bool has_kernels;
  void (*forward)(TensorView<T> out, TensorView<const T> x, const kernels::IsaKernels* isa,
                  int threads);
  void (*backward)(TensorView<T> d_x, TensorView<const T> d_out, TensorView<const T> out,
                   const kernels::IsaKernels* isa, int threads);
};

template <class T>
void reference_forward(TensorView<T> out, TensorView<const T> x, const kernels::IsaKernels* /*isa*/,
                       int threads) {
  if (x.rank() == 1) {
    reference::softmax(out, x);
    return;
  }
  parallel_for(x.size(0), threads, [&](std::int64_t task, int /*worker*/) {
    reference::softmax(out.select(0, task), x.select(0, task));
  });
}

template <class T>
void reference_backward(TensorView<T> d_x, TensorView<const T> d_out, TensorView<const T> out,
                        const kernels::IsaKernels* /*isa*/, int threads) {
  if (out.rank() == 1) {
    reference::softmax_backward(d_x, d_out, out);
    return;
  }
  parallel_for(out.size(0), threads, [&](std::int64_t task, int /*worker*/) {
    reference::softmax_backward(d_x.select(0, task), d_out.select(0, task), out.select(0, task));
  });
}

template <class T>
constexpr SoftmaxPath<T> kReference = {.path = Path::reference,
                                       .has_kernels = false,
                                       .forward = reference_forward<T>,
                                       .backward = reference_backward<T>};

void fused_forward(TensorView<float> out, TensorView<const float> x, const kernels::IsaKernels* isa,
                   int threads) {
  const kernels::SoftmaxFused fused(out, x, *isa->functions);
  parallel_for(fused.tasks(), threads, [&](std::int64_t task, int /*worker*/) { fused.run(task); });
}

void fused_backward(TensorView<float> d_x, TensorView<const float> d_out,
                    TensorView<const float> out, const kernels::IsaKernels* isa, int threads) {
  const kernels::SoftmaxBackwardFused fused(d_x, d_out, out, *isa->functions);
  parallel_for(fused.tasks(), threads, [&](std::int64_t task, int /*worker*/) { fused.run(task); });
}

/// The paths in the order in which they are preferred; the reference is the last.
template <class T>
constexpr std::array<SoftmaxPath<T>, 1> kPaths = {kReference<T>};
template <>
constexpr std::array<SoftmaxPath<float>, 2> kPaths<float> = {
    SoftmaxPath<float>{.path = Path::fused,
                       .has_kernels = true,
                       .forward = fused_forward,
                       .backward = fused_backward},
    kReference<float>};

template <class T>
using Choice = detail::PathChoice<SoftmaxPath<T>>;

/// `rows` is the tensor named `name`, whose last dimension is that of the softmax.
template <class T>
Choice<T> checked_choice(std::string_view function, std::string_view name, TensorView<const T> rows,
                         const Execution& execution) {
  require(rows.rank() >= 1, [&] {
    return Error(function, std::string(name) + " must have rank 1 or more",
                 to_string(rows.shape()));
  });
  detail::require_given(function, name, rows);
  return Choice<T>(function, kPaths<T>, execution, kDTypeOf<T>);
}

template <class T>
Tensor<T> softmax_owning(TensorView<const T> x, const Execution& execution) {
  const Choice<T> choice = checked_choice("softmax", "x", x, execution);
  Tensor<T> out = Tensor<T>::for_overwrite(x.shape());
  choice.path.forward(out, x, choice.isa, execution.threads);
  return out;
}

template <class T>
Path softmax_into_checked(TensorView<T> out, TensorView<const T> x, const Execution& execution) {
  const char* const function = "softmax_into";
  const Choice<T> choice = checked_choice(function, "x", x, execution);
  detail::require_shape_of(function, "out", out, "x", x);
  detail::require_writable(function, "out", out);
  detail::require_in_place_or_apart(function, "out", out, "x", x);
  choice.path.forward(out, x, choice.isa, execution.threads);
  return choice.path.path;
}

template <class T>
Choice<T> checked_backward(std::string_view function, TensorView<const T> d_out,
                           TensorView<const T> out, const Execution& execution) {
  const Choice<T> choice = checked_choice(function, "out", out, execution);
  detail::require_shape_of(function, "d_out", d_out, "out", out);
  detail::require_given(function, "d_out", d_out);
  return choice;
}

template <class T>
Tensor<T> softmax_backward_owning(TensorView<const T> d_out, TensorView<const T> out,
                                  const Execution& execution) {
  const Choice<T> choice = checked_backward("softmax_backward", d_out, out, execution);
  Tensor<T> d_x = Tensor<T>::for_overwrite(out.shape());
  choice.path.backward(d_x, d_out, out, choice.isa, execution.threads);
  return d_x;
}

template <class T>
Path softmax_backward_into_checked(TensorView<T> d_x, TensorView<const T> d_out,
                                   TensorView<const T> out, const Execution& execution) {
  const char* const function = "softmax_backward_into";
  const Choice<T> choice = checked_backward(function, d_out, out, execution);
  detail::require_shape_of(function, "d_x", d_x, "out", out);
  detail::require_writable(function, "d_x", d_x);
  detail::require_in_place_or_apart(function, "d_x", d_x, "d_out", d_out);
  detail::require_apart(function, "d_x", d_x, "out", out);
  choice.path.backward(d_x, d_out, out, choice.isa, execution.threads);
  return choice.path.path;
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

Tensor<float> softmax_backward(TensorView<const float> d_out, TensorView<const float> out,
                               const Execution& execution) {
  return softmax_backward_owning(d_out, out, execution);
}

Tensor<double> softmax_backward(TensorView<const double> d_out, TensorView<const double> out,
                                const Execution& execution) {
  return softmax_backward_owning(d_out, out, execution);
}

Tensor<float16> softmax_backward(TensorView<const float16> d_out, TensorView<const float16> out,
                                 const Execution& execution) {
  return softmax_backward_owning(d_out, out, execution);
}

Tensor<bfloat16> softmax_backward(TensorView<const bfloat16> d_out, TensorView<const bfloat16> out,
                                  const Execution& execution) {
  return softmax_backward_owning(d_out, out, execution);
}

Path softmax_backward_into(TensorView<float> d_x, TensorView<const float> d_out,
                           TensorView<const float> out, const Execution& execution) {
  return softmax_backward_into_checked(d_x, d_out, out, execution);
}

Path softmax_backward_into(TensorView<double> d_x, TensorView<const double> d_out,
                           TensorView<const double> out, const Execution& execution) {
  return softmax_backward_into_checked(d_x, d_out, out, execution);
}

Path softmax_backward_into(TensorView<float16> d_x, TensorView<const float16> d_out,
                           TensorView<const float16> out, const Execution& execution) {
  return softmax_backward_into_checked(d_x, d_out, out, execution);
}

Path softmax_backward_into(TensorView<bfloat16> d_x, TensorView<const bfloat16> d_out,
                           TensorView<const bfloat16> out, const Execution& execution) {
  return softmax_backward_into_checked(d_x, d_out, out, execution);
}

}  // namespace attention
