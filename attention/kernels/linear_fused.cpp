#include <algorithm>

#include <attention/kernels/element_of.hpp>
#include <attention/kernels/linear_fused.hpp>

namespace attention::kernels {
namespace {

/// Rows of x that a task packs stay within a few megabytes.
constexpr std::int64_t kMostPackedBytes = std::int64_t{2} << 20;
/// Tasks for each thread that keep the threads busy to the end.
constexpr std::int64_t kTasksPerThread = 4;
/// Outputs for which packing the rows of x pays.
constexpr std::int64_t kFewestOutputs = 192;

std::int64_t divided_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

/// A multiple of the panel.
std::int64_t most_rows(const IsaFunctions& isa, std::int64_t I) {
  const std::int64_t fitting =
      kMostPackedBytes / (std::max<std::int64_t>(I, 1) * isa.panel_rows * 4) * isa.panel_rows;
  return std::clamp<std::int64_t>(fitting, isa.panel_rows, kMaxLinearRows);
}

/// The offset, in elements, of row number `row` of all dimensions but the last.
std::int64_t row_offset(const Layout& layout, std::int64_t row) {
  std::int64_t offset = 0;
  for (int dim = layout.rank() - 2; dim >= 0; --dim) {
    offset += row % layout.shape[dim] * layout.strides[dim];
    row /= layout.shape[dim];
  }
  return offset;
}

}  // namespace

template <class T>
LinearFused<T>::LinearFused(const LinearProblem<T>& problem, const IsaFunctions& isa, int threads)
    : problem_(problem), isa_(isa) {
  Shape outer = problem.x.shape();
  outer.erase(outer.rank() - 1);
  rows_ = element_count(outer);
  const std::int64_t O = problem.weight.size(0);
  const std::int64_t wanted = kTasksPerThread * threads;
  rows_per_task_ = most_rows(isa, problem.weight.size(1));
  while (rows_per_task_ > std::int64_t{2} * isa.panel_rows &&
         divided_up(rows_, rows_per_task_) < wanted) {
    rows_per_task_ -= isa.panel_rows;
  }
  row_groups_ = divided_up(rows_, rows_per_task_);
  const std::int64_t cuts =
      row_groups_ == 0 ? 1
                       : std::clamp<std::int64_t>(divided_up(wanted, row_groups_), 1,
                                                  std::max<std::int64_t>(O / kFewestOutputs, 1));
  outputs_per_task_ = std::max<std::int64_t>(divided_up(O, cuts), 1);
  output_groups_ = divided_up(O, outputs_per_task_);
}

template <class T>
std::size_t LinearFused<T>::scratch_size() const noexcept {
  return isa_.linear_scratch(element_of(kDTypeOf<T>), problem_.weight.size(1),
                             static_cast<int>(std::min(rows_per_task_, rows_)));
}

template <class T>
void LinearFused<T>::run(std::int64_t task, std::byte* scratch) const noexcept {
  const LinearProblem<T>& p = problem_;
  const std::int64_t row_begin = task / output_groups_ * rows_per_task_;
  const std::int64_t output_begin = task % output_groups_ * outputs_per_task_;
  LinearTask
      args;  // NOLINT(cppcoreguidelines-pro-type-member-init): its arrays are filled as needed
  args.element = element_of(kDTypeOf<T>);
  args.I = p.weight.size(1);
  args.begin = output_begin;
  args.end = std::min(output_begin + outputs_per_task_, p.weight.size(0));
  args.weight = p.weight.data();
  args.weight_row = p.weight.strides()[0];
  args.weight_feature = p.weight.strides()[1];
  args.bias = p.bias.is_null() ? nullptr : p.bias.data();
  args.activation = p.activation;
  args.bias_feature = p.bias.is_null() ? 0 : p.bias.strides()[0];
  args.rows = static_cast<int>(std::min(rows_per_task_, rows_ - row_begin));
  args.x_feature = p.x.strides()[p.x.rank() - 1];
  args.out_feature = p.out.strides()[p.out.rank() - 1];
  for (int row = 0; row < args.rows; ++row) {
    args.x[row] = p.x.data() + row_offset(p.x.layout(), row_begin + row);
    args.out[row] = p.out.data() + row_offset(p.out.layout(), row_begin + row);
  }
  isa_.linear(args, scratch);
}

template <class T>
std::size_t linear_fused_scratch(const IsaFunctions& isa, std::int64_t I) noexcept {
  return isa.linear_scratch(element_of(kDTypeOf<T>), I, static_cast<int>(most_rows(isa, I)));
}

template class LinearFused<float>;
template class LinearFused<float16>;
template class LinearFused<bfloat16>;
template std::size_t linear_fused_scratch<float>(const IsaFunctions&, std::int64_t) noexcept;
template std::size_t linear_fused_scratch<float16>(const IsaFunctions&, std::int64_t) noexcept;
template std::size_t linear_fused_scratch<bfloat16>(const IsaFunctions&, std::int64_t) noexcept;

}  // namespace attention::kernels
