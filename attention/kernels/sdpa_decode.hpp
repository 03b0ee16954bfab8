#pragma once

#include <cstddef>
#include <cstdint>

#include <attention/core/parallel.hpp>
#include <attention/core/sdpa_problem.hpp>
#include <attention/kernels/isa_functions.hpp>

namespace attention::kernels {

/// Queries of a head up to which keys and values are streamed; by L alone, so that no other size
/// changes a bit.
inline constexpr std::int64_t kMostDecodeQueries = 4;

/// The pieces that the keys are cut into; by S alone, for the same reason.
struct KeyPieces {
  std::int64_t keys;  // of each but the last
  std::int64_t count;

  explicit KeyPieces(std::int64_t S) noexcept;
};

/// A problem with few queries a head, cut into tasks for the kernels of one instruction set. A task
/// is some rows of one head of keys and all of its keys, or, where there are not enough heads for
/// the threads, one piece of them; then `finish` merges the pieces in a second round.
///
/// Read on with isa/sdpa_decode.cpp. Instantiated for float, float16 and bfloat16.
template <class T>
class SdpaDecode {
 public:
  /// The scratch of each worker: scratch_size bytes, aligned to 64.
  using ScratchOf = FunctionRef<std::byte*(int worker)>;

  SdpaDecode(const SdpaProblem<T>& problem, const IsaFunctions& isa, int threads) noexcept;

  std::int64_t tasks() const noexcept { return shares_heads_ ? groups_ * pieces_.count : groups_; }
  void run(std::int64_t task, int worker, const ScratchOf& scratch_of) const noexcept;
  /// The tasks of the second round.
  std::int64_t merges() const noexcept { return shares_heads_ ? groups_ : 0; }
  void merge(std::int64_t group, int worker, const ScratchOf& scratch_of) const noexcept;

  std::size_t scratch_size() const noexcept;

 private:
  std::byte* parts_of(std::int64_t group, const ScratchOf& scratch_of) const noexcept;
  SdpaTask fill(std::int64_t group, SdpaRows& rows) const noexcept;
  SdpaPiece piece(std::int64_t index, std::byte* parts) const noexcept;

  const SdpaProblem<T>& problem_;
  const IsaFunctions& isa_;
  KeyPieces pieces_;
  std::int64_t rows_;             // of a head of keys
  std::int64_t groups_per_head_;  // of at most kMostDecodeRows
  std::int64_t groups_;
  bool shares_heads_;
  std::size_t work_size_;
  std::size_t part_size_;
};

/// The scratch that each worker needs at most for a problem of these sizes, whatever its options.
template <class T>
std::size_t sdpa_decode_scratch(const IsaFunctions& isa, const SdpaProblem<T>& sizes) noexcept;

}  // namespace attention::kernels
