#include <attention/render/detail/scene.hpp>

namespace attention::render::detail {

void Scene::line(const Point& from, const Point& to, Color color, double line_width) {
  add(Path{.points = {from, to}, .color = color, .line_width = line_width});
}

void Scene::text(const Font& font, std::string_view text, const TextStyle& style,
                 const Placement& placement) {
  if (text.empty()) {
    return;
  }
  const double length = font.width(text, style);
  const double ascent = font.ascent(style);
  const double across = font.line_height(style);
  const bool up = placement.turn == Turn::up;
  Box box{.x = placement.anchor.x,
          .y = placement.anchor.y,
          .width = up ? across : length,
          .height = up ? length : across};
  if (placement.x != AlignX::left) {
    box.x -= placement.x == AlignX::centre ? box.width / 2 : box.width;
  }
  if (placement.y != AlignY::top) {
    box.y -= placement.y == AlignY::middle ? box.height / 2 : box.height;
  }
  const Point origin =
      up ? Point{.x = box.x + ascent, .y = box.bottom()} : Point{.x = box.x, .y = box.y + ascent};
  add(Text{.text = std::string(text),
           .origin = origin,
           .style = style,
           .turn = placement.turn,
           .box = box});
}

}  // namespace attention::render::detail
