#pragma once

#include <span>
#include <string>
#include <string_view>

namespace attention::cli {

/// The candidate that is nearest to what was typed, if it is near enough to be meant (at most a
/// third of its letters changed, added, dropped or exchanged with a neighbour); empty otherwise.
std::string nearest(std::string_view typed, std::span<const std::string> candidates);

/// " (did you mean 'NAME'?)", or nothing.
std::string suggestion(std::string_view typed, std::span<const std::string> candidates);

}  // namespace attention::cli
