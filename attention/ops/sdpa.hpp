#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include <attention/core/error.hpp>
#include <attention/core/execution.hpp>
#include <attention/core/export.hpp>
#include <attention/core/tensor.hpp>
#include <attention/ops/mask.hpp>

/// The front door: scaled dot-product attention.
///
/// Read on with reference/sdpa.hpp, the definition, and kernels/isa/sdpa_forward.cpp, the same
/// passes made fast.
namespace attention {

/// Where the queries stand among the keys: query i stands at key position i + offset. Causality,
/// windows and ALiBi all count from there. Has to be named when L != S, because the libraries of
/// the field disagree on it.
class ATTENTION_API Alignment {
 public:
  /// Not named: offset 0, an error if L != S and something counts from it.
  Alignment() = default;
  /// Offset 0: the first query at the first key. As
  /// torch.nn.functional.scaled_dot_product_attention.
  static Alignment top_left() noexcept { return {Kind::fixed, 0}; }
  /// Offset key_length[b] - L (S - L without key lengths): the last query at the last key; may be
  /// negative. As FlashAttention.
  static Alignment bottom_right() noexcept { return {Kind::bottom_right, 0}; }
  /// A given offset: the number of keys before the first query, as in a KV cache.
  static Alignment at(std::int64_t offset) noexcept { return {Kind::fixed, offset}; }

  bool is_named() const noexcept { return kind_ != Kind::unnamed; }
  bool is_bottom_right() const noexcept { return kind_ == Kind::bottom_right; }
  std::int64_t offset() const noexcept { return offset_; }

 private:
  enum class Kind : std::uint8_t { unnamed, fixed, bottom_right };
  Alignment(Kind kind, std::int64_t offset) noexcept : kind_(kind), offset_(offset) {}

  Kind kind_ = Kind::unnamed;
  std::int64_t offset_ = 0;
};

/// A query at position p sees the keys [p - left, p + right], ends included; -1: no bound on that
/// side.
struct Window {
  std::int64_t left = -1;
  std::int64_t right = -1;
};

/// Dropout of weights: each weight counts as 0 with this probability, in [0, 1], else 1 / (1 -
/// probability) times. `seed` and `call`, the number of this call among those with one seed, name
/// the mask: for the backward pass, give those of the forward pass; for another layer or another
/// step, another number. See random::DropoutMask.
struct SdpaDropout {
  double probability = 0;
  std::uint64_t seed = 0;
  std::uint64_t call = 0;
};

/// The options of sdpa. All of them compose. Tensors are views: what they name must outlive the
/// call.
struct SdpaOptions {
  /// Broadcast to (B, H, L, S).
  Mask mask = {};
  /// Key j is visible to query i if j <= i + offset.
  bool causal = false;
  Alignment alignment = {};
  Window window = {};
  /// (B), int32 or int64, in [0, S]: keys at or past a batch entry's length are blocked, and never
  /// read.
  AnyView key_lengths = {};
  /// scores = softcap * tanh(scores / softcap) for a softcap > 0; 0 is none.
  double softcap = 0.0;
  /// (H), float32 or float64: adds -slope[h] * |i + offset - j| to the scores (ALiBi).
  AnyView alibi_slopes = {};
  /// (H), float32 or float64: a logit that takes part in the softmax of every row, and has no
  /// value.
  AnyView sinks = {};
  /// Multiplies q k^T; 1 / sqrt(D) unless given.
  std::optional<double> scale = {};
  /// After the softmax, of what is multiplied with v: lse, maxima and returned weights are those
  /// without.
  SdpaDropout dropout = {};
  /// Ask for the weights and for the maxima in the result of sdpa. (sdpa_into writes them where its
  /// outputs name a place.)
  bool return_weights = false;
  bool return_maximum = false;
  /// Ask sdpa_backward for the gradient of an additive mask.
  bool return_mask_gradient = false;
  Execution execution = {};
};

/// What sdpa returns.
template <class T>
struct SdpaResult {
  /// (B, H, L, Dv).
  Tensor<T> out;
  /// (B, H, L): the natural logarithm of the softmax's denominator.
  Tensor<Accumulator<T>> lse;
  /// (B, H, L) if asked for, else null: the largest score of the row, its sink among them; NaN is
  /// not counted. -inf for a row without any.
  Tensor<Accumulator<T>> maximum;
  /// (B, H, L, S) if asked for, else null: after the softmax, before any dropout.
  Tensor<Accumulator<T>> weights;
  /// The path, and the instruction set of its kernels, that computed them.
  Taken taken = {};
};

/// Where sdpa_into writes: views of any strides. All but `out` may be null.
template <class T>
struct SdpaOutputs {
  TensorView<T> out;
  TensorView<Accumulator<T>> lse = {};
  TensorView<Accumulator<T>> maximum = {};
  TensorView<Accumulator<T>> weights = {};
};

/// The sizes of a problem, for sdpa_workspace_size.
struct SdpaSize {
  std::int64_t B = 1;
  std::int64_t H = 1;
  std::int64_t Hkv = 1;
  std::int64_t L = 0;
  std::int64_t S = 0;
  std::int64_t D = 0;
  std::int64_t Dv = 0;
  DType dtype = DType::float32;
};

/// Computes scaled dot-product attention.
///
///   scores  = scale * q k^T  -> softcap -> + ALiBi + additive mask, blocked cells out
///   lse     = log(sum_j exp(scores[j]) [+ exp(sink)])
///   weights = exp(scores - lse),  out = dropout(weights) v
///
/// Shapes: q (B, H, L, D), k (B, Hkv, S, D), v (B, Hkv, S, Dv) -> out (B, H, L, Dv), lse (B, H, L),
/// weights (B, H, L, S). H is a multiple of Hkv; query head h uses key head h / (H / Hkv). Any
/// strides, read in place.
///
/// Edge rules: a row that sees no key gives out 0, weights 0 and lse -inf (the sink's logit, if
/// there is one). Nothing of a blocked cell, NaN included, reaches any result; a NaN in a visible
/// cell stays NaN in exactly the rows that see it. Empty B, L, S and D are legal: S = 0 gives 0 and
/// -inf, D = 0 makes every score 0. The 16-bit types accumulate in float32; weights and lse are
/// double for double, else float32. The same bits for any number of threads and any composition of
/// the batch.
///
/// Dropout: whether a weight is dropped follows from the options of dropout, b H + h, i and j
/// alone. So a batch entry has its mask by its place in the batch, and a prompt in chunks, whose
/// queries are counted from 0 in each call, another one than the whole. A value whose weight is
/// dropped is selected away, NaN included; a NaN among the scores makes the row NaN, whatever is
/// dropped. With a probability of 1 every other row is 0.
///
/// Cost: 2 B H L S (D + Dv) operations; with L <= 4, reading the keys and values once. Memory
/// beyond the results: O(D + Dv) a thread on the fused path, O(S) a thread on the reference path;
/// the matrix of weights exists only if asked for. Dropout costs 5 multiplications of words a cell.
///
/// Throws Error when shapes, element types or options break a rule, or the path asked for cannot
/// serve.
///
/// Source: Vaswani et al. 2017, "Attention Is All You Need", section 3.2.1. See also:
/// docs/semantics.md; reference::sdpa; nn::ScaledDotProductAttention.
ATTENTION_API SdpaResult<float> sdpa(TensorView<const float> q, TensorView<const float> k,
                                     TensorView<const float> v, const SdpaOptions& options = {});
ATTENTION_API SdpaResult<double> sdpa(TensorView<const double> q, TensorView<const double> k,
                                      TensorView<const double> v, const SdpaOptions& options = {});
ATTENTION_API SdpaResult<float16> sdpa(TensorView<const float16> q, TensorView<const float16> k,
                                       TensorView<const float16> v,
                                       const SdpaOptions& options = {});
ATTENTION_API SdpaResult<bfloat16> sdpa(TensorView<const bfloat16> q, TensorView<const bfloat16> k,
                                        TensorView<const bfloat16> v,
                                        const SdpaOptions& options = {});

/// The same, written into the caller's views, with scratch from the caller: allocates nothing.
/// Returns the path and the instruction set taken.
///
/// `workspace` holds sdpa_workspace_size bytes, of any alignment. `options.return_weights` and
/// `options.return_maximum` are not looked at.
///
/// Throws Error as sdpa does, and when an output has another shape, overlaps itself, an input or
/// another output, or when the workspace is too small. Nothing has been written then.
ATTENTION_API Taken sdpa_into(const SdpaOutputs<float>& outputs, TensorView<const float> q,
                              TensorView<const float> k, TensorView<const float> v,
                              const SdpaOptions& options, std::span<std::byte> workspace);
ATTENTION_API Taken sdpa_into(const SdpaOutputs<double>& outputs, TensorView<const double> q,
                              TensorView<const double> k, TensorView<const double> v,
                              const SdpaOptions& options, std::span<std::byte> workspace);
ATTENTION_API Taken sdpa_into(const SdpaOutputs<float16>& outputs, TensorView<const float16> q,
                              TensorView<const float16> k, TensorView<const float16> v,
                              const SdpaOptions& options, std::span<std::byte> workspace);
ATTENTION_API Taken sdpa_into(const SdpaOutputs<bfloat16>& outputs, TensorView<const bfloat16> q,
                              TensorView<const bfloat16> k, TensorView<const bfloat16> v,
                              const SdpaOptions& options, std::span<std::byte> workspace);

/// The number of queries whose multiples a prompt may be cut into: a prefill in chunks of multiples
/// of it, each over the keys up to its end or over all of them, gives the bits of the whole.
///
/// The last chunk is what remains. Should that be 4 queries or fewer, it is computed as a step of
/// decoding is, which streams the keys and equals the whole within the error bar, not in bits.
ATTENTION_API std::int64_t prefill_multiple() noexcept;

/// The bytes of workspace that sdpa_into needs for a problem of this size, on this path and number
/// of threads.
///
/// Throws Error when a size is negative, the dtype is not a floating one, or the path cannot serve
/// the dtype.
ATTENTION_API std::size_t sdpa_workspace_size(const SdpaSize& size,
                                              const Execution& execution = {});

}  // namespace attention
