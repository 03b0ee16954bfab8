#pragma once

// Private to the io room: not for users, not installed.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <attention/io/detail/bytes.hpp>

namespace attention::io::detail {

/// Reads the JSON of a file's header in order, by one that knows what must come next: objects,
/// arrays, strings and whole numbers from 0.
///
/// Strict: nothing beyond RFC 8259 is taken. Nothing is kept and nothing calls itself, so that
/// depth costs nothing. Whether keys come twice is the caller's to check. Throws FileError about
/// `origin` with what was expected, where, and what is there.
class JsonReader {
 public:
  /// `text` is UTF-8.
  JsonReader(std::string_view text, const Origin& origin) : text_(text), origin_(origin) {}

  /// Calls read_value(key) for each member; it must read the value, and may move from the key.
  void read_object(FunctionRef<void(std::string& key)> read_value);
  /// Calls read_element() for each element; it must read the element.
  void read_array(FunctionRef<void()> read_element);
  /// A string, its escapes resolved: UTF-8 again, whatever it holds.
  std::string read_string();
  /// A number of digits alone (no sign, fraction or exponent) that fits in 63 bits.
  std::int64_t read_integer();
  /// Nothing but white space may be left.
  void read_end();

 private:
  void read_escape(std::string& out);
  std::uint32_t read_code_point();
  std::uint32_t code_unit() const;
  void skip_spaces();
  bool take(char wanted);
  void expect(char wanted);
  void check(bool holds, std::string_view expected) const;

  std::string_view text_;
  const Origin& origin_;
  std::size_t at_ = 0;
};

/// Appends UTF-8 text as a JSON string, with only the escapes that JSON asks for, as serde_json
/// writes it.
void append_json_string(std::string& json, std::string_view text);

}  // namespace attention::io::detail
