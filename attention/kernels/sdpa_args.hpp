#pragma once

#include <cstddef>
#include <cstdint>

#include <attention/kernels/dropout_args.hpp>

/// Private: what crosses the border to the code that is compiled once for each instruction set.
/// Plain structs of pointers, strides (in elements) and sizes; no template and no inline function
/// of another room, whose copies for a wide instruction set could end up in everybody's program.
namespace attention::kernels {

/// The 16-bit types by their bits.
struct Bfloat16 {
  std::uint16_t bits;
};
struct Float16 {
  std::uint16_t bits;
};

/// The element types of inputs and of additive masks.
enum class Element : std::uint8_t { f32, f64, bf16, f16 };

enum class MaskUse : std::uint8_t { none, keep, block, add };

/// Lanes that a panel has at most: the bits of a word, one for each.
inline constexpr int kMaxPanel = 64;

/// The rows of queries of one panel, one per lane. Rows are (query, head of the group) pairs that
/// share keys and values.
///
/// A panel that is not full has its rows in the last lanes, from `first`, a multiple of the step of
/// the instruction set. Lanes before `first` see no key; those past the last row copy it, and their
/// results are not stored. Neither key_begin nor key_end falls from lane to lane.
struct SdpaRows {
  int first;
  int count;
  const void* q[kMaxPanel];
  void* out[kMaxPanel];
  float* lse[kMaxPanel];              // null if not wanted
  float* maximum[kMaxPanel];          // null if not wanted
  float* weights[kMaxPanel];          // null if not wanted
  const void* mask[kMaxPanel];        // of key 0; null without a mask
  float position[kMaxPanel];          // key position at which the query stands, for ALiBi
  float slope[kMaxPanel];             // of ALiBi
  float sink[kMaxPanel];              // -inf: none
  std::uint32_t query[kMaxPanel];     // i and
  std::uint32_t head[kMaxPanel];      // b H + h, which name the row's random words
  std::int64_t key_begin[kMaxPanel];  // the row sees keys in [key_begin, key_end), less what the
  std::int64_t key_end[kMaxPanel];    // mask blocks
};

/// One head of keys and values, and how scores become weights.
struct SdpaHead {
  std::int64_t S;  // of the weights; keys past key_end are never read
  std::int64_t D;
  std::int64_t Dv;
  const void* k;
  const void* v;
  std::int64_t k_row;
  std::int64_t k_feature;
  std::int64_t v_row;
  std::int64_t v_feature;
  std::int64_t q_feature;
  std::int64_t out_feature;
  std::int64_t weights_key;
  std::int64_t mask_key;
  Element element;
  Element mask_element;  // of an additive mask
  MaskUse mask_use;
  bool has_alibi;
  bool has_sinks;
  bool has_weights;
  float scale;
  float softcap;        // 0: none
  DropoutRule dropout;  // of the weights, in the product with the values
};

/// Panels of queries that go through the keys of one head together.
struct SdpaTask {
  SdpaHead head;
  int panels;  // at most kMaxPanelsPerTask, 1 with weights
  const SdpaRows* rows;
};
inline constexpr int kMaxPanelsPerTask = 4;

/// One panel of the backward pass: its rows, of which `weights` name the places of the mask's
/// gradient, and what else belongs to them. Float only.
struct SdpaBackwardRows {
  SdpaRows rows;
  const float* out[kMaxPanel];
  const float* d_out[kMaxPanel];
  const float* lse[kMaxPanel];
  float* d_q[kMaxPanel];
  float d_sink[kMaxPanel];  // written: what the row adds to the gradient of its sink
  std::int64_t out_feature;
  std::int64_t d_out_feature;
};

/// A panel of queries through the keys of a head. Adds to the gradients of these keys and values;
/// writes those of the queries.
struct SdpaBackwardTask {
  SdpaHead head;
  SdpaBackwardRows* rows;
  float* d_k;
  float* d_v;
  std::int64_t d_k_row;
  std::int64_t d_v_row;
  std::int64_t d_q_feature;
};

/// A piece of the keys for the rows of a task of few queries, and where its partial results go:
/// sdpa_decode_part bytes, aligned to 64.
struct SdpaPiece {
  std::int64_t begin;
  std::int64_t end;
  std::byte* part;
};

/// The partial results of all pieces, `size` bytes apart.
struct SdpaParts {
  std::byte* data;
  std::int64_t count;
  std::int64_t size;
};

}  // namespace attention::kernels
