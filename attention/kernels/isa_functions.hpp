#pragma once

#include <cstddef>

#include <attention/kernels/activation_args.hpp>
#include <attention/kernels/cross_entropy_args.hpp>
#include <attention/kernels/dropout_args.hpp>
#include <attention/kernels/linear_args.hpp>
#include <attention/kernels/linear_backward_args.hpp>
#include <attention/kernels/norm_args.hpp>
#include <attention/kernels/sdpa_args.hpp>
#include <attention/kernels/softmax_args.hpp>

namespace attention::kernels {

/// What the sources in isa/ offer, compiled for one instruction set.
struct IsaFunctions {
  /// Rows in a panel; the first row of one that is not full lies at a multiple of `row_step`.
  int panel_rows;
  int row_step;
  /// Keys of a block: blocks begin at its multiples.
  int block_keys;

  /// The activation, or its way back, of the elements of a run.
  void (*activation)(const ActivationRun& run) noexcept;

  /// Attention of the rows of a task. `scratch` holds sdpa_forward_scratch bytes, aligned to 64.
  void (*sdpa_forward)(const SdpaTask& task, std::byte* scratch) noexcept;
  /// Of the head, the sizes, the types, mask_use and has_weights count.
  std::size_t (*sdpa_forward_scratch)(const SdpaHead& head, int panels) noexcept;

  /// Attention of the rows of one panel that holds few of them, its first lanes, to one piece of
  /// the keys; all pieces together give the results. `scratch` holds sdpa_decode_scratch bytes,
  /// aligned to 64. Of a head, the sizes count.
  void (*sdpa_decode)(const SdpaTask& task, const SdpaPiece& piece, std::byte* scratch) noexcept;
  void (*sdpa_decode_finish)(const SdpaTask& task, const SdpaParts& parts,
                             std::byte* scratch) noexcept;
  std::size_t (*sdpa_decode_part)(const SdpaHead& head, int rows) noexcept;
  std::size_t (*sdpa_decode_scratch)(const SdpaHead& head, int rows) noexcept;

  /// The backward pass of a panel. `scratch` holds sdpa_backward_scratch bytes, aligned to 64. Of a
  /// head, the sizes, mask_use, softcap and whether it has dropout count.
  void (*sdpa_backward)(const SdpaBackwardTask& task, std::byte* scratch) noexcept;
  std::size_t (*sdpa_backward_scratch)(const SdpaHead& head) noexcept;

  void (*dropout)(const DropoutTask& task) noexcept;

  /// The rows and outputs of a task. `scratch` holds linear_scratch bytes, aligned to 64.
  void (*linear)(const LinearTask& task, std::byte* scratch) noexcept;
  std::size_t (*linear_scratch)(Element element, std::int64_t I, int rows) noexcept;

  /// One row.
  void (*softmax)(const SoftmaxRow& row) noexcept;
  void (*softmax_backward)(const SoftmaxBackwardRow& row) noexcept;
  /// A product of the backward pass of linear. `scratch` holds linear_backward_scratch bytes for at
  /// least so many columns, aligned to 64.
  void (*linear_backward)(const LinearBackwardTask& task, std::byte* scratch) noexcept;
  std::size_t (*linear_backward_scratch)(std::int64_t columns) noexcept;
  /// Of cross entropy: what the loss of a row is made of, and the gradient of a row.
  LogitsSums (*sum_logits)(const LogitsTask& task) noexcept;
  void (*logits_gradient)(const LogitsGradientTask& task) noexcept;
  /// The rows of a task of layer_norm or rms_norm, forward and backward. `scratch` holds
  /// norm_backward_scratch bytes, aligned to 64.
  void (*norm_forward)(const NormTask& task) noexcept;
  void (*norm_backward)(const NormBackwardTask& task, std::byte* scratch) noexcept;
  std::size_t (*norm_backward_scratch)(std::int64_t E) noexcept;
};

}  // namespace attention::kernels
