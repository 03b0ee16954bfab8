#pragma once

// Private to the io room: not for users, not installed.

#include <cstddef>
#include <cstdint>
#include <span>

namespace attention::io::detail {

/// The CRC-32 of zip (polynomial 0xEDB88320, reflected) of more bytes after those that gave `crc`;
/// 0 starts. The same code with and without zlib.
std::uint32_t crc32(std::uint32_t crc, std::span<const std::byte> bytes) noexcept;

}  // namespace attention::io::detail
