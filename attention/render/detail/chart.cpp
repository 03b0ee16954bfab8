#include <algorithm>
#include <cmath>
#include <tuple>

#include <attention/core/error.hpp>
#include <attention/render/detail/chart.hpp>
#include <attention/render/detail/style.hpp>
#include <attention/render/detail/text.hpp>

namespace attention::render::detail {
namespace {

constexpr double kWidth = 640;
/// A chart without a given height: this share of its width, but so much at least for the plot.
constexpr double kHeightShare = 0.6;
constexpr double kPlotShare = 0.4;
constexpr double kLeastPlot = 40;
constexpr double kTitleGap = 10;
constexpr double kSignLength = 24;
constexpr double kEntryGap = 18;
constexpr double kTickDistance = 8;
/// About the distance between two ticks along y.
constexpr double kTickPitch = 36;
constexpr double kSpace = 8;
constexpr double kLongestCategory = 170;
constexpr double kLeastOverhang = 10;

/// A value's share of an axis, kept where cairo's numbers end.
double share_of(double value, const AxisSpec& axis) {
  return std::clamp(position(value, axis.range, axis.scale), -100.0, 100.0);
}

struct PlacedEntry {
  std::string name;
  Point at;  // the left end of the sign, on the middle of the line
};

/// The entries in rows from the left to the right.
struct LegendPlan {
  std::vector<PlacedEntry> entries;
  double height = 0;

  LegendPlan(const std::vector<LegendEntry>& legend, const Font& font, double room) {
    const double line = font.line_height(kLabelStyle) + 3;
    Point next{.x = 0, .y = line / 2};
    for (const LegendEntry& entry : legend) {
      const std::string name =
          font.fitted(clean(entry.name), kLabelStyle, room - kSignLength - kLabelGap);
      const double width = kSignLength + kLabelGap + font.width(name, kLabelStyle);
      if (next.x > 0 && next.x + width > room) {
        next = {.x = 0, .y = next.y + line};
      }
      entries.push_back({.name = name, .at = next});
      next.x += width + kEntryGap;
    }
    height = legend.empty() ? 0 : next.y + line / 2;
  }
};

void draw_sign(Scene& scene, const LegendEntry& entry, const Point& at) {
  const Point end{.x = at.x + kSignLength, .y = at.y};
  if (entry.sign == LegendEntry::Sign::error_bar) {
    const double x = at.x + kSignLength / 2;
    scene.line({.x = x, .y = at.y - 5}, {.x = x, .y = at.y + 5}, entry.color, entry.line_width);
    for (const double y : {at.y - 5, at.y + 5}) {
      scene.line({.x = x - 3, .y = y}, {.x = x + 3, .y = y}, entry.color, entry.line_width);
    }
    return;
  }
  scene.add(Path{.points = {at, end},
                 .color = entry.color,
                 .line_width = entry.line_width,
                 .dashes = entry.dashes});
  if (entry.sign == LegendEntry::Sign::line_with_marker) {
    scene.add(Disc{.centre = {.x = at.x + kSignLength / 2, .y = at.y}, .color = entry.color});
  }
}

constexpr int kMostXTicks = 11;

/// How far the label of the last tick along x may reach past the end of the axis, into the margin.
double overhang_of(const AxisSpec& axis, const Font& font) {
  double width = 0;
  // The number of ticks is not known yet: room for any.
  for (int most = 1; most <= kMostXTicks; ++most) {
    for (const Tick& tick : ticks(axis.range, axis.scale, most)) {
      width = std::max(width, font.width(typographic(tick.text), kLabelStyle));
    }
  }
  return width / 2 - kMargin / 2;
}

/// As many ticks along x as stand beside each other.
std::vector<Tick> x_ticks(const AxisSpec& axis, const Font& font, double width) {
  std::vector<Tick> result;
  for (int most = std::clamp(static_cast<int>(width / 60), 3, kMostXTicks); most >= 1; --most) {
    result = ticks(axis.range, axis.scale, most);
    double end = -1e9;
    bool fits = true;
    for (const Tick& tick : result) {
      const double half = font.width(typographic(tick.text), kLabelStyle) / 2;
      const double x = share_of(tick.value, axis) * width;
      fits = fits && x - half >= end + kSpace;
      end = x + half;
    }
    if (fits) {
      return result;
    }
  }
  result.resize(1);
  return result;
}

struct TopLabelPlace {
  std::string text;
  double left;
};

/// Each text centred above its value as far as the plot's sides allow, from left to right.
std::vector<TopLabelPlace> places_on_top(const ChartSpec& spec, const Font& font, const Box& plot) {
  std::vector<TopLabel> labels = spec.top_labels;
  std::ranges::sort(labels, [](const TopLabel& a, const TopLabel& b) {
    return std::tie(a.at, a.text) < std::tie(b.at, b.text);
  });
  std::vector<TopLabelPlace> places;
  for (const TopLabel& label : labels) {
    const std::string text = font.fitted(clean(label.text), kLabelStyle, plot.width);
    const double width = font.width(text, kLabelStyle);
    const double x = plot.x + share_of(label.at, spec.x) * plot.width;
    const double left = std::max(plot.x, std::min(x - width / 2, plot.right() - width));
    places.push_back({.text = text, .left = left});
  }
  return places;
}

/// Finds the plot: what stands about it has a size of its own.
class ChartLayout {
 public:
  ChartLayout(const ChartSpec& spec, const Font& font, std::string_view function)
      : spec_(spec), font_(font) {
    width = spec.width > 0 ? spec.width : kWidth;
    height = spec.height > 0 ? spec.height : std::round(kHeightShare * width);
    title = font.wrapped(clean(spec.title), kTitleStyle, width - 2 * kMargin, kTitleLines);
    // The ticks along y depend on the height of the plot, which depends on the labels along x,
    // which depend on its width, which depends on the ticks along y.
    plot.height = height / 2;
    for (int pass = 0; pass < 3; ++pass) {
      find_plot();
      require(plot.width >= kLeastPlot && plot.height >= kLeastPlot, function,
              "width and height must leave 40 units for the plot", [&] {
                return "width " + fixed(width, 0) + " and height " + fixed(height, 0) +
                       ", of which the plot gets " + fixed(plot.width, 1) + " and " +
                       fixed(plot.height, 1);
              });
    }
    ticks_x = spec.categories.empty() ? x_ticks(spec.x, font, plot.width) : std::vector<Tick>{};
    legend_y = kMargin + title_height();
  }

  double width = 0;
  double height = 0;
  std::vector<std::string> title;
  std::string title_x;
  std::string title_y;
  Box plot;
  std::vector<Tick> ticks_x;
  std::vector<Tick> ticks_y;
  Labels categories;
  double legend_y = 0;

 private:
  double title_height() const {
    const auto lines = static_cast<double>(title.size());
    return lines > 0 ? lines * font_.line_height(kTitleStyle) + kTitleGap : 0;
  }

  void find_plot() {
    ticks_y = spaced_ticks(spec_.y.range, spec_.y.scale,
                           std::clamp(static_cast<int>(plot.height / kTickPitch), 3, 9),
                           font_.line_height(kLabelStyle) / plot.height);
    double tick_width = 0;
    for (const Tick& tick : ticks_y) {
      tick_width = std::max(tick_width, font_.width(typographic(tick.text), kLabelStyle));
    }
    const double line = font_.line_height(kAxisTitleStyle);
    const double left =
        kMargin + (spec_.y.title.empty() ? 0 : line + kLabelGap) + tick_width + kTickDistance;
    plot.x = std::ceil(left);
    const double overhang = spec_.categories.empty() ? overhang_of(spec_.x, font_) : 0;
    plot.width = std::floor(width - plot.x - kMargin - std::max(overhang, kLeastOverhang));
    double labels = font_.line_height(kLabelStyle);
    if (!spec_.categories.empty() && plot.width > 0) {
      const std::int64_t count = std::ssize(spec_.categories);
      const double room = spec_.height > 0 ? spec_.height / 3 : kLongestCategory;
      categories = column_labels(font_, {.texts = &spec_.categories,
                                         .count = count,
                                         .cell = plot.width / static_cast<double>(count),
                                         .room = std::min(kLongestCategory, room)});
      labels = categories.extent;
    }
    const double legend = LegendPlan(spec_.legend, font_, plot.width).height;
    const double top = kMargin + title_height() + (legend > 0 ? legend + kTitleGap : 0) +
                       (spec_.top_labels.empty() ? 0 : font_.line_height(kLabelStyle) + 4);
    const double bottom =
        kTickDistance + labels + (spec_.x.title.empty() ? 0 : line + kLabelGap) + kMargin;
    if (spec_.height == 0) {
      height = std::round(std::max(kHeightShare * width, top + bottom + kPlotShare * width));
    }
    plot.y = std::ceil(top);
    plot.height = std::floor(height - plot.y - bottom);
    title_x = font_.fitted(clean(spec_.x.title), kAxisTitleStyle, plot.width);
    title_y = font_.fitted(clean(spec_.y.title), kAxisTitleStyle, std::max(plot.height, 0.0));
  }

  const ChartSpec& spec_;
  const Font& font_;
};

void draw_titles(Scene& scene, const Font& font, const ChartSpec& spec, const ChartLayout& layout) {
  double y = kMargin;
  for (const std::string& line : layout.title) {
    scene.text(font, line, kTitleStyle,
               {.anchor = {.x = layout.width / 2, .y = y}, .x = AlignX::centre, .y = AlignY::top});
    y += font.line_height(kTitleStyle);
  }
  const LegendPlan legend(spec.legend, font, layout.plot.width);
  for (std::size_t i = 0; i < legend.entries.size(); ++i) {
    const PlacedEntry& entry = legend.entries[i];
    const Point at{.x = layout.plot.x + entry.at.x, .y = layout.legend_y + entry.at.y};
    draw_sign(scene, spec.legend[i], at);
    scene.text(font, entry.name, kLabelStyle,
               {.anchor = {.x = at.x + kSignLength + kLabelGap, .y = at.y}});
  }
  const Point centre = layout.plot.centre();
  scene.text(font, layout.title_x, kAxisTitleStyle,
             {.anchor = {.x = centre.x, .y = layout.height - kMargin},
              .x = AlignX::centre,
              .y = AlignY::bottom});
  scene.text(font, layout.title_y, kAxisTitleStyle,
             {.anchor = {.x = kMargin, .y = centre.y}, .turn = Turn::up});
  for (const TopLabelPlace& place : places_on_top(spec, font, layout.plot)) {
    scene.text(font, place.text, kLabelStyle,
               {.anchor = {.x = place.left, .y = layout.plot.y - 4}, .y = AlignY::bottom});
  }
}

void draw_axes(Scene& scene, const Font& font, const ChartSpec& spec, const ChartLayout& layout) {
  const Box& plot = layout.plot;
  const Frame frame{.plot = plot, .x = spec.x, .y = spec.y};
  for (const Tick& tick : layout.ticks_y) {
    const double y = frame.y_of(tick.value);
    scene.line({.x = plot.x, .y = y}, {.x = plot.right(), .y = y}, kGridGrey, 1);
    scene.text(font, typographic(tick.text), kLabelStyle,
               {.anchor = {.x = plot.x - kTickDistance, .y = y}, .x = AlignX::right});
  }
  for (const Tick& tick : layout.ticks_x) {
    const double x = frame.x_of(tick.value);
    if (spec.grid == ChartSpec::Grid::both) {
      scene.line({.x = x, .y = plot.y}, {.x = x, .y = plot.bottom()}, kGridGrey, 1);
    } else {
      scene.line({.x = x, .y = plot.bottom()}, {.x = x, .y = plot.bottom() + 4}, kAxisGrey, 1);
    }
    scene.text(font, typographic(tick.text), kLabelStyle,
               {.anchor = {.x = x, .y = plot.bottom() + kTickDistance},
                .x = AlignX::centre,
                .y = AlignY::top});
  }
  if (!layout.categories.texts.empty()) {
    draw_column_labels(scene, font, layout.categories, plot);
  }
}

}  // namespace

double Frame::x_of(double value) const {
  return plot.x + share_of(value, x) * plot.width;
}

double Frame::y_of(double value) const {
  return plot.bottom() - share_of(value, y) * plot.height;
}

bool fit_on_top(const ChartSpec& spec, const Font& font, std::string_view function) {
  const ChartLayout layout(spec, font, function);
  double end = -1e9;
  for (const TopLabelPlace& place : places_on_top(spec, font, layout.plot)) {
    if (place.left < end + kSpace) {
      return false;
    }
    end = place.left + font.width(place.text, kLabelStyle);
  }
  return true;
}

Frame draw_frame(Scene& scene, const Font& font, const ChartSpec& spec, std::string_view function) {
  const ChartLayout layout(spec, font, function);
  scene.width = layout.width;
  scene.height = layout.height;
  scene.title = clean(spec.title);
  draw_titles(scene, font, spec, layout);
  draw_axes(scene, font, spec, layout);
  return {.plot = layout.plot, .x = spec.x, .y = spec.y};
}

void draw_level(Scene& scene, const Frame& frame, double y) {
  scene.line({.x = frame.plot.x, .y = y}, {.x = frame.plot.right(), .y = y}, kAxisGrey, 1);
}

}  // namespace attention::render::detail
