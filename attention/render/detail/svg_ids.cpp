#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <map>

#include <attention/render/detail/svg_ids.hpp>

namespace attention::render::detail {
namespace {

std::string renumbered(std::string_view svg, std::string_view prefix) {
  std::map<std::string_view, std::size_t> numbers;
  std::string result;
  result.reserve(svg.size());
  std::size_t done = 0;
  // An id stands in quotes after id=, and after a # in quotes or in parentheses. All text of a
  // figure is outlines, and base64 has none of these signs: they are the markup's own.
  for (std::size_t at = svg.find_first_of("\"("); at != std::string_view::npos;
       at = svg.find_first_of("\"(", at + 1)) {
    const bool defined = svg.substr(0, at).ends_with(" id=");
    const bool referred = svg.substr(at + 1, 1) == "#";
    if (!defined && !referred) {
      continue;
    }
    const std::size_t begin = at + (defined ? 1 : 2);
    const std::size_t end = std::min(svg.find_first_of("\")", begin), svg.size());
    const std::size_t number =
        numbers.emplace(svg.substr(begin, end - begin), numbers.size()).first->second;
    result.append(svg.substr(done, begin - done)).append(prefix).append(std::to_string(number));
    done = end;
    at = end;
  }
  return result.append(svg.substr(done));
}

/// FNV-1a, 64 bits (G. Fowler, L. C. Noll, K.-P. Vo), folded to 32.
std::uint32_t hash_of(std::string_view bytes) {
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (const char byte : bytes) {
    hash = (hash ^ static_cast<std::uint8_t>(byte)) * 0x100000001B3U;
  }
  return static_cast<std::uint32_t>(hash ^ (hash >> 32));
}

}  // namespace

std::string with_ids_of_content(std::string_view svg) {
  const std::string content = renumbered(svg, "f");
  std::array<char, 16> digits = {};
  const auto [end, error] =
      std::to_chars(digits.data(), digits.data() + digits.size(), hash_of(content), 16);
  return renumbered(content, std::string("f").append(digits.data(), end).append("-"));
}

}  // namespace attention::render::detail
