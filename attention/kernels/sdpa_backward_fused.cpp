#include <algorithm>

#include <attention/kernels/sdpa_backward_fused.hpp>
#include <attention/kernels/sdpa_rows.hpp>

namespace attention::kernels {
namespace {

/// The head as the kernel receives it; its weights are the gradients of the mask.
SdpaHead head_of(const SdpaBackwardProblem<float>& problem, std::int64_t b, std::int64_t h_kv) {
  SdpaHead head = sdpa_head(problem.forward, b, h_kv);
  head.has_weights = !problem.d_mask.is_null();
  head.weights_key = head.has_weights ? problem.d_mask_strides[3] : 0;
  return head;
}

void fill_with_zeros(TensorView<float> matrix) {
  for (std::int64_t n = 0; n < matrix.size(0); ++n) {
    for (std::int64_t c = 0; c < matrix.size(1); ++c) {
      matrix(n, c) = 0.0F;
    }
  }
}

}  // namespace

SdpaBackwardFused::SdpaBackwardFused(const SdpaBackwardProblem<float>& problem,
                                     const IsaFunctions& isa, std::span<double> sink_sums) noexcept
    : problem_(problem), isa_(isa), sink_sums_(sink_sums) {}

std::int64_t SdpaBackwardFused::tasks() const noexcept {
  return problem_.forward.B * problem_.forward.Hkv;
}

std::size_t SdpaBackwardFused::scratch_size() const noexcept {
  return isa_.sdpa_backward_scratch(head_of(problem_, 0, 0));
}

void SdpaBackwardFused::run(std::int64_t task, std::byte* scratch) const noexcept {
  const SdpaProblem<float>& p = problem_.forward;
  const std::int64_t b = task / p.Hkv;
  const std::int64_t h_kv = task % p.Hkv;
  const std::int64_t group = p.H / p.Hkv;
  const TensorView<float> d_k = problem_.d_k.select(0, b).select(0, h_kv);
  const TensorView<float> d_v = problem_.d_v.select(0, b).select(0, h_kv);
  fill_with_zeros(d_k);
  fill_with_zeros(d_v);
  SdpaBackwardRows rows;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled panel by panel
  rows.out_feature = problem_.out.strides()[3];
  rows.d_out_feature = problem_.d_out.strides()[3];
  const SdpaBackwardTask args = {.head = head_of(problem_, b, h_kv),
                                 .rows = &rows,
                                 .d_k = d_k.data(),
                                 .d_v = d_v.data(),
                                 .d_k_row = d_k.strides()[0],
                                 .d_v_row = d_v.strides()[0],
                                 .d_q_feature = problem_.d_q.strides()[3]};
  const std::int64_t all_rows = p.L * group;
  for (std::int64_t begin = 0; begin < all_rows; begin += isa_.panel_rows) {
    const auto count = static_cast<int>(std::min<std::int64_t>(isa_.panel_rows, all_rows - begin));
    const int steps = (count + isa_.row_step - 1) / isa_.row_step;
    const RowRange range = {.b = b,
                            .h_kv = h_kv,
                            .begin = begin,
                            .count = count,
                            .first_lane = isa_.panel_rows - steps * isa_.row_step,
                            .end_lane = isa_.panel_rows};
    fill_rows(p, range, rows.rows);
    fill_lanes(problem_.out, range, group, rows.out);
    fill_lanes(problem_.d_out, range, group, rows.d_out);
    fill_lanes(problem_.lse, range, group, rows.lse);
    fill_lanes(problem_.d_q, range, group, rows.d_q);
    if (args.head.has_weights) {
      const TensorView<float> d_mask(
          problem_.d_mask.data(),
          Layout{.shape = {p.B, p.H, p.L, p.S}, .strides = problem_.d_mask_strides});
      fill_lanes(d_mask, range, group, rows.rows.weights);
    }
    isa_.sdpa_backward(args, scratch);
    if (args.head.has_sinks) {
      add_sinks(b, h_kv, begin, rows);
    }
  }
}

void SdpaBackwardFused::add_sinks(std::int64_t b, std::int64_t h_kv, std::int64_t begin,
                                  const SdpaBackwardRows& rows) const noexcept {
  const SdpaProblem<float>& p = problem_.forward;
  const std::int64_t group = p.H / p.Hkv;
  for (int n = 0; n < rows.rows.count; ++n) {
    const std::int64_t h = h_kv * group + (begin + n) % group;
    sink_sums_[static_cast<std::size_t>(b * p.H + h)] +=
        static_cast<double>(rows.d_sink[rows.rows.first + n]);
  }
}

}  // namespace attention::kernels
