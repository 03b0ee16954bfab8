#pragma once

#include <filesystem>
#include <string>

#include <attention/core/export.hpp>
#include <attention/render/figure.hpp>

/// Figures as files: the component attention::render.
///
/// One drawing serves the three formats. Text is set in DejaVu Sans, or in the sans-serif font that
/// the system offers in its place, one code point after the other: scripts that need shaping, and
/// characters that the font lacks (drawn as boxes), are not for figures. The same figure gives the
/// same bytes with one version of cairo and of the fonts: no dates, no random ids. Calls on
/// several threads are safe and draw one after the other.
///
/// Every function throws Error when the figure breaks a rule of figure.hpp, when its width and
/// height leave no room for what it shows, or when cairo cannot draw it.
namespace attention::render {

struct PngOptions {
  /// Pixels per unit of the figure, in (0, 16]; no side may exceed 32767 pixels.
  double scale = 2;
};

/// The bytes of a file. Texts of an SVG are outlines, and its ids are made from its content, so
/// that many figures may stand inline in one page; texts of a PDF can be searched.
ATTENTION_API std::string to_svg(const FigureRef& figure);
ATTENTION_API std::string to_pdf(const FigureRef& figure);
ATTENTION_API std::string to_png(const FigureRef& figure, const PngOptions& options = {});

/// Writes the figure to a file in the format of the path's extension: .png, .svg or .pdf, in small
/// letters or capitals.
///
/// The file appears whole or not at all, as by AtomicFile. Throws Error for another extension,
/// FileError when the file cannot be written.
ATTENTION_API void save(const FigureRef& figure, const std::filesystem::path& path,
                        const PngOptions& options = {});

}  // namespace attention::render
