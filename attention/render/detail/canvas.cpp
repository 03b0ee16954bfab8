#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include <cairo-pdf.h>
#include <cairo-svg.h>

#include <attention/render/detail/cairo.hpp>
#include <attention/render/detail/canvas.hpp>
#include <attention/render/detail/svg_ids.hpp>

namespace attention::render::detail {
namespace {

/// What cairo calls with each piece of a file; exceptions must not pass through it.
cairo_status_t append(void* bytes, const unsigned char* data, unsigned int length) noexcept {
  try {
    static_cast<std::string*>(bytes)->append(data, data + length);
    return CAIRO_STATUS_SUCCESS;
  } catch (const std::bad_alloc&) {
    return CAIRO_STATUS_NO_MEMORY;
  } catch (const std::length_error&) {
    return CAIRO_STATUS_WRITE_ERROR;
  }
}

/// Puts the items of a scene on one surface.
class Canvas {
 public:
  Canvas(cairo_surface_t* surface, std::string_view function)
      : context_(cairo_create(surface)), function_(function) {
    check_cairo(cairo_status(context_.get()), function_);
    cairo_set_font_options(context_.get(), font_options().get());
  }

  void scale(double factor) { cairo_scale(context_.get(), factor, factor); }

  void paint(const Scene& scene) {
    set_color(kWhite);
    cairo_paint(context_.get());
    for (const Scene::Item& item : scene.items) {
      std::visit([this](const auto& shape) { draw(shape); }, item);
    }
    check_cairo(cairo_status(context_.get()), function_);
  }

 private:
  void set_color(Color color, double opacity = 1) {
    cairo_set_source_rgba(context_.get(), color.red / 255.0, color.green / 255.0,
                          color.blue / 255.0, opacity);
  }

  void outline(const Box& box) {
    cairo_rectangle(context_.get(), box.x, box.y, box.width, box.height);
  }

  void clip(const std::optional<Box>& box) {
    if (box) {
      outline(*box);
      cairo_clip(context_.get());
    }
  }

  void draw(const Rectangle& shape) {
    set_color(shape.color);
    outline(shape.box);
    cairo_fill(context_.get());
  }

  void draw(const Path& shape) {
    cairo_t* const c = context_.get();
    cairo_save(c);
    clip(shape.clip);
    // Text leaves a current point behind, which a line would start from.
    cairo_new_path(c);
    for (const Point& point : shape.points) {
      cairo_line_to(c, point.x, point.y);
    }
    set_color(shape.color, shape.opacity);
    if (shape.paint == Path::Paint::fill) {
      cairo_close_path(c);
      cairo_fill(c);
    } else {
      cairo_set_line_width(c, shape.line_width);
      cairo_set_line_join(c, CAIRO_LINE_JOIN_ROUND);
      cairo_set_dash(c, shape.dashes.data(), static_cast<int>(shape.dashes.size()), 0);
      cairo_stroke(c);
    }
    cairo_restore(c);
  }

  void draw(const Disc& shape) {
    cairo_t* const c = context_.get();
    constexpr double kFullTurn = 6.283185307179586;
    cairo_save(c);
    clip(shape.clip);
    cairo_new_sub_path(c);
    cairo_arc(c, shape.centre.x, shape.centre.y, shape.radius, 0, kFullTurn);
    set_color(shape.color);
    cairo_fill_preserve(c);
    set_color(kWhite);
    cairo_set_line_width(c, 1);
    cairo_stroke(c);
    cairo_restore(c);
  }

  void draw(const Gradient& shape) {
    const PatternHandle pattern(cairo_pattern_create_linear(0, shape.box.bottom(), 0, shape.box.y));
    for (std::size_t i = 0; i < shape.colors.size(); ++i) {
      const Color color = shape.colors[i];
      const double place = static_cast<double>(i) / static_cast<double>(shape.colors.size() - 1);
      cairo_pattern_add_color_stop_rgb(pattern.get(), place, color.red / 255.0, color.green / 255.0,
                                       color.blue / 255.0);
    }
    cairo_set_source(context_.get(), pattern.get());
    outline(shape.box);
    cairo_fill(context_.get());
  }

  void draw(const Raster& shape) {
    const SurfaceHandle image(
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, shape.columns, shape.rows));
    check_cairo(cairo_surface_status(image.get()), function_);
    cairo_surface_flush(image.get());
    unsigned char* const bytes = cairo_image_surface_get_data(image.get());
    const std::ptrdiff_t stride = cairo_image_surface_get_stride(image.get());
    auto pixel = shape.pixels.begin();
    for (std::ptrdiff_t row = 0; row < shape.rows; ++row) {
      // cairo aligns rows to the pixels, which are 32-bit numbers.
      auto* const words = reinterpret_cast<std::uint32_t*>(bytes + row * stride);
      for (std::ptrdiff_t column = 0; column < shape.columns; ++column, ++pixel) {
        words[column] = static_cast<std::uint32_t>(pixel->red << 16 | pixel->green << 8) |
                        std::uint32_t{pixel->blue};
      }
    }
    cairo_surface_mark_dirty(image.get());
    cairo_t* const c = context_.get();
    cairo_save(c);
    outline(shape.box);
    cairo_clip(c);
    cairo_translate(c, shape.box.x, shape.box.y);
    cairo_scale(c, shape.box.width / shape.columns, shape.box.height / shape.rows);
    cairo_set_source_surface(c, image.get(), 0, 0);
    // Cells stay cells when they are enlarged.
    cairo_pattern_set_filter(cairo_get_source(c), CAIRO_FILTER_NEAREST);
    cairo_paint(c);
    cairo_restore(c);
  }

  void draw(const Text& shape) {
    cairo_t* const c = context_.get();
    constexpr double kQuarterTurn = 1.5707963267948966;
    cairo_save(c);
    cairo_select_font_face(
        c, Font::kFamily, CAIRO_FONT_SLANT_NORMAL,
        shape.style.weight == Weight::bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(c, shape.style.size);
    set_color(shape.style.color);
    cairo_translate(c, shape.origin.x, shape.origin.y);
    if (shape.turn == Turn::up) {
      cairo_rotate(c, -kQuarterTurn);
    }
    cairo_move_to(c, 0, 0);
    cairo_show_text(c, shape.text.c_str());
    cairo_restore(c);
  }

  ContextHandle context_;
  std::string_view function_;
};

/// Paints the scene on a surface that writes to a stream, and ends the document.
void write_document(const SurfaceHandle& surface, const Scene& scene, std::string_view function) {
  check_cairo(cairo_surface_status(surface.get()), function);
  Canvas(surface.get(), function).paint(scene);
  cairo_surface_finish(surface.get());
  check_cairo(cairo_surface_status(surface.get()), function);
}

}  // namespace

std::string svg_of(const Scene& scene, std::string_view function) {
  std::string bytes;
  const SurfaceHandle surface(
      cairo_svg_surface_create_for_stream(append, &bytes, scene.width, scene.height));
  cairo_svg_surface_set_document_unit(surface.get(), CAIRO_SVG_UNIT_PX);
  write_document(surface, scene, function);
  return with_ids_of_content(bytes);
}

std::string pdf_of(const Scene& scene, std::string_view function) {
  std::string bytes;
  const SurfaceHandle surface(
      cairo_pdf_surface_create_for_stream(append, &bytes, scene.width, scene.height));
  // An empty date is left out; without this call cairo writes the time of day.
  cairo_pdf_surface_set_metadata(surface.get(), CAIRO_PDF_METADATA_CREATE_DATE, "");
  if (!scene.title.empty()) {
    cairo_pdf_surface_set_metadata(surface.get(), CAIRO_PDF_METADATA_TITLE, scene.title.c_str());
  }
  write_document(surface, scene, function);
  return bytes;
}

std::string png_of(const Scene& scene, double scale, std::string_view function) {
  const auto pixels = [&](double units) { return static_cast<int>(std::lround(units * scale)); };
  const SurfaceHandle surface(cairo_image_surface_create(
      CAIRO_FORMAT_RGB24, std::max(pixels(scene.width), 1), std::max(pixels(scene.height), 1)));
  check_cairo(cairo_surface_status(surface.get()), function);
  {
    Canvas canvas(surface.get(), function);
    canvas.scale(scale);
    canvas.paint(scene);
  }
  std::string bytes;
  check_cairo(cairo_surface_write_to_png_stream(surface.get(), append, &bytes), function);
  return bytes;
}

}  // namespace attention::render::detail
