#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <attention/render/colormap.hpp>
#include <attention/render/detail/font.hpp>

/// Private to the room. What a figure looks like, as a list of shapes and texts: laid out by the
/// draw_* functions, put on paper by the canvas, looked at by the tests.
namespace attention::render::detail {

/// Page coordinates: x to the right, y downwards.
struct Point {
  double x = 0;
  double y = 0;
};

struct Box {
  double x = 0;
  double y = 0;
  double width = 0;
  double height = 0;

  double right() const noexcept { return x + width; }
  double bottom() const noexcept { return y + height; }
  Point centre() const noexcept { return {.x = x + width / 2, .y = y + height / 2}; }
};

/// A filled rectangle.
struct Rectangle {
  Box box;
  Color color;
};

/// A line through points, or the area that they enclose; only what lies in `clip` is shown.
struct Path {
  enum class Paint { stroke, fill };
  std::vector<Point> points;
  Color color;
  Paint paint = Paint::stroke;
  double opacity = 1;
  double line_width = 1;
  std::vector<double> dashes = {};
  std::optional<Box> clip = {};
};

/// A filled circle with a white rim.
struct Disc {
  Point centre;
  double radius = 3;
  Color color;
  std::optional<Box> clip = {};
};

/// A box filled from bottom to top with evenly spaced colours, linear between them.
struct Gradient {
  Box box;
  std::vector<Color> colors;
};

/// A box filled with rows of pixels, from the top left.
struct Raster {
  Box box;
  int columns = 0;
  int rows = 0;
  std::vector<Color> pixels;
};

enum class Turn {
  none,
  up,  ///< By 90 degrees: reads from bottom to top.
};

struct Text {
  std::string text;
  /// Where the baseline begins.
  Point origin;
  TextStyle style;
  Turn turn = Turn::none;
  /// What it covers, from the font's ascent to its descent.
  Box box;
};

enum class AlignX { left, centre, right };
enum class AlignY { top, middle, bottom };

/// Where a text stands in relation to its anchor.
struct Placement {
  Point anchor;
  AlignX x = AlignX::left;
  AlignY y = AlignY::middle;
  Turn turn = Turn::none;
};

struct Scene {
  using Item = std::variant<Rectangle, Path, Disc, Gradient, Raster, Text>;

  double width = 0;
  double height = 0;
  /// For the metadata of the file.
  std::string title = {};
  /// In the order of painting.
  std::vector<Item> items = {};

  template <class Shape>
  void add(Shape shape) {
    items.emplace_back(std::in_place_type<Shape>, std::move(shape));
  }
  /// A straight line.
  void line(const Point& from, const Point& to, Color color, double line_width);
  /// A text that is already harmless; nothing when it is empty.
  void text(const Font& font, std::string_view text, const TextStyle& style,
            const Placement& placement);
};

}  // namespace attention::render::detail
