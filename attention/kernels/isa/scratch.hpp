#pragma once

#include <cstddef>

#include <attention/kernels/isa/simd.hpp>

/// Private to the sources of the instruction sets.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

/// Gives out scratch, in pieces of whole cache lines; from a null base it only counts.
class Scratch {
 public:
  explicit Scratch(std::byte* base) : base_(base) {}
  template <class T>
  T* take(Index count) {
    auto* const piece = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + used_);
    used_ += (count * static_cast<Index>(sizeof(T)) + 63) / 64 * 64;
    return piece;
  }
  Index used() const { return used_; }

 private:
  std::byte* base_;
  Index used_ = 0;
};

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
