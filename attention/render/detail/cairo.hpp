#pragma once

#include <memory>
#include <new>
#include <string_view>

#include <cairo.h>

#include <attention/core/error.hpp>

/// Private to the room: cairo's handles, owned.
namespace attention::render::detail {

template <auto Destroy>
struct CairoDeleter {
  template <class T>
  void operator()(T* handle) const noexcept {
    Destroy(handle);
  }
};

using SurfaceHandle = std::unique_ptr<cairo_surface_t, CairoDeleter<cairo_surface_destroy>>;
using ContextHandle = std::unique_ptr<cairo_t, CairoDeleter<cairo_destroy>>;
using PatternHandle = std::unique_ptr<cairo_pattern_t, CairoDeleter<cairo_pattern_destroy>>;
using FaceHandle = std::unique_ptr<cairo_font_face_t, CairoDeleter<cairo_font_face_destroy>>;
using ScaledFontHandle =
    std::unique_ptr<cairo_scaled_font_t, CairoDeleter<cairo_scaled_font_destroy>>;
using FontOptionsHandle =
    std::unique_ptr<cairo_font_options_t, CairoDeleter<cairo_font_options_destroy>>;

/// Throws std::bad_alloc or Error unless cairo succeeded.
inline void check_cairo(cairo_status_t status, std::string_view function) {
  if (status == CAIRO_STATUS_NO_MEMORY) {
    throw std::bad_alloc();
  }
  require(status == CAIRO_STATUS_SUCCESS, function, "cairo must be able to draw the figure",
          [&] { return std::string_view(cairo_status_to_string(status)); });
}

/// No hinting: text has the same proportions at every scale and in every format.
inline FontOptionsHandle font_options() {
  FontOptionsHandle options(cairo_font_options_create());
  cairo_font_options_set_hint_style(options.get(), CAIRO_HINT_STYLE_NONE);
  cairo_font_options_set_hint_metrics(options.get(), CAIRO_HINT_METRICS_OFF);
  cairo_font_options_set_antialias(options.get(), CAIRO_ANTIALIAS_GRAY);
  return options;
}

}  // namespace attention::render::detail
