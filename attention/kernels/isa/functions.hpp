#pragma once

#include <attention/kernels/isa_functions.hpp>

/// Private to the sources of the instruction sets: what each of them defines, see
/// isa_functions.hpp.
namespace attention::kernels::ATTENTION_KERNEL_ISA {

void sdpa_forward(const SdpaTask& task, std::byte* scratch) noexcept;
std::size_t sdpa_forward_scratch(const SdpaHead& head, int panels) noexcept;
void sdpa_backward(const SdpaBackwardTask& task, std::byte* scratch) noexcept;
std::size_t sdpa_backward_scratch(const SdpaHead& head) noexcept;
void sdpa_decode(const SdpaTask& task, const SdpaPiece& piece, std::byte* scratch) noexcept;
void sdpa_decode_finish(const SdpaTask& task, const SdpaParts& parts, std::byte* scratch) noexcept;
std::size_t sdpa_decode_part(const SdpaHead& head, int rows) noexcept;
std::size_t sdpa_decode_scratch(const SdpaHead& head, int rows) noexcept;
void linear(const LinearTask& task, std::byte* scratch) noexcept;
std::size_t linear_scratch(Element element, std::int64_t I, int rows) noexcept;

}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
