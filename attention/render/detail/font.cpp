#include <algorithm>
#include <map>
#include <utility>

#include <attention/render/detail/cairo.hpp>
#include <attention/render/detail/font.hpp>
#include <attention/render/detail/text.hpp>

namespace attention::render::detail {
namespace {

constexpr std::u32string_view kEllipsis = U"…";

/// How many of the first points of `text` have a true `fits`, which turns false once at most.
template <class Fits>
std::size_t longest(std::size_t count, const Fits& fits) {
  std::size_t low = 0;
  std::size_t high = count;
  while (low < high) {
    const std::size_t middle = (low + high + 1) / 2;
    if (fits(middle)) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

}  // namespace

/// Scaled fonts by size and weight, made when first asked for.
class Font::Faces {
 public:
  cairo_scaled_font_t* scaled(const TextStyle& style) {
    ScaledFontHandle& font = fonts_[{style.size, style.weight}];
    if (!font) {
      const FaceHandle face(cairo_toy_font_face_create(
          kFamily, CAIRO_FONT_SLANT_NORMAL,
          style.weight == Weight::bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL));
      cairo_matrix_t size;
      cairo_matrix_t identity;
      cairo_matrix_init_scale(&size, style.size, style.size);
      cairo_matrix_init_identity(&identity);
      font.reset(cairo_scaled_font_create(face.get(), &size, &identity, font_options().get()));
      check_cairo(cairo_scaled_font_status(font.get()), "render::Font");
    }
    return font.get();
  }

 private:
  std::map<std::pair<double, Weight>, ScaledFontHandle> fonts_;
};

Font::Font() : faces_(std::make_unique<Faces>()) {}
Font::~Font() = default;

double Font::width(std::string_view text, const TextStyle& style) const {
  cairo_text_extents_t extents;
  cairo_scaled_font_text_extents(faces_->scaled(style), std::string(text).c_str(), &extents);
  return extents.x_advance;
}

double Font::ascent(const TextStyle& style) const {
  cairo_font_extents_t extents;
  cairo_scaled_font_extents(faces_->scaled(style), &extents);
  return extents.ascent;
}

double Font::line_height(const TextStyle& style) const {
  cairo_font_extents_t extents;
  cairo_scaled_font_extents(faces_->scaled(style), &extents);
  return extents.ascent + extents.descent;
}

std::string Font::fitted(std::string_view text, const TextStyle& style, double room) const {
  if (width(text, style) <= room) {
    return std::string(text);
  }
  const std::u32string points = decode(text);
  const auto shortened_to = [&](std::size_t count) {
    std::u32string kept = points.substr(0, count);
    kept.erase(kept.find_last_not_of(U' ') + 1);
    return encode(kept.append(kEllipsis));
  };
  const std::size_t count = longest(
      points.size(), [&](std::size_t kept) { return width(shortened_to(kept), style) <= room; });
  return shortened_to(count);
}

std::vector<std::string> Font::wrapped(std::string_view text, const TextStyle& style, double room,
                                       int most) const {
  std::vector<std::string> lines;
  std::u32string rest = decode(text);
  rest.erase(0, rest.find_first_not_of(U' '));
  while (!rest.empty()) {
    if (std::ssize(lines) + 1 == most) {
      lines.push_back(fitted(encode(rest), style, room));
      break;
    }
    // A line has a code point at least, however narrow the room.
    std::size_t count =
        std::max<std::size_t>(1, longest(rest.size(), [&](std::size_t kept) {
                                return width(encode(rest.substr(0, kept)), style) <= room;
                              }));
    if (count < rest.size() && rest[count] != U' ') {
      const std::size_t space = rest.rfind(U' ', count);
      count = space == std::u32string::npos ? count : space;
    }
    std::u32string line = rest.substr(0, count);
    line.erase(line.find_last_not_of(U' ') + 1);
    lines.push_back(encode(line));
    const std::size_t next = rest.find_first_not_of(U' ', count);
    rest.erase(0, next == std::u32string::npos ? rest.size() : next);
  }
  return lines;
}

}  // namespace attention::render::detail
