#include <algorithm>

#include <attention/kernels/norm_fused.hpp>

namespace attention::kernels {
namespace {

/// Elements of a task that are worth handing it to a thread.
constexpr std::int64_t kElementsPerTask = 16384;

/// A vector of E features, or null.
const float* data_of(const TensorView<const float>& features) {
  return features.is_null() ? nullptr : features.data();
}
std::int64_t stride_of(const TensorView<const float>& features) {
  return features.is_null() ? 0 : features.strides()[0];
}

}  // namespace

NormFused::NormFused(const NormProblem<float>& problem, const IsaFunctions& isa) noexcept
    : problem_(problem),
      isa_(isa),
      rows_per_task_(std::clamp<std::int64_t>(
          kElementsPerTask / std::max<std::int64_t>(problem.x.length(), 1), 1, kMaxNormRows)) {}

std::int64_t NormFused::tasks() const noexcept {
  return (problem_.x.count() + rows_per_task_ - 1) / rows_per_task_;
}

void NormFused::run(std::int64_t task) const noexcept {
  const NormProblem<float>& p = problem_;
  const std::int64_t begin = task * rows_per_task_;
  NormTask args;  // NOLINT(cppcoreguidelines-pro-type-member-init): its arrays are filled as needed
  args.E = p.x.length();
  args.rows = static_cast<int>(std::min(rows_per_task_, p.x.count() - begin));
  args.takes_mean = p.kind == NormKind::layer;
  args.epsilon = p.epsilon;
  args.weight = data_of(p.weight);
  args.weight_feature = stride_of(p.weight);
  args.bias = data_of(p.bias);
  args.bias_feature = stride_of(p.bias);
  args.x_feature = p.x.stride();
  args.out_feature = p.out.stride();
  for (int row = 0; row < args.rows; ++row) {
    args.x[row] = p.x.data(begin + row);
    args.out[row] = p.out.data(begin + row);
    args.mean[row] = p.mean.is_null() ? nullptr : p.mean.data(begin + row);
    args.rstd[row] = p.rstd.is_null() ? nullptr : p.rstd.data(begin + row);
  }
  isa_.norm_forward(args);
}

void norm_backward_fused(const NormBackwardProblem<float>& p, const IsaFunctions& isa,
                         const RowInterval& rows, const NormSums& sums,
                         std::byte* scratch) noexcept {
  NormBackwardTask args;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled as needed
  args.E = p.x.length();
  args.takes_mean = p.kind == NormKind::layer;
  args.weight = data_of(p.weight);
  args.weight_feature = stride_of(p.weight);
  args.x_feature = p.x.stride();
  args.d_out_feature = p.d_out.stride();
  args.d_x_feature = p.d_x.stride();
  args.weight_sums = sums.weight.data();
  args.bias_sums = sums.bias.data();
  for (std::int64_t begin = rows.begin; begin < rows.end; begin += kMaxNormRows) {
    args.rows = static_cast<int>(std::min<std::int64_t>(kMaxNormRows, rows.end - begin));
    for (int row = 0; row < args.rows; ++row) {
      args.x[row] = p.x.data(begin + row);
      args.d_out[row] = p.d_out.data(begin + row);
      args.d_x[row] = p.d_x.data(begin + row);
      args.mean[row] = p.mean.is_null() ? 0.0F : *p.mean.data(begin + row);
      args.rstd[row] = *p.rstd.data(begin + row);
    }
    isa.norm_backward(args, scratch);
  }
}

}  // namespace attention::kernels
