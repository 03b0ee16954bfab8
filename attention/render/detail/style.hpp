#pragma once

#include <array>
#include <string>
#include <string_view>

#include <attention/render/detail/font.hpp>

/// Private to the room: the looks that all figures share.
namespace attention::render::detail {

inline constexpr Color kInk{.red = 0x26, .green = 0x26, .blue = 0x26};
inline constexpr Color kAxisGrey{.red = 0x8C, .green = 0x8C, .blue = 0x8C};
inline constexpr Color kGridGrey{.red = 0xE4, .green = 0xE4, .blue = 0xE4};
inline constexpr Color kHatchGrey{.red = 0x9A, .green = 0x9A, .blue = 0x9A};

inline constexpr TextStyle kTitleStyle{.size = 14, .weight = Weight::bold, .color = kInk};
inline constexpr TextStyle kPanelTitleStyle{.size = 12, .weight = Weight::normal, .color = kInk};
inline constexpr TextStyle kAxisTitleStyle{.size = 11.5, .weight = Weight::normal, .color = kInk};
inline constexpr TextStyle kLabelStyle{.size = 10.5, .weight = Weight::normal, .color = kInk};

/// About the whole figure.
inline constexpr double kMargin = 16;
/// Between a label and what it labels.
inline constexpr double kLabelGap = 6;
inline constexpr int kTitleLines = 4;

/// Colours that all readers tell apart, in the order of use: the palette of M. Okabe and K. Ito,
/// "Color universal design" (2008), without its yellow, which is too light for lines on white.
inline constexpr std::array kSeriesColors = {Color{.red = 0x00, .green = 0x72, .blue = 0xB2},
                                             Color{.red = 0xD5, .green = 0x5E, .blue = 0x00},
                                             Color{.red = 0x00, .green = 0x9E, .blue = 0x73},
                                             Color{.red = 0xCC, .green = 0x79, .blue = 0xA7},
                                             Color{.red = 0xE6, .green = 0x9F, .blue = 0x00},
                                             Color{.red = 0x56, .green = 0xB4, .blue = 0xE9},
                                             Color{.red = 0x00, .green = 0x00, .blue = 0x00}};

/// Areas of bars: the first of these, lighter, so that lines stand out on it.
inline constexpr Color kBarColor{.red = 0x4D, .green = 0x9C, .blue = 0xC9};

/// A number's text with the minus sign in the place of a hyphen.
std::string with_minus_sign(std::string_view number);

/// A number's text as it is printed: with the minus sign, and "1e-4" as a power of ten.
std::string typographic(std::string_view number);

}  // namespace attention::render::detail
