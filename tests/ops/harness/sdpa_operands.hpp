#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include <attention/ops/sdpa.hpp>

#include "float64_sdpa.hpp"
#include "sdpa_case.hpp"
#include "strided_buffer.hpp"

namespace attention::tests {

/// The elements of a view in row-major order, as double.
std::vector<double> widened(const AnyView& view);

/// A case with its values: in strided buffers of their element types as the library reads them, and
/// dense as the judges do.
template <class T>
class SdpaOperands {
 public:
  explicit SdpaOperands(const SdpaCase& c);

  TensorView<const T> q() { return q_.view(); }
  TensorView<const T> k() { return k_.view(); }
  TensorView<const T> v() { return v_.view(); }
  /// With views of this object's buffers.
  SdpaOptions options(const Taken& way);
  const DenseProblem& dense() const noexcept { return dense_; }

 private:
  using AnyBuffer =
      std::variant<std::monostate, StridedBuffer<bool>, StridedBuffer<float>, StridedBuffer<double>,
                   StridedBuffer<float16>, StridedBuffer<bfloat16>, StridedBuffer<std::int32_t>,
                   StridedBuffer<std::int64_t>>;

  void fill_q_k_v();
  /// Scales what the content says to the ends of the type's range.
  void make_extreme();
  void fill_mask();
  void fill_vectors();
  /// Overwrites what no row sees.
  void poison();
  /// Puts `count` special values anywhere.
  void scatter_special(int count);
  double special_value();
  void widen_inputs();

  Draws draws_;
  DenseProblem dense_;
  StridedBuffer<T> q_;
  StridedBuffer<T> k_;
  StridedBuffer<T> v_;
  AnyBuffer mask_;
  AnyBuffer key_lengths_;
  AnyBuffer slopes_;
  AnyBuffer sinks_;
};

}  // namespace attention::tests
