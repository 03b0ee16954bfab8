#include <algorithm>
#include <cmath>

#include <attention/render/detail/labels.hpp>
#include <attention/render/detail/style.hpp>
#include <attention/render/detail/text.hpp>

namespace attention::render::detail {
namespace {

constexpr double kMarkLength = 3;
/// Between two labels beside each other.
constexpr double kSpace = 6;

/// 1, 2, 5, 10, 20, ...: the first for which `step` cells have the room.
std::int64_t step_for(double needed, double cell, std::int64_t count) {
  std::int64_t power = 1;
  for (;;) {
    for (const std::int64_t mantissa : {1, 2, 5}) {
      const std::int64_t step = mantissa * power;
      if (static_cast<double>(step) * cell >= needed || step >= count) {
        return step;
      }
    }
    power *= 10;
  }
}

std::vector<std::string> texts_of(const Font& font, const LabelRequest& request) {
  std::vector<std::string> texts;
  texts.reserve(static_cast<std::size_t>(request.count));
  for (std::int64_t i = 0; i < request.count; ++i) {
    texts.push_back(request.texts->empty()
                        ? std::to_string(i)
                        : font.fitted(clean((*request.texts)[static_cast<std::size_t>(i)]),
                                      kLabelStyle, request.room));
  }
  return texts;
}

double widest(const Font& font, const std::vector<std::string>& texts) {
  double width = 0;
  for (const std::string& text : texts) {
    width = std::max(width, font.width(text, kLabelStyle));
  }
  return width;
}

}  // namespace

Labels row_labels(const Font& font, const LabelRequest& request) {
  Labels labels{.texts = texts_of(font, request)};
  labels.extent = widest(font, labels.texts);
  labels.step = step_for(font.line_height(kLabelStyle), request.cell, request.count);
  return labels;
}

Labels column_labels(const Font& font, const LabelRequest& request) {
  Labels labels{.texts = texts_of(font, request)};
  const double width = widest(font, labels.texts);
  const double line = font.line_height(kLabelStyle);
  if (request.texts->empty() || width + kSpace <= request.cell) {
    labels.step = step_for(width + kSpace, request.cell, request.count);
    labels.extent = line;
  } else {
    labels.step = step_for(line, request.cell, request.count);
    labels.turn = Turn::up;
    labels.extent = width;
  }
  return labels;
}

void draw_row_labels(Scene& scene, const Font& font, const Labels& labels, const Box& box) {
  const double cell = box.height / static_cast<double>(labels.texts.size());
  for (std::size_t i = 0; i < labels.texts.size(); i += static_cast<std::size_t>(labels.step)) {
    const double y = box.y + (static_cast<double>(i) + 0.5) * cell;
    if (labels.step > 1) {
      scene.line({.x = box.x - kMarkLength, .y = y}, {.x = box.x, .y = y}, kAxisGrey, 0.75);
    }
    scene.text(font, labels.texts[i], kLabelStyle,
               {.anchor = {.x = box.x - kLabelGap, .y = y}, .x = AlignX::right});
  }
}

void draw_column_labels(Scene& scene, const Font& font, const Labels& labels, const Box& box) {
  const double cell = box.width / static_cast<double>(labels.texts.size());
  const double bottom = box.bottom();
  for (std::size_t i = 0; i < labels.texts.size(); i += static_cast<std::size_t>(labels.step)) {
    const double x = box.x + (static_cast<double>(i) + 0.5) * cell;
    if (labels.step > 1) {
      scene.line({.x = x, .y = bottom}, {.x = x, .y = bottom + kMarkLength}, kAxisGrey, 0.75);
    }
    scene.text(font, labels.texts[i], kLabelStyle,
               {.anchor = {.x = x, .y = bottom + kLabelGap - 1},
                .x = AlignX::centre,
                .y = AlignY::top,
                .turn = labels.turn});
  }
}

}  // namespace attention::render::detail
