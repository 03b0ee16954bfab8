#include <array>

#include <attention/core/error.hpp>
#include <attention/io/detail/bytes.hpp>

namespace attention::io::detail {
namespace {

/// How many bytes follow the first byte of a UTF-8 sequence; -1 for a byte that starts none.
int continuation_bytes(unsigned char first) {
  if (first < 0x80) {
    return 0;
  }
  if (first >= 0xC2 && first <= 0xDF) {
    return 1;
  }
  if (first >= 0xE0 && first <= 0xEF) {
    return 2;
  }
  return first >= 0xF0 && first <= 0xF4 ? 3 : -1;
}

/// The second byte has a narrower range after some first bytes: no overlong forms, no surrogates,
/// nothing past U+10FFFF.
bool second_byte_fits(unsigned char first, unsigned char second) {
  switch (first) {
    case 0xE0:
      return second >= 0xA0;
    case 0xED:
      return second < 0xA0;
    case 0xF0:
      return second >= 0x90;
    case 0xF4:
      return second < 0x90;
    default:
      return true;
  }
}

}  // namespace

void Origin::fail(std::string_view reason) const {
  throw FileError(path, std::string(subject).append(" ").append(reason));
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kLongest = 60;
  constexpr std::array kDigits = {'0', '1', '2', '3', '4', '5', '6', '7',
                                  '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'};
  std::string result = "'";
  for (const char c : text.substr(0, kLongest)) {
    const auto code = static_cast<unsigned char>(c);
    if (code >= 0x20 && code < 0x7F) {
      result += c;
    } else {
      result.append("\\x").append({kDigits[code >> 4U], kDigits[code & 0xFU]});
    }
  }
  return result + (text.size() > kLongest ? "...'" : "'");
}

std::string bytes_text(std::int64_t bytes) {
  return std::to_string(bytes) + (bytes == 1 ? " byte" : " bytes");
}

bool is_utf8(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto first = static_cast<unsigned char>(text[i]);
    const int following = continuation_bytes(first);
    if (following < 0 || text.size() - i - 1 < static_cast<std::size_t>(following)) {
      return false;
    }
    for (int n = 1; n <= following; ++n) {
      const auto next = static_cast<unsigned char>(text[++i]);
      if ((next & 0xC0U) != 0x80U || (n == 1 && !second_byte_fits(first, next))) {
        return false;
      }
    }
  }
  return true;
}

void append_text(std::vector<std::byte>& bytes, std::string_view text) {
  const auto raw = std::as_bytes(std::span(text));
  bytes.insert(bytes.end(), raw.begin(), raw.end());
}

}  // namespace attention::io::detail
