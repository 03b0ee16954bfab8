#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <attention/core/parallel.hpp>
#include <attention/kernels/cross_entropy_fused.hpp>
#include <attention/ops/cross_entropy.hpp>
#include <attention/ops/detail/checks.hpp>
#include <attention/ops/detail/indices.hpp>
#include <attention/ops/detail/isa_choice.hpp>
#include <attention/ops/detail/walk.hpp>
#include <attention/ops/detail/workspace.hpp>
#include <attention/reference/cross_entropy.hpp>

namespace attention {
namespace {

/// One way to compute a row and its gradient. `isa` is not looked at by a path that has no kernels.
template <class T>
struct CrossEntropyPath {
  Path path;
  bool has_kernels;
  CrossEntropyRowLoss (*forward)(const CrossEntropyRow<T>& row, const kernels::IsaKernels* isa);
  void (*backward)(const CrossEntropyRowGradient<T>& gradient, const kernels::IsaKernels* isa);
};

template <class T>
constexpr CrossEntropyPath<T> kReference = {
    .path = Path::reference,
    .has_kernels = false,
    .forward = [](const CrossEntropyRow<T>& row,
                  const kernels::IsaKernels*) { return reference::cross_entropy(row); },
    .backward = [](const CrossEntropyRowGradient<T>& gradient,
                   const kernels::IsaKernels*) { reference::cross_entropy_backward(gradient); }};

constexpr CrossEntropyPath<float> kFused = {
    .path = Path::fused,
    .has_kernels = true,
    .forward =
        [](const CrossEntropyRow<float>& row, const kernels::IsaKernels* isa) {
          return kernels::cross_entropy_fused(row, *isa->functions);
        },
    .backward =
        [](const CrossEntropyRowGradient<float>& gradient, const kernels::IsaKernels* isa) {
          kernels::cross_entropy_backward_fused(gradient, *isa->functions);
        }};

/// The paths in the order in which they are preferred; the reference is the last.
template <class T>
constexpr std::array<CrossEntropyPath<T>, 1> kPaths = {kReference<T>};
template <>
constexpr std::array<CrossEntropyPath<float>, 2> kPaths<float> = {kFused, kReference<float>};

/// A call that has been checked.
template <class T>
struct Problem {
  TensorView<const T> logits;
  const AnyView& targets;
  const CrossEntropyOptions& options;
  std::int64_t counted = 0;
  const CrossEntropyPath<T>* path = nullptr;
  const kernels::IsaKernels* isa = nullptr;

  Problem(std::string_view function, TensorView<const T> its_logits, const AnyView& its_targets,
          const CrossEntropyOptions& its_options)
      : logits(its_logits), targets(its_targets), options(its_options) {
    const auto found = [&] {
      return detail::describe("logits", logits.shape()) + ", " +
             detail::describe("targets", targets.shape());
    };
    require(logits.rank() >= 1, function, "logits must have the shape (..., C)", found);
    const int last = logits.rank() - 1;
    Shape rows = logits.shape();
    rows.erase(last);
    require(targets.shape() == rows, function, "targets must have the shape of logits without C",
            found);
    const double s = options.label_smoothing;
    require(s >= 0 && s <= 1, function, "label_smoothing must lie in [0, 1]",
            [&] { return std::to_string(s); });
    detail::require_given(function, "logits", logits);
    counted = detail::count_checked(function, "targets", targets,
                                    {.count = logits.size(last), .ignored = options.ignore_index});
    path = &detail::choose_path(function, std::span<const CrossEntropyPath<T>>(kPaths<T>),
                                options.execution, kDTypeOf<T>);
    isa = path->has_kernels ? &detail::choose_isa(function, options.execution) : nullptr;
  }

  const Shape& rows() const { return targets.shape(); }
  /// Of the loss and of its gradient.
  Shape loss_shape() const { return options.reduction == Reduction::none ? rows() : Shape{}; }
  Strides row_strides() const { return without_last(logits.strides()); }
  static Strides without_last(Strides strides) {
    strides.erase(strides.rank() - 1);
    return strides;
  }
  CrossEntropyRow<T> row(std::int64_t offset, std::int64_t target) const {
    const int last = logits.rank() - 1;
    return {.logits = logits.data() + offset,
            .stride = logits.strides()[last],
            .C = logits.size(last),
            .target = target,
            .label_smoothing = options.label_smoothing};
  }
  Taken taken() const {
    return {.path = path->path, .isa = isa == nullptr ? std::nullopt : std::optional(isa->isa)};
  }
};

/// Rows in pieces whose number depends on that of the rows alone: the losses of a piece are summed
/// in their order, then the pieces in theirs.
struct Pieces {
  static constexpr std::int64_t kMost = 256;
  std::int64_t rows;
  std::int64_t rows_of_piece = (rows + kMost - 1) / kMost;
  std::int64_t count = rows == 0 ? 0 : (rows + rows_of_piece - 1) / rows_of_piece;

  std::int64_t begin(std::int64_t piece) const { return piece * rows_of_piece; }
  std::int64_t end(std::int64_t piece) const { return std::min(begin(piece + 1), rows); }
};

/// The strides of a view of the rows, or 0 where it is not one or not wanted.
Strides strides_or_zeros(const Strides& strides, const Shape& rows) {
  Strides zeros = rows;
  for (int dim = 0; dim < zeros.rank(); ++dim) {
    zeros[dim] = 0;
  }
  return strides.rank() == rows.rank() ? strides : zeros;
}

template <class T>
void run_forward(const CrossEntropyOutputs<T>& outputs, const Problem<T>& problem) {
  const bool reduces = problem.options.reduction != Reduction::none;
  const detail::IndexReader target_at(problem.targets);
  const std::array<Strides, 4> strides = {problem.row_strides(), problem.targets.strides(),
                                          strides_or_zeros(outputs.loss.strides(), problem.rows()),
                                          strides_or_zeros(outputs.lse.strides(), problem.rows())};
  const Pieces pieces{.rows = element_count(problem.rows())};
  std::array<double, Pieces::kMost> sums = {};
  const auto run_piece = [&](std::int64_t piece, int /*worker*/) {
    detail::Walk<4> walk(problem.rows(), strides, pieces.begin(piece));
    double sum = 0;
    for (std::int64_t n = pieces.begin(piece); n < pieces.end(piece); ++n, walk.next()) {
      const auto [at_logits, at_target, at_loss, at_lse] = walk.offsets();
      const std::int64_t target = target_at(at_target);
      CrossEntropyRowLoss found = {.loss = 0, .lse = -std::numeric_limits<double>::infinity()};
      if (target != problem.options.ignore_index) {
        found = problem.path->forward(problem.row(at_logits, target), problem.isa);
      }
      sum += found.loss;
      if (!reduces) {
        outputs.loss.data()[at_loss] = static_cast<T>(found.loss);
      }
      if (!outputs.lse.is_null()) {
        outputs.lse.data()[at_lse] = static_cast<T>(found.lse);
      }
    }
    sums[static_cast<std::size_t>(piece)] = sum;
  };
  parallel_for(pieces.count, problem.options.execution.threads, run_piece);
  if (reduces) {
    double sum = 0;
    for (std::int64_t piece = 0; piece < pieces.count; ++piece) {
      sum += sums[static_cast<std::size_t>(piece)];
    }
    const bool is_mean = problem.options.reduction == Reduction::mean;
    *outputs.loss.data() =
        static_cast<T>(is_mean ? sum / static_cast<double>(problem.counted) : sum);
  }
}

template <class T>
CrossEntropyResult<T> cross_entropy_owning(TensorView<const T> logits, const AnyView& targets,
                                           const CrossEntropyOptions& options) {
  const Problem<T> problem("cross_entropy", logits, targets, options);
  CrossEntropyResult<T> result = {.loss = Tensor<T>::for_overwrite(problem.loss_shape()),
                                  .lse = Tensor<T>::for_overwrite(problem.rows()),
                                  .counted = problem.counted,
                                  .taken = problem.taken()};
  run_forward<T>({.loss = result.loss, .lse = result.lse}, problem);
  return result;
}

Placement placement(const AnyView& view) {
  return {.base = view.data(), .layout = view.layout(), .element_size = size_of(view.dtype())};
}

template <class T>
void check_output(std::string_view function, std::string_view name, TensorView<T> output,
                  const Shape& shape) {
  require(output.shape() == shape, [&] {
    return Error(function, detail::describe(std::string(name) + " must have the shape", shape),
                 to_string(output.shape()));
  });
  detail::require_writable(function, name, output);
}

/// `view` is written, `other` lies apart from it.
void require_apart(std::string_view function, std::string_view name, const AnyView& view,
                   std::string_view other_name, const AnyView& other) {
  require(!may_overlap(placement(view), placement(other)), [&] {
    return Error(function, std::string(name) + " must not overlap " + std::string(other_name),
                 "views that share memory");
  });
}

template <class T>
CrossEntropyRun cross_entropy_into_checked(const CrossEntropyOutputs<T>& outputs,
                                           TensorView<const T> logits, const AnyView& targets,
                                           const CrossEntropyOptions& options) {
  const char* const function = "cross_entropy_into";
  const Problem<T> problem(function, logits, targets, options);
  check_output(function, "loss", outputs.loss, problem.loss_shape());
  require_apart(function, "loss", outputs.loss, "logits", logits);
  require_apart(function, "loss", outputs.loss, "targets", targets);
  if (!outputs.lse.is_null()) {
    check_output(function, "lse", outputs.lse, problem.rows());
    require_apart(function, "lse", outputs.lse, "logits", logits);
    require_apart(function, "lse", outputs.lse, "targets", targets);
    require_apart(function, "lse", outputs.lse, "loss", outputs.loss);
  }
  run_forward(outputs, problem);
  return {.counted = problem.counted, .taken = problem.taken()};
}

/// What the backward pass takes besides a Problem.
template <class T>
struct Gradients {
  TensorView<const T> d_loss;
  TensorView<const T> lse;

  void check(std::string_view function, const Problem<T>& problem) const {
    const auto check_shape = [&](std::string_view name, TensorView<const T> view,
                                 const Shape& shape) {
      require(view.shape() == shape, [&] {
        return Error(function, detail::describe(std::string(name) + " must have the shape", shape),
                     to_string(view.shape()));
      });
      detail::require_given(function, name, view);
    };
    check_shape("d_loss", d_loss, problem.loss_shape());
    check_shape("lse", lse, problem.rows());
  }
};

template <class T>
void run_backward(TensorView<T> d_logits, const Gradients<T>& gradients,
                  const Problem<T>& problem) {
  const detail::IndexReader target_at(problem.targets);
  const std::array<Strides, 5> strides = {
      Problem<T>::without_last(d_logits.strides()), problem.row_strides(),
      problem.targets.strides(), strides_or_zeros(gradients.d_loss.strides(), problem.rows()),
      gradients.lse.strides()};
  const double divisor =
      problem.options.reduction == Reduction::mean ? static_cast<double>(problem.counted) : 1.0;
  const std::int64_t d_stride = d_logits.strides()[d_logits.rank() - 1];
  const Pieces pieces{.rows = element_count(problem.rows())};
  const auto run_piece = [&](std::int64_t piece, int /*worker*/) {
    detail::Walk<5> walk(problem.rows(), strides, pieces.begin(piece));
    for (std::int64_t n = pieces.begin(piece); n < pieces.end(piece); ++n, walk.next()) {
      const auto [at_gradient, at_logits, at_target, at_loss, at_lse] = walk.offsets();
      const CrossEntropyRow<T> row = problem.row(at_logits, target_at(at_target));
      T* const to = d_logits.data() + at_gradient;
      if (row.target == problem.options.ignore_index) {
        for (std::int64_t j = 0; j < row.C; ++j) {
          to[j * d_stride] = 0;
        }
        continue;
      }
      problem.path->backward(
          {.row = row,
           .d_logits = to,
           .d_stride = d_stride,
           .lse = static_cast<double>(gradients.lse.data()[at_lse]),
           .d_loss = static_cast<double>(gradients.d_loss.data()[at_loss]) / divisor},
          problem.isa);
    }
  };
  parallel_for(pieces.count, problem.options.execution.threads, run_piece);
}

template <class T>
Tensor<T> backward_owning(const Gradients<T>& gradients, TensorView<const T> logits,
                          const AnyView& targets, const CrossEntropyOptions& options) {
  const char* const function = "cross_entropy_backward";
  const Problem<T> problem(function, logits, targets, options);
  gradients.check(function, problem);
  Tensor<T> d_logits = Tensor<T>::for_overwrite(logits.shape());
  run_backward<T>(d_logits, gradients, problem);
  return d_logits;
}

template <class T>
Taken backward_into_checked(TensorView<T> d_logits, const Gradients<T>& gradients,
                            TensorView<const T> logits, const AnyView& targets,
                            const CrossEntropyOptions& options) {
  const char* const function = "cross_entropy_backward_into";
  const Problem<T> problem(function, logits, targets, options);
  gradients.check(function, problem);
  check_output(function, "d_logits", d_logits, logits.shape());
  const bool in_place = d_logits.data() == logits.data() && d_logits.strides() == logits.strides();
  if (!in_place) {
    require_apart(function, "d_logits", d_logits, "logits without being them", logits);
  }
  require_apart(function, "d_logits", d_logits, "targets", targets);
  require_apart(function, "d_logits", d_logits, "d_loss", gradients.d_loss);
  require_apart(function, "d_logits", d_logits, "lse", gradients.lse);
  run_backward(d_logits, gradients, problem);
  return problem.taken();
}

}  // namespace

CrossEntropyResult<float> cross_entropy(TensorView<const float> logits, const AnyView& targets,
                                        const CrossEntropyOptions& options) {
  return cross_entropy_owning(logits, targets, options);
}

CrossEntropyResult<double> cross_entropy(TensorView<const double> logits, const AnyView& targets,
                                         const CrossEntropyOptions& options) {
  return cross_entropy_owning(logits, targets, options);
}

CrossEntropyRun cross_entropy_into(const CrossEntropyOutputs<float>& outputs,
                                   TensorView<const float> logits, const AnyView& targets,
                                   const CrossEntropyOptions& options) {
  return cross_entropy_into_checked(outputs, logits, targets, options);
}

CrossEntropyRun cross_entropy_into(const CrossEntropyOutputs<double>& outputs,
                                   TensorView<const double> logits, const AnyView& targets,
                                   const CrossEntropyOptions& options) {
  return cross_entropy_into_checked(outputs, logits, targets, options);
}

Tensor<float> cross_entropy_backward(TensorView<const float> d_loss, TensorView<const float> logits,
                                     const AnyView& targets, TensorView<const float> lse,
                                     const CrossEntropyOptions& options) {
  return backward_owning<float>({.d_loss = d_loss, .lse = lse}, logits, targets, options);
}

Tensor<double> cross_entropy_backward(TensorView<const double> d_loss,
                                      TensorView<const double> logits, const AnyView& targets,
                                      TensorView<const double> lse,
                                      const CrossEntropyOptions& options) {
  return backward_owning<double>({.d_loss = d_loss, .lse = lse}, logits, targets, options);
}

Taken cross_entropy_backward_into(TensorView<float> d_logits, TensorView<const float> d_loss,
                                  TensorView<const float> logits, const AnyView& targets,
                                  TensorView<const float> lse, const CrossEntropyOptions& options) {
  return backward_into_checked<float>(d_logits, {.d_loss = d_loss, .lse = lse}, logits, targets,
                                      options);
}

Taken cross_entropy_backward_into(TensorView<double> d_logits, TensorView<const double> d_loss,
                                  TensorView<const double> logits, const AnyView& targets,
                                  TensorView<const double> lse,
                                  const CrossEntropyOptions& options) {
  return backward_into_checked<double>(d_logits, {.d_loss = d_loss, .lse = lse}, logits, targets,
                                       options);
}

}  // namespace attention
