#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <attention/core/counter_random.hpp>
#include <attention/core/parallel.hpp>
#include <attention/kernels/dropout_fused.hpp>
#include <attention/ops/detail/checks.hpp>
#include <attention/ops/detail/isa_choice.hpp>
#include <attention/ops/detail/workspace.hpp>
#include <attention/ops/dropout.hpp>
#include <attention/reference/dropout.hpp>

namespace attention {
namespace {

/// One way to compute dropout. `isa` is not looked at by a path that has no kernels.
template <class T>
struct DropoutPath {
  Path path;
  bool has_kernels;
  /// The elements [begin, end), counted in row-major order.
  void (*run)(const kernels::IsaKernels* isa, TensorView<T> out, TensorView<const T> x,
              const random::DropoutMask& mask, std::int64_t begin, std::int64_t end);
};

template <class T>
constexpr DropoutPath<T> kReference = {
    .path = Path::reference,
    .has_kernels = false,
    .run = [](const kernels::IsaKernels* /*isa*/, TensorView<T> out, TensorView<const T> x,
              const random::DropoutMask& mask, std::int64_t begin,
              std::int64_t end) { reference::dropout(out, x, mask, begin, end); }};

constexpr DropoutPath<float> kFused = {
    .path = Path::fused,
    .has_kernels = true,
    .run = [](const kernels::IsaKernels* isa, TensorView<float> out, TensorView<const float> x,
              const random::DropoutMask& mask, std::int64_t begin, std::int64_t end) {
      kernels::dropout_fused(*isa->functions, out, x, mask, begin, end);
    }};

/// The paths in the order in which they are preferred; the reference is the last.
template <class T>
constexpr std::array<DropoutPath<T>, 1> kPaths = {kReference<T>};
template <>
constexpr std::array<DropoutPath<float>, 2> kPaths<float> = {kFused, kReference<float>};

/// The path of a call, and its kernels if it has any.
template <class T>
struct Choice {
  const DropoutPath<T>& path;
  const kernels::IsaKernels* isa;

  Choice(std::string_view function, const Execution& execution)
      : path(detail::choose_path(function, std::span<const DropoutPath<T>>(kPaths<T>), execution,
                                 kDTypeOf<T>)),
        isa(path.has_kernels ? &detail::choose_isa(function, execution) : nullptr) {}

  Taken taken() const {
    return {.path = path.path, .isa = isa == nullptr ? std::nullopt : std::optional(isa->isa)};
  }
};

/// The names of a call and of its tensors, for messages.
struct Names {
  std::string_view function;
  std::string_view out;
  std::string_view x;
};

template <class T>
Choice<T> checked_choice(const Names& names, TensorView<const T> x, const DropoutOptions& options) {
  detail::require_given(names.function, names.x, x);
  detail::require_probability(names.function, "probability", options.probability);
  return Choice<T>(names.function, options.execution);
}

template <class T>
void run(TensorView<T> out, TensorView<const T> x, const Choice<T>& choice,
         const DropoutOptions& options) {
  constexpr std::int64_t kElementsPerTask = 1 << 14;
  const random::DropoutMask mask(options.probability, options.seed, options.call);
  const std::int64_t count = x.element_count();
  parallel_for((count + kElementsPerTask - 1) / kElementsPerTask, options.execution.threads,
               [&](std::int64_t task, int /*worker*/) {
                 const std::int64_t begin = task * kElementsPerTask;
                 const std::int64_t end = std::min(begin + kElementsPerTask, count);
                 choice.path.run(choice.isa, out, x, mask, begin, end);
               });
}

template <class T>
Tensor<T> dropout_owning(const Names& names, TensorView<const T> x, const DropoutOptions& options) {
  const Choice<T> choice = checked_choice(names, x, options);
  Tensor<T> out = Tensor<T>::for_overwrite(x.shape());
  run<T>(out, x, choice, options);
  return out;
}

template <class T>
Taken dropout_into_checked(const Names& names, TensorView<T> out, TensorView<const T> x,
                           const DropoutOptions& options) {
  const Choice<T> choice = checked_choice(names, x, options);
  const std::string out_name(names.out);
  const std::string x_name(names.x);
  require(out.shape() == x.shape(), [&] {
    return Error(
        names.function, out_name + " must have the shape of " + x_name,
        detail::describe(out_name, out.shape()) + ", " + detail::describe(x_name, x.shape()));
  });
  detail::require_writable(names.function, names.out, out);
  const bool in_place = out.data() == x.data() && out.strides() == x.strides();
  require(in_place || !may_overlap({out.data(), out.layout(), sizeof(T)},
                                   {x.data(), x.layout(), sizeof(T)}),
          [&] {
            return Error(names.function, out_name + " must be " + x_name + " or lie apart from it",
                         "views that share memory");
          });
  run(out, x, choice, options);
  return choice.taken();
}

constexpr Names kForward = {.function = "dropout", .out = "out", .x = "x"};
constexpr Names kForwardInto = {.function = "dropout_into", .out = "out", .x = "x"};
constexpr Names kBackward = {.function = "dropout_backward", .out = "d_x", .x = "d_out"};
constexpr Names kBackwardInto = {.function = "dropout_backward_into", .out = "d_x", .x = "d_out"};

}  // namespace

Tensor<float> dropout(TensorView<const float> x, const DropoutOptions& options) {
  return dropout_owning(kForward, x, options);
}

Tensor<double> dropout(TensorView<const double> x, const DropoutOptions& options) {
  return dropout_owning(kForward, x, options);
}

Tensor<float> dropout_backward(TensorView<const float> d_out, const DropoutOptions& options) {
  return dropout_owning(kBackward, d_out, options);
}

Tensor<double> dropout_backward(TensorView<const double> d_out, const DropoutOptions& options) {
  return dropout_owning(kBackward, d_out, options);
}

Taken dropout_into(TensorView<float> out, TensorView<const float> x,
                   const DropoutOptions& options) {
  return dropout_into_checked(kForwardInto, out, x, options);
}

Taken dropout_into(TensorView<double> out, TensorView<const double> x,
                   const DropoutOptions& options) {
  return dropout_into_checked(kForwardInto, out, x, options);
}

Taken dropout_backward_into(TensorView<float> d_x, TensorView<const float> d_out,
                            const DropoutOptions& options) {
  return dropout_into_checked(kBackwardInto, d_x, d_out, options);
}

Taken dropout_backward_into(TensorView<double> d_x, TensorView<const double> d_out,
                            const DropoutOptions& options) {
  return dropout_into_checked(kBackwardInto, d_x, d_out, options);
}

}  // namespace attention
