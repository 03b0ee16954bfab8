#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include <attention/core/error.hpp>
#include <attention/core/parallel.hpp>
#include <attention/kernels/norm_fused.hpp>
#include <attention/ops/detail/isa_choice.hpp>
#include <attention/ops/detail/norm_paths.hpp>
#include <attention/ops/detail/workspace.hpp>
#include <attention/reference/layer_norm.hpp>
#include <attention/reference/rms_norm.hpp>

namespace attention::detail {
namespace {

std::int64_t divided_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

/// The rows cut into pieces, each with sums of its own: by their number alone, so that no bit of a
/// sum depends on the threads.
class RowPieces {
 public:
  static constexpr std::int64_t kMostPieces = 32;

  explicit RowPieces(std::int64_t rows) noexcept
      : rows_(rows), length_(std::max(kFewestRows, divided_up(rows, kMostPieces))) {}

  std::int64_t count() const noexcept { return divided_up(rows_, length_); }
  RowInterval at(std::int64_t piece) const noexcept {
    return {.begin = piece * length_, .end = std::min((piece + 1) * length_, rows_)};
  }

 private:
  static constexpr std::int64_t kFewestRows = 16;

  std::int64_t rows_;
  std::int64_t length_;
};

/// The memory of a piece: its sums, and the scratch of the path.
class PieceMemory {
 public:
  PieceMemory(std::int64_t E, std::size_t scratch) noexcept
      : features_(static_cast<std::size_t>(E)),
        sums_(padded_scratch(2 * features_ * sizeof(double))),
        size_(sums_ + padded_scratch(scratch)) {}

  std::size_t size() const noexcept { return size_; }
  NormSums sums_in(std::byte* piece) const noexcept {
    auto* const first = reinterpret_cast<double*>(piece);
    return {.weight = {first, features_}, .bias = {first + features_, features_}};
  }
  std::byte* scratch_in(std::byte* piece) const noexcept { return piece + sums_; }

 private:
  std::size_t features_;
  std::size_t sums_;
  std::size_t size_;
};

template <class T>
void forward_by_reference(const NormProblem<T>& problem, const kernels::IsaKernels* /*isa*/,
                          int threads) {
  constexpr std::int64_t kRowsPerTask = 16;
  const std::int64_t rows = problem.x.count();
  parallel_for(divided_up(rows, kRowsPerTask), threads, [&](std::int64_t task, int /*worker*/) {
    const RowInterval some = {.begin = task * kRowsPerTask,
                              .end = std::min((task + 1) * kRowsPerTask, rows)};
    if (problem.kind == NormKind::layer) {
      reference::layer_norm(problem, some);
    } else {
      reference::rms_norm(problem, some);
    }
  });
}

template <class T>
void backward_by_reference(const NormBackwardProblem<T>& problem,
                           const kernels::IsaKernels* /*isa*/, const RowInterval& rows,
                           const NormSums& sums, std::byte* /*scratch*/) {
  if (problem.kind == NormKind::layer) {
    reference::layer_norm_backward(problem, rows, sums);
  } else {
    reference::rms_norm_backward(problem, rows, sums);
  }
}

template <class T>
constexpr NormPath<T> kReference = {
    .path = Path::reference,
    .has_kernels = false,
    .forward = forward_by_reference<T>,
    .backward = backward_by_reference<T>,
    .backward_scratch = [](std::int64_t, const kernels::IsaKernels*) { return std::size_t{0}; }};

void forward_fused(const NormProblem<float>& problem, const kernels::IsaKernels* isa, int threads) {
  const kernels::NormFused fused(problem, *isa->functions);
  parallel_for(fused.tasks(), threads, [&](std::int64_t task, int /*worker*/) { fused.run(task); });
}

constexpr NormPath<float> kFused = {
    .path = Path::fused,
    .has_kernels = true,
    .forward = forward_fused,
    .backward =
        [](const NormBackwardProblem<float>& problem, const kernels::IsaKernels* isa,
           const RowInterval& rows, const NormSums& sums, std::byte* scratch) {
          kernels::norm_backward_fused(problem, *isa->functions, rows, sums, scratch);
        },
    .backward_scratch =
        [](std::int64_t E, const kernels::IsaKernels* isa) {
          return isa->functions->norm_backward_scratch(E);
        }};

/// The paths in the order in which they are preferred; the reference is the last.
template <class T>
constexpr std::array<NormPath<T>, 1> kPaths = {kReference<T>};
template <>
constexpr std::array<NormPath<float>, 2> kPaths<float> = {kFused, kReference<float>};

/// The sums of all pieces, in their order, of the features [begin, end).
template <class T>
void merge(const NormBackwardProblem<T>& problem, std::span<const NormSums> pieces,
           std::int64_t begin, std::int64_t end) {
  for (std::int64_t e = begin; e < end; ++e) {
    double weight = 0;
    double bias = 0;
    for (const NormSums& sums : pieces) {
      weight += sums.weight[static_cast<std::size_t>(e)];
      bias += sums.bias[static_cast<std::size_t>(e)];
    }
    problem.d_weight(e) = static_cast<T>(weight);
    if (problem.kind == NormKind::layer) {
      problem.d_bias(e) = static_cast<T>(bias);
    }
  }
}

}  // namespace

template <class T>
NormChoice<T>::NormChoice(std::string_view function, const Execution& execution)
    : path_(choose_path(function, std::span<const NormPath<T>>(kPaths<T>), execution, kDTypeOf<T>)),
      isa_(path_.has_kernels ? &choose_isa(function, execution) : nullptr),
      threads_(resolve_threads(execution.threads)) {}

template <class T>
Taken NormChoice<T>::taken() const {
  return {.path = path_.path, .isa = isa_ == nullptr ? std::nullopt : std::optional(isa_->isa)};
}

template <class T>
void NormChoice<T>::forward(const NormProblem<T>& problem) const {
  path_.forward(problem, isa_, threads_);
}

template <class T>
std::size_t NormChoice<T>::workspace_size(std::int64_t rows, std::int64_t E) const {
  const std::size_t piece = PieceMemory(E, path_.backward_scratch(E, isa_)).size();
  const std::size_t pieces = piece * static_cast<std::size_t>(RowPieces(rows).count());
  return pieces == 0 ? 0 : pieces + kScratchAlignment - 1;
}

template <class T>
void NormChoice<T>::backward(const NormBackwardProblem<T>& problem,
                             std::span<std::byte> workspace) const {
  constexpr std::int64_t kFeaturesPerTask = 1024;
  const std::int64_t E = problem.x.length();
  const RowPieces pieces(problem.x.count());
  const PieceMemory memory(E, path_.backward_scratch(E, isa_));
  const WorkerScratch places(workspace, memory.size());
  std::array<NormSums, RowPieces::kMostPieces> sums;
  parallel_for(pieces.count(), threads_, [&](std::int64_t piece, int /*worker*/) {
    std::byte* const place = places.of(static_cast<int>(piece));
    NormSums& own = sums[static_cast<std::size_t>(piece)];
    own = memory.sums_in(place);
    std::ranges::fill(own.weight, 0.0);
    std::ranges::fill(own.bias, 0.0);
    path_.backward(problem, isa_, pieces.at(piece), own, memory.scratch_in(place));
  });
  const auto all = std::span<const NormSums>(sums).first(static_cast<std::size_t>(pieces.count()));
  parallel_for(divided_up(E, kFeaturesPerTask), threads_, [&](std::int64_t task, int /*worker*/) {
    merge(problem, all, task * kFeaturesPerTask, std::min((task + 1) * kFeaturesPerTask, E));
  });
}

std::size_t norm_workspace_size(std::string_view function, std::int64_t rows, std::int64_t features,
                                DType dtype, const Execution& execution) {
  require(rows >= 0 && features >= 0, function, "rows and features must not be negative", [&] {
    return std::to_string(rows) + " rows, " + std::to_string(features) + " features";
  });
  require(dtype == DType::float32 || dtype == DType::float64, function,
          "dtype must be float32 or float64", [&] { return std::string(name_of(dtype)); });
  return dtype == DType::float32
             ? NormChoice<float>(function, execution).workspace_size(rows, features)
             : NormChoice<double>(function, execution).workspace_size(rows, features);
}

template class NormChoice<float>;
template class NormChoice<double>;

}  // namespace attention::detail
