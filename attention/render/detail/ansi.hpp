#pragma once

#include <string>
#include <string_view>

#include <attention/render/colormap.hpp>
#include <attention/render/terminal.hpp>

/// Private to the room.
namespace attention::render::detail {

/// The entry of xterm's palette that is nearest to the colour: 16 to 255 (the first 16 differ from
/// terminal to terminal).
int nearest_of_256(Color color);

/// The colour of that entry, 16 to 255.
Color color_of_256(int entry);

/// The text on a background of that colour, in black or white, ended by a reset. As it is, without
/// colour.
std::string painted(std::string_view text, Color background, ColorSupport support);

}  // namespace attention::render::detail
