#include <attention/render/detail/style.hpp>

namespace attention::render::detail {
namespace {

constexpr std::array<std::string_view, 10> kSuperscripts = {"⁰", "¹", "²", "³", "⁴",
                                                            "⁵", "⁶", "⁷", "⁸", "⁹"};

}  // namespace

std::string with_minus_sign(std::string_view number) {
  return number.starts_with('-') ? std::string("−").append(number.substr(1)) : std::string(number);
}

std::string typographic(std::string_view number) {
  const std::size_t e = number.find('e');
  if (e == std::string_view::npos) {
    return with_minus_sign(number);
  }
  const std::string_view mantissa = number.substr(0, e);
  std::string text = mantissa == "1" ? "10" : with_minus_sign(mantissa) + "×10";
  for (const char digit : number.substr(e + 1)) {
    text += digit == '-' ? "⁻" : kSuperscripts[static_cast<std::size_t>(digit - '0')];
  }
  return text;
}

}  // namespace attention::render::detail
