#include <algorithm>

#include <attention/kernels/linear_blocked.hpp>

namespace attention::kernels {
namespace {

constexpr int kRows = static_cast<int>(kLinearBlockedRows);

/// One value per row of the panel.
struct Lanes {
  float at[kRows];
};

}  // namespace

std::size_t linear_blocked_scratch(std::int64_t in_features) noexcept {
  return static_cast<std::size_t>(in_features) * sizeof(Lanes);
}

template <class T>
void linear_blocked(const LinearProblem<T>& p, std::int64_t n_begin, std::byte* scratch) noexcept {
  auto* const rows = reinterpret_cast<Lanes*>(scratch);  // x^T of the panel
  const std::int64_t in_features = p.x.size(1);
  const auto count = static_cast<int>(std::min<std::int64_t>(kRows, p.x.size(0) - n_begin));
  for (std::int64_t i = 0; i < in_features; ++i) {
    for (int lane = 0; lane < kRows; ++lane) {
      rows[i].at[lane] = lane < count ? element_cast<float>(p.x(n_begin + lane, i)) : 0.0F;
    }
  }
  const std::int64_t step = p.weight.strides()[1];
  for (std::int64_t o = 0; o < p.weight.size(0); ++o) {
    const T* weight = p.weight.data() + o * p.weight.strides()[0];
    Lanes sum = {};
    for (std::int64_t i = 0; i < in_features; ++i) {
      const auto w = element_cast<float>(weight[i * step]);
      for (int lane = 0; lane < kRows; ++lane) {
        sum.at[lane] += rows[i].at[lane] * w;
      }
    }
    const float bias = p.bias.is_null() ? 0.0F : element_cast<float>(p.bias(o));
    for (int lane = 0; lane < count; ++lane) {
      p.out(n_begin + lane, o) = element_cast<T>(sum.at[lane] + bias);
    }
  }
}

template void linear_blocked(const LinearProblem<float>&, std::int64_t, std::byte*) noexcept;
template void linear_blocked(const LinearProblem<float16>&, std::int64_t, std::byte*) noexcept;
template void linear_blocked(const LinearProblem<bfloat16>&, std::int64_t, std::byte*) noexcept;

}  // namespace attention::kernels
