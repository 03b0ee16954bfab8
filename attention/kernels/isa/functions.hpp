#pragma once

#include <attention/kernels/isa_functions.hpp>

/// Private to the sources of the instruction sets: what each of them defines, see
/// isa_functions.hpp.
namespace attention::kernels::ATTENTION_KERNEL_ISA {

void sdpa_forward(const SdpaTask& task, std::byte* scratch) noexcept;
std::size_t sdpa_forward_scratch(const SdpaHead& head, int panels) noexcept;
void linear(const LinearTask& task, std::byte* scratch) noexcept;
std::size_t linear_scratch(Element element, std::int64_t I, int rows) noexcept;

}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
