#pragma once

#include <string_view>

#include <attention/render/detail/scene.hpp>
#include <attention/render/figure.hpp>

/// Private to the room: each kind of figure, checked already, as a scene. Throw Error, in the name
/// of `function`, when the given size leaves no room for what the figure shows.
namespace attention::render::detail {

Scene draw(const Heatmap& figure, const Font& font, std::string_view function);
Scene draw(const HeatmapGrid& figure, const Font& font, std::string_view function);
Scene draw(const Histogram& figure, const Font& font, std::string_view function);
Scene draw(const BarChart& figure, const Font& font, std::string_view function);
Scene draw(const LineChart& figure, const Font& font, std::string_view function);

}  // namespace attention::render::detail
