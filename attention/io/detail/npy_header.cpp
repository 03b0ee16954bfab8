#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include <attention/io/detail/elements.hpp>
#include <attention/io/detail/npy_header.hpp>

namespace attention::io::detail {
namespace {

struct ElementCode {
  std::string_view code;  // kind and bytes, as in NumPy's array interface
  DType dtype;
};

constexpr std::array kElementCodes = {
    ElementCode{.code = "f4", .dtype = DType::float32},
    ElementCode{.code = "f8", .dtype = DType::float64},
    ElementCode{.code = "f2", .dtype = DType::float16},
    ElementCode{.code = "b1", .dtype = DType::boolean},
    ElementCode{.code = "i1", .dtype = DType::int8},
    ElementCode{.code = "i2", .dtype = DType::int16},
    ElementCode{.code = "i4", .dtype = DType::int32},
    ElementCode{.code = "i8", .dtype = DType::int64},
    ElementCode{.code = "u1", .dtype = DType::uint8},
    ElementCode{.code = "u2", .dtype = DType::uint16},
    ElementCode{.code = "u4", .dtype = DType::uint32},
    ElementCode{.code = "u8", .dtype = DType::uint64},
};

constexpr bool kLittleEndian = std::endian::native == std::endian::little;

/// What a descr that attention does not read stands for.
std::string_view meaning_of(std::string_view code) {
  switch (code.empty() ? '\0' : code.front()) {
    case 'O':
      return "Python objects";
    case 'c':
      return "complex numbers";
    case 'S':
    case 'a':
    case 'U':
      return "strings";
    case 'M':
    case 'm':
      return "dates or times";
    case 'V':
      return "raw bytes";
    case '[':
      return "a structured type";
    default:
      return "not an element type of attention";
  }
}

void read_descr(std::string_view descr, NpyHeader& header, const Origin& origin) {
  const bool has_order =
      !descr.empty() && std::string_view("<>=|").find(descr.front()) != std::string_view::npos;
  const std::string_view code = descr.substr(has_order ? 1 : 0);
  const auto* const found = std::ranges::find(kElementCodes, code, &ElementCode::code);
  origin.check(found != kElementCodes.end(), [&] {
    return "has the element type " + in_quotes(descr) + " (" + std::string(meaning_of(code)) +
           "), which attention does not read";
  });
  header.dtype = found->dtype;
  if (descr.front() == '<' || descr.front() == '>') {
    header.order = descr.front() == '<' ? std::endian::little : std::endian::big;
  }
}

/// Reads the few forms of Python literals that the header of an array of numbers has.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const Origin& origin) : text_(text), origin_(origin) {}

  NpyHeader parse() {
    expect('{');
    while (!take('}')) {
      read_field();
      if (!take(',')) {
        expect('}');
        break;
      }
    }
    skip_spaces();
    origin_.check(at_ == text_.size(), [&] { return malformed("nothing after the dictionary"); });
    for (const Field& field : fields_) {
      origin_.check(field.seen,
                    [&] { return "has a header without the key " + in_quotes(field.key); });
    }
    header_.element_bytes = checked_element_bytes();
    return header_;
  }

 private:
  struct Field {
    std::string_view key;
    void (HeaderParser::*read)();
    bool seen;
  };

  void read_field() {
    const std::string_view key = read_string();
    expect(':');
    auto* const field = std::ranges::find(fields_, key, &Field::key);
    origin_.check(field != fields_.end(), [&] {
      return "has a header with the key " + in_quotes(key) + ", which npy does not have";
    });
    origin_.check(!std::exchange(field->seen, true),
                  [&] { return "has a header with the key " + in_quotes(key) + " twice"; });
    (this->*field->read)();
  }

  void read_element_type() {
    const bool is_string = peek() == '\'' || peek() == '"';
    read_descr(is_string ? read_string() : text_.substr(at_), header_, origin_);
  }

  void read_order() {
    skip_spaces();
    const std::string_view rest = text_.substr(at_);
    header_.fortran_order = rest.starts_with("True");
    origin_.check(header_.fortran_order || rest.starts_with("False"),
                  [&] { return malformed("True or False"); });
    at_ += header_.fortran_order ? 4 : 5;
  }

  void read_shape() {
    expect('(');
    while (!take(')')) {
      origin_.check(header_.shape.rank() < kMaxRank, [&] {
        return "has a shape of more than " + std::to_string(kMaxRank) + " dimensions";
      });
      header_.shape.push_back(read_integer());
      if (!take(',')) {
        // Python's (3) is a number; a tuple of one is (3,).
        origin_.check(header_.shape.rank() > 1, [&] { return malformed("','"); });
        expect(')');
        break;
      }
    }
  }

  std::int64_t read_integer() {
    skip_spaces();
    std::int64_t value = 0;
    const char* const first = text_.data() + at_;
    const auto [end, error] = std::from_chars(first, text_.data() + text_.size(), value);
    origin_.check(error != std::errc::result_out_of_range,
                  [] { return "has a shape with an extent that does not fit in 63 bits"; });
    origin_.check(error == std::errc{}, [&] { return malformed("an integer"); });
    at_ += static_cast<std::size_t>(end - first);
    if (at_ < text_.size() && text_[at_] == 'L') {
      ++at_;  // Python 2 wrote its long integers so
    }
    return value;
  }

  std::int64_t checked_element_bytes() const {
    const std::string shape = "has the shape " + to_string(header_.shape);
    origin_.check(
        std::ranges::all_of(header_.shape, [](std::int64_t extent) { return extent >= 0; }),
        [&] { return shape + ": an extent must not be negative"; });
    const std::optional<std::int64_t> bytes = element_bytes(header_.dtype, header_.shape);
    if (!bytes) {
      origin_.fail(shape + ", whose size does not fit in 63 bits");
    }
    return *bytes;
  }

  std::string_view read_string() {
    const char quote = peek();
    origin_.check(quote == '\'' || quote == '"', [&] { return malformed("a string"); });
    const std::size_t end = text_.find(quote, at_ + 1);
    origin_.check(end != std::string_view::npos, [&] { return malformed("a string that ends"); });
    const std::string_view inside = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return inside;
  }

  void skip_spaces() { at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size()); }

  /// The next character that is no space; 0 at the end.
  char peek() {
    skip_spaces();
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  bool take(char wanted) {
    const bool found = at_ < text_.size() && peek() == wanted;
    at_ += found ? 1 : 0;
    return found;
  }

  void expect(char wanted) {
    origin_.check(take(wanted), [&] { return malformed(std::string("'") + wanted + "'"); });
  }

  std::string malformed(std::string_view expected) const {
    constexpr std::size_t kShown = 16;
    return "has a malformed header: expected " + std::string(expected) + " at byte " +
           std::to_string(at_) + " of the dictionary, found " +
           (at_ < text_.size() ? in_quotes(text_.substr(at_, kShown)) : "its end");
  }

  std::string_view text_;
  const Origin& origin_;
  std::size_t at_ = 0;
  NpyHeader header_;
  std::array<Field, 3> fields_ = {
      Field{.key = "descr", .read = &HeaderParser::read_element_type, .seen = false},
      Field{.key = "fortran_order", .read = &HeaderParser::read_order, .seen = false},
      Field{.key = "shape", .read = &HeaderParser::read_shape, .seen = false},
  };
};

}  // namespace

NpyHeader parse_npy_header(std::string_view dictionary, const Origin& origin) {
  return HeaderParser(dictionary, origin).parse();
}

std::vector<std::byte> encode_npy_header(DType dtype, const Shape& shape) {
  constexpr std::size_t kPreamble = 10;  // magic string, version, length
  // NumPy ends the header at a multiple of 64 bytes. For up to kMaxRank dimensions that is 128,
  // with or without the room that newer versions leave for the first extent to grow.
  constexpr std::size_t kAlignment = 64;
  const auto* const element = std::ranges::find(kElementCodes, dtype, &ElementCode::dtype);
  const char order = size_of(dtype) == 1 ? '|' : (kLittleEndian ? '<' : '>');

  std::string text = "{'descr': '";
  text.append(1, order).append(element->code);
  text.append("', 'fortran_order': False, 'shape': ").append(to_string(shape)).append(", }");
  text.append(kAlignment - (kPreamble + text.size() + 1) % kAlignment, ' ').append("\n");

  std::vector<std::byte> bytes;
  append_text(bytes, "\x93NUMPY");
  append_little_endian(bytes, std::uint16_t{0x0001});  // version 1.0: the major number comes first
  append_little_endian(bytes, static_cast<std::uint16_t>(text.size()));
  append_text(bytes, text);
  return bytes;
}

}  // namespace attention::io::detail
