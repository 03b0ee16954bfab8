#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

/// The loops that the limits of this machine are measured with. They need nothing of the library.
namespace attention::bench {

/// A loop that does nothing but arithmetic.
struct ArithmeticLoop {
  /// As the library names the instruction set: "portable", "avx2", "avx512", "avx512_bf16".
  std::string_view isa;
  /// Operations of one call; it takes some ten microseconds.
  double operations;
  /// The operands must be numbers that the compiler cannot know; the returned sum keeps it from
  /// dropping the work.
  float (*run)(float factor, float addend);
};

/// A loop that does nothing but read.
struct ReadLoop {
  std::string_view isa;
  /// Reads every byte; the size is a multiple of kReadBlock.
  std::uint64_t (*run)(std::span<const std::byte> memory);
};

/// Bytes that one turn of a read loop takes: eight of the widest registers.
inline constexpr std::size_t kReadBlock = 512;

/// float32 multiply-add, one for each instruction set that this processor runs, the best last.
std::vector<ArithmeticLoop> multiply_add_loops();

/// The product of pairs of bfloat16 summed in float32 (VDPBF16PS), where the processor has it.
std::optional<ArithmeticLoop> bf16_dot_loop();

/// With the widest registers of this processor.
ReadLoop read_loop();

}  // namespace attention::bench
