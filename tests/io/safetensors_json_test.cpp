// Headers that are no JSON, or not the JSON of a header.

#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/io/safetensors.hpp>

#include "support.hpp"

namespace attention::io::test {
namespace {

using testing::HasSubstr;

/// A header, and a part of the reason for which a file with it, and `data` zeros behind it, is
/// rejected.
using Case = std::pair<std::string, std::string>;

void expect_rejected(const std::vector<Case>& cases, std::size_t data = 0) {
  for (const auto& [header, reason] : cases) {
    const std::string error = file_error_of([&, &text = header] {
      parse_safetensors(safetensors_file(text, std::string(data, '\0')), "x");
    });
    EXPECT_THAT(error, HasSubstr(reason)) << header.substr(0, 200);
    EXPECT_THAT(error, testing::StartsWith("x: ")) << header.substr(0, 200);
  }
}

TEST(HostileSafetensorsJson, HeadersThatAreNoObject) {
  const std::string begin = "the file has a header that does not begin with '{'";
  const std::string malformed = "the file has a malformed header: expected ";
  expect_rejected({
      {"", begin},
      {" {}", begin},
      {"\n{}", begin},
      {"\xEF\xBB\xBF{}", begin},
      {"[]", begin},
      {"null", begin},
      {"\"\"", begin},
      {"{", malformed + "a string at byte 1 of its JSON, found its end"},
      {"{ ", malformed + "a string at byte 2 of its JSON, found its end"},
      {"{]", malformed + "a string at byte 1 of its JSON, found ']'"},
      {"{,}", malformed + "a string at byte 1 of its JSON, found ',}'"},
      {"{{}}", malformed + "a string at byte 1 of its JSON, found '{}}'"},
      {"{a:1}", malformed + "a string at byte 1 of its JSON, found 'a:1}'"},
      {"{'a':1}", malformed + "a string at byte 1 of its JSON, found"},
      {"{1:1}", malformed + "a string at byte 1 of its JSON, found"},
      {"{/**/}", malformed + "a string at byte 1 of its JSON, found"},
      {R"({"a"})", malformed + "':' at byte 4 of its JSON, found '}'"},
      {R"({"a" 1})", malformed + "':' at byte 5"},
      {R"({"a":)", malformed + "'{' at byte 5 of its JSON, found its end"},
      {R"({"__metadata__":{})", malformed + "'}' at byte 18 of its JSON, found its end"},
      {R"({"__metadata__":{},})", malformed + "a string at byte 19 of its JSON, found '}'"},
      {R"({"__metadata__":{};})", malformed + "'}' at byte 18 of its JSON, found ';}'"},
      {"{}x", malformed + "nothing after the object at byte 2 of its JSON, found 'x'"},
      {"{}{}", malformed + "nothing after the object at byte 2"},
      {"{}}", malformed + "nothing after the object at byte 2"},
      {"{} ,", malformed + "nothing after the object at byte 3"},
      {std::string("{}\0", 3),
       malformed + "nothing after the object at byte 2 of its JSON, found '\\x00'"},
      {"{}\xC2\xA0", malformed + "nothing after the object"},
      {"{\v}", malformed + "a string at byte 1"},
  });
}

TEST(HostileSafetensorsJson, HeadersThatAreNotUtf8) {
  for (const char* text :
       {"\xFF", "\xC3", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\x80"}) {
    expect_rejected({{"{\"" + std::string(text) + "\":1}", "has a header that is not UTF-8"},
                     {"{}" + std::string(text), "has a header that is not UTF-8"}});
  }
}

TEST(HostileSafetensorsJson, Strings) {
  const std::string pair_first = "expected the first half of a surrogate pair before the second";
  const std::string pair_second = "expected the second half of a surrogate pair";
  const std::string digits = "expected four hexadecimal digits after '\\u' at byte 2";
  const std::string escape = "expected one of JSON's escapes at byte 2";
  const std::string control = "expected an escape in place of a control character at byte ";
  const auto named = [](const std::string& name) { return "{\"" + name + "\":{}}"; };
  expect_rejected({
      {"{\"a", "expected a string that ends at byte 3 of its JSON, found its end"},
      {R"({"a\"})", "expected a string that ends"},
      {named("a\nb"), control + "3 of its JSON, found '\\x0ab"},
      {named(std::string(1, '\0')), control + "2"},
      {named("\x1F"), control + "2"},
      {named("\t"), control + "2"},
      {"{\"\\", escape + " of its JSON, found '\\'"},
      {named("\\x41"), escape},
      {named("\\a"), escape},
      {named("\\'"), escape},
      {named("\\0"), escape},
      {named("\\U0041"), escape},
      {named("\\\n"), escape},
      {"{\"\\u", digits},
      {"{\"\\u12", digits},
      {named("\\u"), digits},
      {named("\\u123"), digits},
      {named("\\u12G4"), digits},
      {named("\\u 123"), digits},
      {named("\\u-123"), digits},
      {named("\\u+123"), digits},
      {named("\\u0x12"), digits},
      {named("\\u{41}"), digits},
      {named("\\udc00"), pair_first + " at byte 2"},
      {named("\\uDFFF\\uD800"), pair_first + " at byte 2"},
      {named("\\ud800"), pair_second + " at byte 8"},
      {"{\"\\ud800", pair_second + " at byte 8 of its JSON, found its end"},
      {named("\\ud800x"), pair_second},
      {named("\\ud800\\n"), pair_second},
      {named("\\ud800\\u0041"), pair_second},
      {named("\\ud800\\ud800"), pair_second},
      {named("\\udbff\\uE000"), pair_second},
      {named("\\ud800\\u12"), "expected four hexadecimal digits after '\\u' at byte 8"},
  });
}

TEST(HostileSafetensorsJson, Numbers) {
  const std::string whole = "expected a whole number of digits alone at byte ";
  const std::string fits = "expected a whole number that fits in 63 bits at byte ";
  const std::vector<Case> numbers = {
      {"-1", whole},
      {"-0", whole},
      {"+1", whole},
      {"1.0", whole},
      {".5", whole},
      {"1.", whole},
      {"1e0", whole},
      {"1E0", whole},
      {"0.0", whole},
      {"0e1", whole},
      {"\"1\"", whole},
      {"true", whole},
      {"false", whole},
      {"null", whole},
      {"NaN", whole},
      {"Infinity", whole},
      {"[1]", whole},
      {"{}", whole},
      {",1", whole},
      {"1,", whole},
      {"01", "expected a whole number without leading zeros at byte "},
      {"00", "expected a whole number without leading zeros at byte "},
      {"0x1", "expected ']' at byte "},
      {"1 2", "expected ']' at byte "},
      {"1_000", "expected ']' at byte "},
      {"1}", "expected ']' at byte "},
      {"9223372036854775808", fits},
      {"18446744073709551615", fits},
      {"18446744073709551616", fits},
      {std::string(100000, '9'), fits},
      {std::string(100000, '['), whole},
      {std::string(100000, '0'), "without leading zeros"},
  };
  for (const auto& [number, reason] : numbers) {
    const std::string list = "[" + number + "]";
    expect_rejected({{safetensors_header("\"F32\"", list, "[0,4]"), reason},
                     {safetensors_header("\"F32\"", "[1]", list), reason}},
                    4);
  }
}

TEST(HostileSafetensorsJson, DepthCostsNothing) {
  constexpr std::size_t kDepth = 1'000'000;
  const auto repeated = [](const std::string& text) {
    std::string result;
    for (std::size_t i = 0; i < kDepth; ++i) {
      result += text;
    }
    return result;
  };
  expect_rejected({
      {repeated("{"), "expected a string at byte 1"},
      {repeated(R"({"a":)"), "tensor 'a' has the key 'a', which safetensors does not have"},
      {R"({"a":)" + repeated("["), "expected '{' at byte 5"},
      {R"({"__metadata__":)" + repeated(R"({"a":)"), "expected a string at byte 21"},
      {safetensors_header(repeated("["), "[]", "[0,4]"), "expected a string at byte 14"},
  });
}

}  // namespace
}  // namespace attention::io::test
