#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include <attention/core/error.hpp>
#include <attention/render/colormap.hpp>

namespace attention::render {
namespace {

constexpr Color hex(std::uint32_t rgb) {
  return {.red = static_cast<std::uint8_t>(rgb >> 16),
          .green = static_cast<std::uint8_t>(rgb >> 8),
          .blue = static_cast<std::uint8_t>(rgb)};
}

constexpr std::array kBlues = {hex(0xF7FBFF), hex(0xDEEBF7), hex(0xC6DBEF),
                               hex(0x9ECAE1), hex(0x6BAED6), hex(0x4292C6),
                               hex(0x2171B5), hex(0x08519C), hex(0x08306B)};

constexpr std::array kViridis = {
    hex(0x440154), hex(0x48186A), hex(0x472D7B), hex(0x424086), hex(0x3B528B), hex(0x33638D),
    hex(0x2C728E), hex(0x26828E), hex(0x21918C), hex(0x1FA088), hex(0x28AE80), hex(0x3FBC73),
    hex(0x5EC962), hex(0x84D44B), hex(0xADDC30), hex(0xD8E219), hex(0xFDE725)};

constexpr std::array kCividis = {hex(0x00224E), hex(0x083370), hex(0x35456C), hex(0x4F576C),
                                 hex(0x666970), hex(0x7D7C78), hex(0x948E77), hex(0xAEA371),
                                 hex(0xC8B866), hex(0xE5CF52), hex(0xFEE838)};

constexpr std::array kDiverging = {hex(0x053061), hex(0x2166AC), hex(0x4393C3), hex(0x92C5DE),
                                   hex(0xD1E5F0), hex(0xF7F7F7), hex(0xFDDBC7), hex(0xF4A582),
                                   hex(0xD6604D), hex(0xB2182B), hex(0x67001F)};

constexpr std::array kMaps = {Colormap::blues, Colormap::viridis, Colormap::cividis,
                              Colormap::diverging};

std::uint8_t mix(std::uint8_t a, std::uint8_t b, double fraction) {
  return static_cast<std::uint8_t>(std::lround(a + (b - a) * fraction));
}

double linear_light(std::uint8_t channel) {
  const double value = channel / 255.0;
  return value <= 0.04045 ? value / 12.92 : std::pow((value + 0.055) / 1.055, 2.4);
}

}  // namespace

std::string_view name_of(Colormap map) noexcept {
  switch (map) {
    case Colormap::blues:
      return "blues";
    case Colormap::viridis:
      return "viridis";
    case Colormap::cividis:
      return "cividis";
    case Colormap::diverging:
      return "diverging";
  }
  return "unknown";
}

Colormap colormap_from_name(std::string_view name) {
  const auto* const found =
      std::ranges::find_if(kMaps, [&](Colormap map) { return name_of(map) == name; });
  require(found != kMaps.end(), "colormap_from_name",
          "the name must be one of blues, viridis, cividis, diverging",
          [&] { return std::string("\"").append(name).append("\""); });
  return *found;
}

std::span<const Color> anchors(Colormap map) noexcept {
  switch (map) {
    case Colormap::viridis:
      return kViridis;
    case Colormap::cividis:
      return kCividis;
    case Colormap::diverging:
      return kDiverging;
    case Colormap::blues:
      break;
  }
  return kBlues;
}

Color sample(Colormap map, double t) noexcept {
  if (std::isnan(t)) {
    return kNoValue;
  }
  const std::span<const Color> colors = anchors(map);
  const double place = std::clamp(t, 0.0, 1.0) * static_cast<double>(colors.size() - 1);
  const std::size_t left = std::min(static_cast<std::size_t>(place), colors.size() - 2);
  const double fraction = place - static_cast<double>(left);
  const Color& a = colors[left];
  const Color& b = colors[left + 1];
  return {.red = mix(a.red, b.red, fraction),
          .green = mix(a.green, b.green, fraction),
          .blue = mix(a.blue, b.blue, fraction)};
}

double luminance(Color color) noexcept {
  return 0.2126 * linear_light(color.red) + 0.7152 * linear_light(color.green) +
         0.0722 * linear_light(color.blue);
}

double contrast(Color a, Color b) noexcept {
  const auto [darker, lighter] = std::minmax({luminance(a), luminance(b)});
  return (lighter + 0.05) / (darker + 0.05);
}

Color text_color_on(Color background) noexcept {
  return contrast(background, kBlack) >= contrast(background, kWhite) ? kBlack : kWhite;
}

}  // namespace attention::render
