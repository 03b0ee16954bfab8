#include <algorithm>
#include <cmath>
#include <mutex>

#include <attention/core/atomic_file.hpp>
#include <attention/core/error.hpp>
#include <attention/render/detail/canvas.hpp>
#include <attention/render/detail/check.hpp>
#include <attention/render/detail/draw.hpp>
#include <attention/render/detail/ticks.hpp>
#include <attention/render/save.hpp>

namespace attention::render {
namespace {

constexpr double kGreatestScale = 16;
/// cairo's own limit.
constexpr double kMostPixels = 32767;

/// Held while cairo works. It may be called from several threads, but the pools that it shares
/// among them are synchronised in ways that no thread sanitizer sees, and versions differ in their
/// faults.
std::mutex& cairo_mutex() {
  static std::mutex mutex;
  return mutex;
}

detail::Scene scene_of(const FigureRef& figure, std::string_view function) {
  const detail::Font font;
  return std::visit(
      [&](const auto* kind) {
        detail::check(*kind, function);
        return detail::draw(*kind, font, function);
      },
      figure.pointer());
}

std::string png_of(const FigureRef& figure, const PngOptions& options, std::string_view function) {
  require(options.scale > 0 && options.scale <= kGreatestScale, function,
          "scale must lie in (0, 16]", [&] { return detail::fixed(options.scale, 3); });
  const std::scoped_lock lock(cairo_mutex());
  const detail::Scene scene = scene_of(figure, function);
  require(std::max(scene.width, scene.height) * options.scale <= kMostPixels, function,
          "no side of a PNG may exceed 32767 pixels", [&] {
            return detail::fixed(scene.width, 0) + " x " + detail::fixed(scene.height, 0) +
                   " units at scale " + detail::fixed(options.scale, 3);
          });
  return detail::png_of(scene, options.scale, function);
}

std::string svg_of(const FigureRef& figure, std::string_view function) {
  const std::scoped_lock lock(cairo_mutex());
  return detail::svg_of(scene_of(figure, function), function);
}

std::string pdf_of(const FigureRef& figure, std::string_view function) {
  const std::scoped_lock lock(cairo_mutex());
  return detail::pdf_of(scene_of(figure, function), function);
}

std::string extension_of(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return extension;
}

}  // namespace

std::string to_svg(const FigureRef& figure) {
  return svg_of(figure, "render::to_svg");
}

std::string to_pdf(const FigureRef& figure) {
  return pdf_of(figure, "render::to_pdf");
}

std::string to_png(const FigureRef& figure, const PngOptions& options) {
  return png_of(figure, options, "render::to_png");
}

void save(const FigureRef& figure, const std::filesystem::path& path, const PngOptions& options) {
  constexpr std::string_view kFunction = "render::save";
  const std::string extension = extension_of(path);
  require(extension == ".png" || extension == ".svg" || extension == ".pdf", kFunction,
          "the extension must be .png, .svg or .pdf", [&] { return path.string(); });
  if (extension == ".png") {
    write_file_atomically(path, png_of(figure, options, kFunction));
    return;
  }
  write_file_atomically(
      path, extension == ".svg" ? svg_of(figure, kFunction) : pdf_of(figure, kFunction));
}

}  // namespace attention::render
