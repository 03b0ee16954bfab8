#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <utility>

#include <attention/render/detail/text.hpp>

namespace attention::render::detail {
namespace {

constexpr char32_t kReplacement = U'\uFFFD';

/// The first and the last of neighbouring code points.
using Span = std::pair<char32_t, char32_t>;

// Rising and disjoint. From the Unicode character database: general categories Mn, Me and the
// format characters without width, by blocks.
constexpr std::array kZeroWidth = {
    Span{0x0300, 0x036F},   Span{0x0483, 0x0489}, Span{0x0591, 0x05BD}, Span{0x05BF, 0x05BF},
    Span{0x05C1, 0x05C2},   Span{0x05C4, 0x05C5}, Span{0x05C7, 0x05C7}, Span{0x0610, 0x061A},
    Span{0x064B, 0x065F},   Span{0x0670, 0x0670}, Span{0x06D6, 0x06DC}, Span{0x06DF, 0x06E4},
    Span{0x06E7, 0x06E8},   Span{0x06EA, 0x06ED}, Span{0x0711, 0x0711}, Span{0x0730, 0x074A},
    Span{0x0900, 0x0902},   Span{0x093A, 0x093A}, Span{0x093C, 0x093C}, Span{0x0941, 0x0948},
    Span{0x094D, 0x094D},   Span{0x0951, 0x0957}, Span{0x0E31, 0x0E31}, Span{0x0E34, 0x0E3A},
    Span{0x0E47, 0x0E4E},   Span{0x1AB0, 0x1AFF}, Span{0x1DC0, 0x1DFF}, Span{0x200B, 0x200D},
    Span{0x2060, 0x2064},   Span{0x20D0, 0x20F0}, Span{0x302A, 0x302D}, Span{0x3099, 0x309A},
    Span{0xFE00, 0xFE0F},   Span{0xFE20, 0xFE2F}, Span{0xFEFF, 0xFEFF}, Span{0xE0001, 0xE007F},
    Span{0xE0100, 0xE01EF},
};

// East Asian Width W and F, by blocks.
constexpr std::array kWide = {
    Span{0x1100, 0x115F},   Span{0x231A, 0x231B},   Span{0x2329, 0x232A},   Span{0x23E9, 0x23EC},
    Span{0x2E80, 0x303E},   Span{0x3041, 0x33FF},   Span{0x3400, 0x4DBF},   Span{0x4E00, 0x9FFF},
    Span{0xA000, 0xA4CF},   Span{0xA960, 0xA97C},   Span{0xAC00, 0xD7A3},   Span{0xF900, 0xFAFF},
    Span{0xFE30, 0xFE6F},   Span{0xFF00, 0xFF60},   Span{0xFFE0, 0xFFE6},   Span{0x1F300, 0x1F64F},
    Span{0x1F680, 0x1F6FF}, Span{0x1F900, 0x1F9FF}, Span{0x1FA70, 0x1FAFF}, Span{0x20000, 0x3FFFD},
};

template <std::size_t Count>
bool lies_in(const std::array<Span, Count>& spans, char32_t point) {
  const auto after = std::ranges::upper_bound(spans, point, {}, &Span::first);
  return after != spans.begin() && point <= std::prev(after)->second;
}

bool is_space_control(char32_t point) {
  return (point >= U'\t' && point <= U'\r') || point == 0x85 || point == 0x2028 || point == 0x2029;
}

bool is_harmful(char32_t point) {
  return point < 0x20 || (point >= 0x7F && point < 0xA0) || point == 0x061C || point == 0x200E ||
         point == 0x200F || (point >= 0x202A && point <= 0x202E) ||
         (point >= 0x2066 && point <= 0x2069) || (point & 0xFFFE) == 0xFFFE;
}

int width_of(char32_t point) {
  if (lies_in(kZeroWidth, point)) {
    return 0;
  }
  return lies_in(kWide, point) ? 2 : 1;
}

struct Decoded {
  char32_t point;
  std::size_t length;
};

/// The code point at the beginning of `text`, which is not empty.
Decoded decode_one(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) {
    return {.point = lead, .length = 1};
  }
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  constexpr std::array<char32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) {
    return {.point = kReplacement, .length = 1};
  }
  char32_t point = lead & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) {
      return {.point = kReplacement, .length = 1};
    }
    point = (point << 6) | (byte(i) & 0x3FU);
  }
  const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
  if (point < kLeast[length] || point > 0x10FFFF || surrogate) {
    return {.point = kReplacement, .length = 1};
  }
  return {.point = point, .length = length};
}

}  // namespace

std::u32string decode(std::string_view text) {
  std::u32string points;
  points.reserve(text.size());
  while (!text.empty()) {
    const Decoded next = decode_one(text);
    points.push_back(next.point);
    text.remove_prefix(next.length);
  }
  return points;
}

std::string encode(std::u32string_view points) {
  std::string text;
  text.reserve(points.size());
  const auto put = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  for (const char32_t point : points) {
    if (point < 0x80) {
      put(point);
      continue;
    }
    if (point < 0x800) {
      put(0xC0 | (point >> 6));
    } else {
      if (point < 0x10000) {
        put(0xE0 | (point >> 12));
      } else {
        put(0xF0 | (point >> 18));
        put(0x80 | ((point >> 12) & 0x3F));
      }
      put(0x80 | ((point >> 6) & 0x3F));
    }
    put(0x80 | (point & 0x3F));
  }
  return text;
}

std::string clean(std::string_view text) {
  std::u32string points = decode(text);
  for (char32_t& point : points) {
    if (is_space_control(point)) {
      point = U' ';
    } else if (is_harmful(point)) {
      point = kReplacement;
    }
  }
  return encode(points);
}

int display_width(std::string_view text) {
  int width = 0;
  for (const char32_t point : decode(text)) {
    width += width_of(point);
  }
  return width;
}

std::string to_ascii(std::string_view text) {
  std::string result;
  for (const char32_t point : decode(text)) {
    result.push_back(point < 0x80 ? static_cast<char>(point) : '?');
  }
  return result;
}

std::string shortened(std::string_view text, int columns, std::string_view ellipsis) {
  if (display_width(text) <= columns) {
    return std::string(text);
  }
  const int room = columns - display_width(ellipsis);
  if (room < 0) {
    return {};
  }
  std::u32string kept;
  int width = 0;
  for (const char32_t point : decode(text)) {
    width += width_of(point);
    if (width > room) {
      break;
    }
    kept.push_back(point);
  }
  return encode(kept).append(ellipsis);
}

}  // namespace attention::render::detail
