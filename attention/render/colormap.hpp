#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <attention/core/export.hpp>

namespace attention::render {

/// An sRGB colour.
struct Color {
  std::uint8_t red = 0;
  std::uint8_t green = 0;
  std::uint8_t blue = 0;

  friend bool operator==(const Color&, const Color&) = default;
};

inline constexpr Color kBlack{};
inline constexpr Color kWhite{.red = 255, .green = 255, .blue = 255};
/// What a value that is not a number gets in every colour map.
inline constexpr Color kNoValue{.red = 217, .green = 217, .blue = 217};

/// How a number becomes a colour. All are safe for colour-blind readers.
enum class Colormap {
  blues,      ///< White to dark blue (ColorBrewer Blues): weights, from none to all.
  viridis,    ///< Dark violet to yellow, even steps of lightness.
  cividis,    ///< Dark blue to yellow, the same to readers with and without colour blindness.
  diverging,  ///< Blue over white to red (ColorBrewer RdBu, reversed): signed values about 0.
};

/// "blues", "viridis", "cividis", "diverging".
ATTENTION_API std::string_view name_of(Colormap map) noexcept;

/// The colour map of that name. Throws Error, which lists the names, when there is none.
ATTENTION_API Colormap colormap_from_name(std::string_view name);

/// The published anchor colours of a map, evenly spaced from its low end to its high end.
ATTENTION_API std::span<const Color> anchors(Colormap map) noexcept;

/// The colour at t in [0, 1]: linear in sRGB between the two nearest anchors. t outside is taken to
/// the nearer end; NaN gives kNoValue.
ATTENTION_API Color sample(Colormap map, double t) noexcept;

/// Relative luminance, 0 for black to 1 for white.
///
/// Source: WCAG 2.1, "relative luminance" (with the threshold of IEC 61966-2-1, 0.04045).
ATTENTION_API double luminance(Color color) noexcept;

/// Contrast ratio of two colours, (lighter + 0.05) / (darker + 0.05): 1 to 21.
///
/// Source: WCAG 2.1, "contrast ratio".
ATTENTION_API double contrast(Color a, Color b) noexcept;

/// Black or white, whichever is easier to read on the background: a contrast of 4.58 or more on
/// any.
ATTENTION_API Color text_color_on(Color background) noexcept;

}  // namespace attention::render
