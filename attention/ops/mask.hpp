#pragma once

#include <attention/core/sdpa_problem.hpp>
#include <attention/core/tensor.hpp>

namespace attention {

/// What blocks cells of the score matrix or adds to it. Made by name only, because the libraries of
/// the field disagree on what `true` means: `Mask::keep(m)` attends where m is true,
/// `Mask::block(m)` where it is false, `Mask::add(m)` adds m to the scores and blocks where it is
/// -inf.
///
/// Shapes broadcast to (B, H, L, S) from the right. A mask is a view: the tensor must outlive it.
///
/// See also: sdpa; docs/semantics.md, rule 1.
class ATTENTION_API Mask {
 public:
  /// Nothing is blocked.
  Mask() = default;

  /// True: attend. The meaning of torch.nn.functional.scaled_dot_product_attention, ONNX and JAX.
  static Mask keep(TensorView<const bool> mask) { return {MaskKind::keep, mask}; }
  /// True: blocked. The meaning of torch.nn.MultiheadAttention's masks.
  static Mask block(TensorView<const bool> mask) { return {MaskKind::block, mask}; }
  /// Added to the scores after scale and softcap; -inf blocks, the lowest finite number does not.
  static Mask add(TensorView<const float> mask) { return {MaskKind::add, mask}; }
  static Mask add(TensorView<const double> mask) { return {MaskKind::add, mask}; }
  static Mask add(TensorView<const float16> mask) { return {MaskKind::add, mask}; }
  static Mask add(TensorView<const bfloat16> mask) { return {MaskKind::add, mask}; }

  /// The same where kind and element type are known at run time. Throws Error unless the elements
  /// are bool for keep and block, floating-point for add; `none` takes a null view.
  static Mask of(MaskKind kind, const AnyView& view);

  /// A temporary would not outlive the mask.
  static Mask keep(Tensor<bool>&&) = delete;
  static Mask block(Tensor<bool>&&) = delete;
  template <class T>
  static Mask add(Tensor<T>&&) = delete;

  MaskKind kind() const noexcept { return kind_; }
  const AnyView& view() const noexcept { return view_; }

 private:
  Mask(MaskKind kind, const AnyView& view) : kind_(kind), view_(view) {}

  MaskKind kind_ = MaskKind::none;
  AnyView view_;
};

}  // namespace attention
