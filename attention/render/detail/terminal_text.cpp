#include <algorithm>
#include <array>
#include <cmath>

#include <attention/core/error.hpp>
#include <attention/render/detail/terminal_text.hpp>

namespace attention::render::detail {
namespace {

constexpr std::array<std::string_view, 10> kAsciiShades = {" ", ".", ":", "-", "=",
                                                           "+", "*", "#", "%", "@"};
constexpr std::array<std::string_view, 5> kUnicodeShades = {" ", "░", "▒", "▓", "█"};

}  // namespace

std::string spaces(int count) {
  std::string result;
  result.append(static_cast<std::size_t>(std::max(count, 0)), ' ');
  return result;
}

TerminalText::TerminalText(const TerminalOptions& options) : options_(options) {
  require(options.width >= 40 && options.width <= 1000, "render::to_terminal",
          "width must lie in [40, 1000]", [&] { return std::to_string(options.width); });
  require(options.height >= 1 && options.height <= 10000, "render::to_terminal",
          "height must lie in [1, 10000]", [&] { return std::to_string(options.height); });
}

std::string TerminalText::fitted(std::string_view text, int columns) const {
  const std::string harmless = clean(text);
  return is_unicode() ? shortened(harmless, columns, "…")
                      : shortened(to_ascii(harmless), columns, "~");
}

std::string TerminalText::left(std::string_view text, int columns) const {
  const std::string fit = fitted(text, columns);
  return fit + spaces(columns - display_width(fit));
}

std::string TerminalText::right(std::string_view text, int columns) const {
  const std::string fit = fitted(text, columns);
  return spaces(columns - display_width(fit)) + fit;
}

std::string TerminalText::centred(std::string_view text, int columns) const {
  const std::string fit = fitted(text, columns);
  const int free = columns - display_width(fit);
  return spaces(free / 2) + fit + spaces(free - free / 2);
}

int TerminalText::width_of(std::string_view text) const {
  const std::string harmless = clean(text);
  return display_width(is_unicode() ? harmless : to_ascii(harmless));
}

std::string TerminalText::shade(double share) const {
  if (std::isnan(share)) {
    return "?";
  }
  const std::size_t count = is_unicode() ? kUnicodeShades.size() : kAsciiShades.size();
  const double place = std::clamp(share, 0.0, 1.0) * static_cast<double>(count);
  const std::size_t index = std::min(static_cast<std::size_t>(place), count - 1);
  return std::string(is_unicode() ? kUnicodeShades[index] : kAsciiShades[index]);
}

std::string TerminalText::shades() const {
  std::string result;
  const int count = static_cast<int>(is_unicode() ? kUnicodeShades.size() : kAsciiShades.size());
  for (int i = 0; i < count; ++i) {
    result += shade((i + 0.5) / count);
  }
  return result;
}

void TerminalText::line(std::string_view text) {
  const std::size_t last = text.find_last_not_of(' ');
  text_.append(text.substr(0, last == std::string_view::npos ? 0 : last + 1)).push_back('\n');
}

}  // namespace attention::render::detail
