#pragma once

#include <string>
#include <string_view>

#include <attention/render/detail/scene.hpp>

/// Private to the room: scenes on cairo's surfaces, as the bytes of a file. The same scene gives
/// the same bytes with one version of cairo and of the fonts. Throw Error, in the name of
/// `function`, when cairo fails.
namespace attention::render::detail {

/// Text becomes outlines, so that it looks the same everywhere. Ids are unique to the content:
/// several figures may stand inline in one page.
std::string svg_of(const Scene& scene, std::string_view function);

/// Without dates.
std::string pdf_of(const Scene& scene, std::string_view function);

/// `scale` pixels per unit.
std::string png_of(const Scene& scene, double scale, std::string_view function);

}  // namespace attention::render::detail
