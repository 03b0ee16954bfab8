#include <algorithm>

#include <attention/kernels/element_of.hpp>
#include <attention/kernels/sdpa_decode.hpp>
#include <attention/kernels/sdpa_rows.hpp>

namespace attention::kernels {
namespace {

constexpr int kMostDecodeRows = 16;
constexpr std::int64_t kFewestKeys = 512;
constexpr std::int64_t kMostPieces = 32;
constexpr std::int64_t kKeysStep = 128;  // blocks of keys begin at its multiples
/// Heads for each thread that keep the threads busy to the end.
constexpr std::int64_t kGroupsPerThread = 4;

std::int64_t divided_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

}  // namespace

KeyPieces::KeyPieces(std::int64_t S) noexcept
    : keys(std::max(kFewestKeys, divided_up(divided_up(S, kMostPieces), kKeysStep) * kKeysStep)),
      count(std::max<std::int64_t>(divided_up(S, keys), 1)) {}

template <class T>
SdpaDecode<T>::SdpaDecode(const SdpaProblem<T>& problem, const IsaFunctions& isa,
                          int threads) noexcept
    : problem_(problem),
      isa_(isa),
      pieces_(problem.S),
      rows_(problem.Hkv == 0 ? 0 : problem.L * problem.H / problem.Hkv),
      groups_per_head_(divided_up(rows_, kMostDecodeRows)),
      groups_(problem.B * problem.Hkv * groups_per_head_),
      shares_heads_(pieces_.count > 1 && threads > 1 && groups_ < kGroupsPerThread * threads) {
  SdpaHead head = {};
  head.S = problem.S;
  head.D = problem.D;
  head.Dv = problem.Dv;
  const auto rows = static_cast<int>(std::min<std::int64_t>(rows_, kMostDecodeRows));
  work_size_ = isa.sdpa_decode_scratch(head, rows);
  part_size_ = isa.sdpa_decode_part(head, rows);
}

template <class T>
std::size_t SdpaDecode<T>::scratch_size() const noexcept {
  const std::int64_t groups = shares_heads_ ? std::min(groups_, kGroupsPerThread) : 1;
  return work_size_ + static_cast<std::size_t>(groups * pieces_.count) * part_size_;
}

template <class T>
std::byte* SdpaDecode<T>::parts_of(std::int64_t group, const ScratchOf& scratch_of) const noexcept {
  return scratch_of(static_cast<int>(group / kGroupsPerThread)) + work_size_ +
         static_cast<std::size_t>(group % kGroupsPerThread * pieces_.count) * part_size_;
}

template <class T>
SdpaTask SdpaDecode<T>::fill(std::int64_t group, SdpaRows& rows) const noexcept {
  const std::int64_t head = group / groups_per_head_;
  const std::int64_t begin = group % groups_per_head_ * kMostDecodeRows;
  const std::int64_t b = head / problem_.Hkv;
  const std::int64_t h_kv = head % problem_.Hkv;
  const auto count = static_cast<int>(std::min<std::int64_t>(kMostDecodeRows, rows_ - begin));
  fill_rows(
      problem_,
      {.b = b, .h_kv = h_kv, .begin = begin, .count = count, .first_lane = 0, .end_lane = count},
      rows);
  return {.head = sdpa_head(problem_, b, h_kv), .panels = 1, .rows = &rows};
}

template <class T>
SdpaPiece SdpaDecode<T>::piece(std::int64_t index, std::byte* parts) const noexcept {
  return {.begin = index * pieces_.keys,
          .end = std::min((index + 1) * pieces_.keys, problem_.S),
          .part = parts + static_cast<std::size_t>(index) * part_size_};
}

template <class T>
void SdpaDecode<T>::run(std::int64_t task, int worker, const ScratchOf& scratch_of) const noexcept {
  SdpaRows rows;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled as needed
  std::byte* const scratch = scratch_of(worker);
  if (shares_heads_) {
    const std::int64_t group = task / pieces_.count;
    isa_.sdpa_decode(fill(group, rows), piece(task % pieces_.count, parts_of(group, scratch_of)),
                     scratch);
    return;
  }
  const SdpaTask filled = fill(task, rows);
  std::byte* const parts = scratch + work_size_;
  for (std::int64_t index = 0; index < pieces_.count; ++index) {
    isa_.sdpa_decode(filled, piece(index, parts), scratch);
  }
  isa_.sdpa_decode_finish(
      filled,
      {.data = parts, .count = pieces_.count, .size = static_cast<std::int64_t>(part_size_)},
      scratch);
}

template <class T>
void SdpaDecode<T>::merge(std::int64_t group, int worker,
                          const ScratchOf& scratch_of) const noexcept {
  SdpaRows rows;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled as needed
  isa_.sdpa_decode_finish(fill(group, rows),
                          {.data = parts_of(group, scratch_of),
                           .count = pieces_.count,
                           .size = static_cast<std::int64_t>(part_size_)},
                          scratch_of(worker));
}

template <class T>
std::size_t sdpa_decode_scratch(const IsaFunctions& isa, const SdpaProblem<T>& sizes) noexcept {
  constexpr int kManyThreads = 1 << 20;  // as if they shared the heads
  return std::max(SdpaDecode<T>(sizes, isa, 1).scratch_size(),
                  SdpaDecode<T>(sizes, isa, kManyThreads).scratch_size());
}

template class SdpaDecode<float>;
template class SdpaDecode<float16>;
template class SdpaDecode<bfloat16>;
template std::size_t sdpa_decode_scratch(const IsaFunctions&, const SdpaProblem<float>&) noexcept;
template std::size_t sdpa_decode_scratch(const IsaFunctions&, const SdpaProblem<float16>&) noexcept;
template std::size_t sdpa_decode_scratch(const IsaFunctions&,
                                         const SdpaProblem<bfloat16>&) noexcept;

}  // namespace attention::kernels
