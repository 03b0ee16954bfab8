#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <attention/render/colormap.hpp>

/// Private to the room.
namespace attention::render::detail {

enum class Weight { normal, bold };

struct TextStyle {
  double size = 10;
  Weight weight = Weight::normal;
  Color color = kBlack;
};

/// Measures text as the canvas will draw it: in DejaVu Sans, or in what the system offers in its
/// place. One code point after the other, without joining or reordering (no shaping); a character
/// that the font lacks is an empty box.
class Font {
 public:
  /// The family that figures ask for.
  static constexpr const char* kFamily = "DejaVu Sans";

  Font();
  ~Font();
  Font(const Font&) = delete;
  Font& operator=(const Font&) = delete;
  Font(Font&&) = delete;
  Font& operator=(Font&&) = delete;

  double width(std::string_view text, const TextStyle& style) const;
  double ascent(const TextStyle& style) const;
  double line_height(const TextStyle& style) const;

  /// The text if it is no wider than `room`, or its beginning with an ellipsis.
  std::string fitted(std::string_view text, const TextStyle& style, double room) const;
  /// Lines no wider than `room`, broken between words (and inside of a word that is wider); what
  /// is left after `most` lines is cut off with an ellipsis. Nothing for an empty text.
  std::vector<std::string> wrapped(std::string_view text, const TextStyle& style, double room,
                                   int most) const;

 private:
  class Faces;
  std::unique_ptr<Faces> faces_;
};

}  // namespace attention::render::detail
