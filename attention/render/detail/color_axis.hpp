#pragma once

#include <span>
#include <vector>

#include <attention/core/export.hpp>
#include <attention/render/detail/ticks.hpp>
#include <attention/render/figure.hpp>

/// Private to the room; exported because the component `render` uses it across the library's
/// border.
namespace attention::render::detail {

/// A ColorScale whose limits are settled.
struct ColorAxis {
  Colormap colormap = Colormap::blues;
  Scale scale = Scale::linear;
  Range range;
  /// What the data has that the colour bar must tell: values beyond its ends, NaNs.
  bool below = false;
  bool above = false;
  bool has_nan = false;

  Color color(double value) const { return sample(colormap, position(value, range, scale)); }
};

/// Settles the limits from the values of the panels together.
ATTENTION_API ColorAxis color_axis(const ColorScale& scale, std::span<const Heatmap* const> panels);

}  // namespace attention::render::detail
