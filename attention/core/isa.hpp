#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <attention/core/export.hpp>

namespace attention {

/// The instruction sets that attention tells apart, from the one that every machine has upwards.
enum class Isa { portable, neon, avx2, avx512, avx512_bf16 };

/// "portable", "avx2", ...
ATTENTION_API std::string_view name_of(Isa isa) noexcept;

/// The instruction set of this name; none for another word.
ATTENTION_API std::optional<Isa> isa_of_name(std::string_view name) noexcept;

/// What this processor and its operating system offer, the best last; `portable` is always among
/// them.
ATTENTION_API std::vector<Isa> isas_of_this_cpu();

/// The processor's name as it states it, or "unknown".
ATTENTION_API std::string cpu_name();

}  // namespace attention
