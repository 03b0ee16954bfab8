#pragma once

#include <optional>
#include <span>

#include <attention/core/isa.hpp>
#include <attention/kernels/isa_functions.hpp>

namespace attention::kernels {

/// The fused kernels of one instruction set.
struct IsaKernels {
  Isa isa;
  const IsaFunctions* functions;
};

/// Those that were compiled and that this processor can run, the best last. Never empty.
std::span<const IsaKernels> usable_isas();

}  // namespace attention::kernels
