#pragma once

#include <attention/kernels/isa_functions.hpp>

/// Private to the sources of the instruction sets: what each of them defines, see
/// isa_functions.hpp.
namespace attention::kernels::ATTENTION_KERNEL_ISA {

void activation(const ActivationRun& run) noexcept;
void sdpa_forward(const SdpaTask& task, std::byte* scratch) noexcept;
std::size_t sdpa_forward_scratch(const SdpaHead& head, int panels) noexcept;
void sdpa_backward(const SdpaBackwardTask& task, std::byte* scratch) noexcept;
std::size_t sdpa_backward_scratch(const SdpaHead& head) noexcept;
void sdpa_decode(const SdpaTask& task, const SdpaPiece& piece, std::byte* scratch) noexcept;
void sdpa_decode_finish(const SdpaTask& task, const SdpaParts& parts, std::byte* scratch) noexcept;
std::size_t sdpa_decode_part(const SdpaHead& head, int rows) noexcept;
std::size_t sdpa_decode_scratch(const SdpaHead& head, int rows) noexcept;
void dropout(const DropoutTask& task) noexcept;
void linear(const LinearTask& task, std::byte* scratch) noexcept;
std::size_t linear_scratch(Element element, std::int64_t I, int rows) noexcept;
void softmax(const SoftmaxRow& row) noexcept;
void softmax_backward(const SoftmaxBackwardRow& row) noexcept;
void linear_backward(const LinearBackwardTask& task, std::byte* scratch) noexcept;
std::size_t linear_backward_scratch(std::int64_t columns) noexcept;
LogitsSums sum_logits(const LogitsTask& task) noexcept;
void logits_gradient(const LogitsGradientTask& task) noexcept;
void norm_forward(const NormTask& task) noexcept;
void norm_backward(const NormBackwardTask& task, std::byte* scratch) noexcept;
std::size_t norm_backward_scratch(std::int64_t E) noexcept;

}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
