#pragma once

// Private to the io room: not for users, not installed.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <attention/io/detail/bytes.hpp>

/// The numbers of the zip format, as in PKWARE's APPNOTE.TXT, sections 4.3 to 4.5.
namespace attention::io::detail::zip {

inline constexpr std::uint32_t kLocalSignature = 0x04034B50;
inline constexpr std::uint32_t kCentralSignature = 0x02014B50;
inline constexpr std::uint32_t kEndSignature = 0x06054B50;
inline constexpr std::uint32_t kEnd64Signature = 0x06064B50;
inline constexpr std::uint32_t kLocator64Signature = 0x07064B50;

// The sizes of the records without their names, extra fields and comments.
inline constexpr std::int64_t kLocalBytes = 30;
inline constexpr std::int64_t kCentralBytes = 46;
inline constexpr std::int64_t kEndBytes = 22;
inline constexpr std::int64_t kEnd64Bytes = 56;
inline constexpr std::int64_t kLocator64Bytes = 20;

inline constexpr std::uint16_t kStored = 0;
inline constexpr std::uint16_t kDeflated = 8;

inline constexpr std::uint16_t kEncryptedFlags = 0x2041;  // bits 0, 6 and 13
inline constexpr std::uint16_t kDescriptorFlag = 0x0008;  // sizes and CRC follow the data
inline constexpr std::uint16_t kPatchFlag = 0x0020;
inline constexpr std::uint16_t kUtf8Flag = 0x0800;

inline constexpr std::uint16_t kZip64Extra = 0x0001;
inline constexpr std::uint16_t kSaturated16 = 0xFFFF;      // the number is in the zip64 record
inline constexpr std::uint32_t kSaturated32 = 0xFFFFFFFF;  // or in the zip64 extra field

/// Takes the fields of a record one after the other. The caller has made sure that they are there.
class Fields {
 public:
  explicit Fields(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::uint16_t u16() { return take<std::uint16_t>(); }
  std::uint32_t u32() { return take<std::uint32_t>(); }
  std::uint64_t u64() { return take<std::uint64_t>(); }
  void skip(std::size_t count) { bytes_ = bytes_.subspan(count); }
  std::span<const std::byte> bytes(std::size_t count) {
    const std::span<const std::byte> result = bytes_.first(count);
    skip(count);
    return result;
  }
  std::string_view text(std::size_t count) {
    const std::span<const std::byte> raw = bytes(count);
    return {reinterpret_cast<const char*>(raw.data()), raw.size()};
  }
  std::size_t left() const noexcept { return bytes_.size(); }

 private:
  template <class T>
  T take() {
    const T value = load_little_endian<T>(bytes_.data());
    skip(sizeof(T));
    return value;
  }

  std::span<const std::byte> bytes_;
};

}  // namespace attention::io::detail::zip
