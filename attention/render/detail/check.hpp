#pragma once

#include <string_view>

#include <attention/core/export.hpp>
#include <attention/render/figure.hpp>

/// Private to the room; exported because the component `render` uses it across the library's
/// border.
namespace attention::render::detail {

/// Throws Error, in the name of `function`, when the figure breaks a rule of figure.hpp.
ATTENTION_API void check(const Heatmap& figure, std::string_view function);
ATTENTION_API void check(const HeatmapGrid& figure, std::string_view function);
ATTENTION_API void check(const Histogram& figure, std::string_view function);
ATTENTION_API void check(const BarChart& figure, std::string_view function);
ATTENTION_API void check(const LineChart& figure, std::string_view function);

}  // namespace attention::render::detail
