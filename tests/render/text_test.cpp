#include <string>

#include <gtest/gtest.h>

#include <attention/render/detail/text.hpp>

namespace attention::render::detail {
namespace {

TEST(Decode, ReadsWellFormedUtf8) {
  EXPECT_EQ(decode("aé€😀"), U"aé€😀");
  EXPECT_EQ(decode("\xEF\xBF\xBD"), U"\uFFFD");
  EXPECT_EQ(decode(""), U"");
  EXPECT_EQ(decode(std::string("a\0b", 3)), (std::u32string{U'a', U'\0', U'b'}));
}

TEST(Decode, ReplacesEachMalformedByte) {
  EXPECT_EQ(decode("\x80x"), U"\uFFFDx");                              // a continuation alone
  EXPECT_EQ(decode("\xC3"), U"\uFFFD");                                // cut off
  EXPECT_EQ(decode("\xC3("), U"\uFFFD(");                              // no continuation
  EXPECT_EQ(decode("\xC0\xAF"), U"\uFFFD\uFFFD");                      // overlong '/'
  EXPECT_EQ(decode("\xE0\x80\xAF"), U"\uFFFD\uFFFD\uFFFD");            // overlong
  EXPECT_EQ(decode("\xED\xA0\x80"), U"\uFFFD\uFFFD\uFFFD");            // a surrogate
  EXPECT_EQ(decode("\xF4\x90\x80\x80"), U"\uFFFD\uFFFD\uFFFD\uFFFD");  // past U+10FFFF
  EXPECT_EQ(decode("\xFF"), U"\uFFFD");
}

TEST(Encode, IsTheInverse) {
  std::u32string points;
  for (char32_t point = 1; point < 0x110000; point += point < 0x1000 ? 1 : 251) {
    if (point < 0xD800 || point > 0xDFFF) {
      points.push_back(point);
    }
  }
  EXPECT_EQ(decode(encode(points)), points);
}

TEST(Clean, LeavesNoControlCharacter) {
  EXPECT_EQ(clean("a\nb\tc\r"), "a b c ");
  EXPECT_EQ(clean("\x1b[31mred\x07\x7f"), "\uFFFD[31mred\uFFFD\uFFFD");
  EXPECT_EQ(clean("\u009b31m"), "\uFFFD31m");  // the C1 form of an escape sequence
  EXPECT_EQ(clean("abc\u202Edef\u2066"), "abc\uFFFDdef\uFFFD");  // turns the direction of text
  EXPECT_EQ(clean("a\u2028b\u0085c"), "a b c");
  EXPECT_EQ(clean("\uFFFE"), "\uFFFD");
  EXPECT_EQ(clean("<b>&\"'é日"), "<b>&\"'é日");
  for (char32_t point = 0; point < 0x3000; ++point) {
    for (const char32_t shown : decode(clean(encode(std::u32string(1, point))))) {
      EXPECT_GE(shown, U' ');
      EXPECT_FALSE(shown >= 0x7F && shown < 0xA0) << static_cast<int>(point);
    }
  }
}

TEST(DisplayWidth, CountsColumns) {
  EXPECT_EQ(display_width("abc"), 3);
  EXPECT_EQ(display_width("é"), 1);
  EXPECT_EQ(display_width("e\u0301"), 1);
  EXPECT_EQ(display_width("日本語"), 6);
  EXPECT_EQ(display_width("한글"), 4);
  EXPECT_EQ(display_width("ＡＢ"), 4);
  EXPECT_EQ(display_width("😀"), 2);
  EXPECT_EQ(display_width("a\u200Bb\uFE0F"), 2);
  EXPECT_EQ(display_width("…█"), 2);
}

TEST(ToAscii, ReplacesTheRest) {
  EXPECT_EQ(to_ascii("aé日z"), "a??z");
}

TEST(Shortened, EndsWithAnEllipsis) {
  EXPECT_EQ(shortened("abcdef", 6, "…"), "abcdef");
  EXPECT_EQ(shortened("abcdef", 4, "…"), "abc…");
  EXPECT_EQ(shortened("日本語", 5, "…"), "日本…");
  EXPECT_EQ(shortened("日本語", 4, "…"), "日…");
  EXPECT_EQ(shortened("abc", 1, "…"), "…");
  EXPECT_EQ(shortened("abc", 0, "…"), "");
  EXPECT_EQ(shortened("abc", -3, "…"), "");
}

}  // namespace
}  // namespace attention::render::detail
