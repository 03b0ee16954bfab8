#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>

#include <attention/io/detail/json.hpp>

namespace attention::io::detail {
namespace {

/// What a letter after a backslash stands for; '\u' is none of them.
constexpr std::string_view kEscapes = "\"\\/bfnrt";
constexpr std::string_view kEscaped = "\"\\/\b\f\n\r\t";

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// How many bytes of `text` come before a quote, a backslash or a control character, which cannot
/// stand in a string as they are.
std::size_t plain_length(std::string_view text) {
  const auto end =
      std::ranges::find_if(text, [](char c) { return c == '"' || c == '\\' || is_control(c); });
  return static_cast<std::size_t>(end - text.begin());
}

// UTF-16 writes a code point past U+FFFF as two units, a high surrogate and a low one.
bool is_high_surrogate(std::uint32_t unit) {
  return unit >= 0xD800 && unit < 0xDC00;
}

bool is_low_surrogate(std::uint32_t unit) {
  return unit >= 0xDC00 && unit < 0xE000;
}

void append_utf8(std::string& out, std::uint32_t code_point) {
  const auto append = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
  const auto append_tail = [&](unsigned shift) { append(0x80U | ((code_point >> shift) & 0x3FU)); };
  if (code_point < 0x80) {
    append(code_point);
  } else if (code_point < 0x800) {
    append(0xC0U | (code_point >> 6U));
    append_tail(0);
  } else if (code_point < 0x10000) {
    append(0xE0U | (code_point >> 12U));
    append_tail(6);
    append_tail(0);
  } else {
    append(0xF0U | (code_point >> 18U));
    append_tail(12);
    append_tail(6);
    append_tail(0);
  }
}

}  // namespace

void JsonReader::read_object(FunctionRef<void(std::string& key)> read_value) {
  expect('{');
  if (take('}')) {
    return;
  }
  do {
    std::string key = read_string();
    expect(':');
    read_value(key);
  } while (take(','));
  expect('}');
}

void JsonReader::read_array(FunctionRef<void()> read_element) {
  expect('[');
  if (take(']')) {
    return;
  }
  do {
    read_element();
  } while (take(','));
  expect(']');
}

std::string JsonReader::read_string() {
  skip_spaces();
  check(text_.substr(at_).starts_with('"'), "a string");
  ++at_;
  std::string result;
  for (;;) {
    const std::string_view rest = text_.substr(at_);
    const std::size_t plain = plain_length(rest);
    result.append(rest.substr(0, plain));
    at_ += plain;
    check(at_ < text_.size(), "a string that ends");
    if (text_[at_] == '"') {
      ++at_;
      return result;
    }
    check(text_[at_] == '\\', "an escape in place of a control character");
    read_escape(result);
  }
}

void JsonReader::read_escape(std::string& out) {
  const std::string_view letter = text_.substr(at_ + 1, 1);
  if (letter == "u") {
    append_utf8(out, read_code_point());
    return;
  }
  const std::size_t found = letter.empty() ? std::string_view::npos : kEscapes.find(letter);
  check(found != std::string_view::npos, "one of JSON's escapes");
  out += kEscaped[found];
  at_ += 2;
}

std::uint32_t JsonReader::read_code_point() {
  constexpr std::size_t kEscapeBytes = 6;  // \uXXXX
  const std::uint32_t first = code_unit();
  check(!is_low_surrogate(first), "the first half of a surrogate pair before the second");
  at_ += kEscapeBytes;
  if (!is_high_surrogate(first)) {
    return first;
  }
  const std::uint32_t second = text_.substr(at_).starts_with("\\u") ? code_unit() : 0;
  check(is_low_surrogate(second), "the second half of a surrogate pair");
  at_ += kEscapeBytes;
  return 0x10000U + ((first - 0xD800U) << 10U) + (second - 0xDC00U);
}

/// The number of the escape \uXXXX at at_.
std::uint32_t JsonReader::code_unit() const {
  constexpr std::size_t kDigits = 4;
  const std::string_view digits = text_.substr(at_ + 2, kDigits);
  const char* const first = digits.data();
  const char* const last = first + digits.size();
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(first, last, value, 16);
  check(digits.size() == kDigits && end == last && error == std::errc{},
        "four hexadecimal digits after '\\u'");
  return value;
}

std::int64_t JsonReader::read_integer() {
  constexpr std::string_view kWholeNumber = "a whole number of digits alone";
  skip_spaces();
  const std::string_view rest = text_.substr(at_);
  const auto digits =
      static_cast<std::size_t>(std::ranges::find_if_not(rest, is_digit) - rest.begin());
  const std::string_view next = rest.substr(digits, 1);
  check(digits > 0 && next != "." && next != "e" && next != "E", kWholeNumber);
  check(digits == 1 || rest.front() != '0', "a whole number without leading zeros");
  std::int64_t value = 0;
  const char* const first = rest.data();
  const auto result = std::from_chars(first, first + digits, value);
  check(result.ec == std::errc{}, "a whole number that fits in 63 bits");
  at_ += digits;
  return value;
}

void JsonReader::read_end() {
  skip_spaces();
  check(at_ == text_.size(), "nothing after the object");
}

void JsonReader::skip_spaces() {
  at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size());
}

bool JsonReader::take(char wanted) {
  skip_spaces();
  const bool found = text_.substr(at_).starts_with(wanted);
  at_ += found ? 1 : 0;
  return found;
}

void JsonReader::expect(char wanted) {
  const std::array quoted = {'\'', wanted, '\''};
  check(take(wanted), {quoted.data(), quoted.size()});
}

void JsonReader::check(bool holds, std::string_view expected) const {
  constexpr std::size_t kShown = 16;
  origin_.check(holds, [&] {
    return "has a malformed header: expected " + std::string(expected) + " at byte " +
           std::to_string(at_) + " of its JSON, found " +
           (at_ < text_.size() ? in_quotes(text_.substr(at_, kShown)) : "its end");
  });
}

void append_json_string(std::string& json, std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  json += '"';
  while (!text.empty()) {
    const std::size_t plain = plain_length(text);
    json.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) {
      break;
    }
    const std::size_t letter = kEscaped.find(text.front());
    if (letter != std::string_view::npos) {
      json.append("\\").append(1, kEscapes[letter]);
    } else {
      const auto code = static_cast<unsigned char>(text.front());
      json.append("\\u00").append({kDigits[code >> 4U], kDigits[code & 0xFU]});
    }
    text.remove_prefix(1);
  }
  json += '"';
}

}  // namespace attention::io::detail
