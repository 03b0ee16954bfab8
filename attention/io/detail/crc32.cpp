#include <array>

#include <attention/io/detail/bytes.hpp>
#include <attention/io/detail/crc32.hpp>

namespace attention::io::detail {
namespace {

using Table = std::array<std::uint32_t, 256>;

/// tables[0][b] is the effect of byte b at the end; tables[n][b] of one with n bytes after it, so
/// that eight bytes are eight independent look-ups.
constexpr std::array<Table, 8> make_tables() {
  std::array<Table, 8> tables = {};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0xEDB88320U : 0U);
    }
    tables[0][byte] = crc;
  }
  for (std::size_t n = 1; n < tables.size(); ++n) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[n - 1][byte];
      tables[n][byte] = (before >> 8) ^ tables[0][before & 0xFFU];
    }
  }
  return tables;
}

constexpr std::array<Table, 8> kTables = make_tables();

}  // namespace

std::uint32_t crc32(std::uint32_t crc, std::span<const std::byte> bytes) noexcept {
  crc = ~crc;
  for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
    const std::uint64_t word = load_little_endian<std::uint64_t>(bytes.data()) ^ crc;
    crc = 0;
    for (std::size_t n = 0; n < 8; ++n) {
      crc ^= kTables[7 - n][(word >> (8 * n)) & 0xFFU];
    }
  }
  for (const std::byte byte : bytes) {
    crc = (crc >> 8) ^ kTables[0][(crc ^ std::to_integer<std::uint32_t>(byte)) & 0xFFU];
  }
  return ~crc;
}

}  // namespace attention::io::detail
