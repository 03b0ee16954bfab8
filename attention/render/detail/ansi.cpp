#include <array>
#include <cstdlib>

#include <attention/render/detail/ansi.hpp>

namespace attention::render::detail {
namespace {

// The palette: 16..231 are a cube of six levels per channel, 232..255 a ramp of greys.
constexpr std::array<int, 6> kLevels = {0, 95, 135, 175, 215, 255};
constexpr int kCube = 16;
constexpr int kGreys = 232;
constexpr int kGreyCount = 24;

int grey_level(int index) {
  return 8 + 10 * index;
}

int nearest_level(int channel) {
  int best = 0;
  for (int i = 1; i < static_cast<int>(kLevels.size()); ++i) {
    if (std::abs(kLevels[static_cast<std::size_t>(i)] - channel) <
        std::abs(kLevels[static_cast<std::size_t>(best)] - channel)) {
      best = i;
    }
  }
  return best;
}

int squared_distance(Color a, Color b) {
  const int red = a.red - b.red;
  const int green = a.green - b.green;
  const int blue = a.blue - b.blue;
  return red * red + green * green + blue * blue;
}

std::string parameters(Color color, ColorSupport support) {
  if (support == ColorSupport::ansi256) {
    return "5;" + std::to_string(nearest_of_256(color));
  }
  return "2;" + std::to_string(color.red) + ";" + std::to_string(color.green) + ";" +
         std::to_string(color.blue);
}

}  // namespace

int nearest_of_256(Color color) {
  const int cube = kCube + 36 * nearest_level(color.red) + 6 * nearest_level(color.green) +
                   nearest_level(color.blue);
  int best = cube;
  for (int i = 0; i < kGreyCount; ++i) {
    if (squared_distance(color_of_256(kGreys + i), color) <
        squared_distance(color_of_256(best), color)) {
      best = kGreys + i;
    }
  }
  return best;
}

Color color_of_256(int entry) {
  if (entry >= kGreys) {
    const auto level = static_cast<std::uint8_t>(grey_level(entry - kGreys));
    return {.red = level, .green = level, .blue = level};
  }
  const auto level = [&](int place) {
    return static_cast<std::uint8_t>(
        kLevels[static_cast<std::size_t>((entry - kCube) / place % 6)]);
  };
  return {.red = level(36), .green = level(6), .blue = level(1)};
}

std::string painted(std::string_view text, Color background, ColorSupport support) {
  if (support == ColorSupport::none) {
    return std::string(text);
  }
  const Color shown =
      support == ColorSupport::ansi256 ? color_of_256(nearest_of_256(background)) : background;
  std::string result = "\x1b[48;" + parameters(shown, support);
  result += ";38;" + parameters(text_color_on(shown), support) + "m";
  return result.append(text).append("\x1b[0m");
}

}  // namespace attention::render::detail
