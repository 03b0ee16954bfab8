#include <array>
#include <type_traits>

#include <attention/kernels/sdpa_blocked.hpp>
#include <attention/ops/detail/sdpa_paths.hpp>
#include <attention/reference/sdpa.hpp>

namespace attention::detail {
namespace {

using JudgedKey = reference::VisibleKey<double>;

template <class T>
void run_reference(const SdpaProblem<T>& problem, std::int64_t b, std::int64_t h,
                   std::int64_t i_begin, std::int64_t count, std::byte* scratch) {
  for (std::int64_t i = i_begin; i < i_begin + count; ++i) {
    reference::sdpa_row(problem, b, h, i, reinterpret_cast<JudgedKey*>(scratch));
  }
}

template <class T>
constexpr SdpaPath<T> kReference = {
    .path = Path::reference,
    .queries_per_task = 4,
    .scratch_size =
        [](const SdpaSize& size) { return static_cast<std::size_t>(size.S) * sizeof(JudgedKey); },
    .run = run_reference<T>};

template <class T>
constexpr SdpaPath<T> kBlocked = {
    .path = Path::blocked,
    .queries_per_task = kernels::kSdpaBlockedQueries,
    .scratch_size =
        [](const SdpaSize& size) { return kernels::sdpa_blocked_scratch(size.D, size.Dv); },
    .run = kernels::sdpa_blocked<T>};

}  // namespace

template <class T>
std::span<const SdpaPath<T>> sdpa_paths() {
  static constexpr std::array<SdpaPath<T>, 2> kPaths = {kBlocked<T>, kReference<T>};
  return kPaths;
}

template <>
std::span<const SdpaPath<double>> sdpa_paths() {
  static constexpr std::array<SdpaPath<double>, 1> kPaths = {kReference<double>};
  return kPaths;
}

template std::span<const SdpaPath<float>> sdpa_paths();
template std::span<const SdpaPath<float16>> sdpa_paths();
template std::span<const SdpaPath<bfloat16>> sdpa_paths();

}  // namespace attention::detail
