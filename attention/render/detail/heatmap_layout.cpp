#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include <attention/core/error.hpp>
#include <attention/render/detail/heatmap_layout.hpp>
#include <attention/render/detail/style.hpp>
#include <attention/render/detail/text.hpp>

namespace attention::render::detail {
namespace {

constexpr double kPanelGapX = 26;
constexpr double kPanelGapY = 18;
constexpr double kTitleGap = 8;
constexpr double kBarGap = 16;
constexpr double kLongestBar = 340;
/// The sides of a plot whose size is not given: enough for a colour bar, and for values in cells.
constexpr double kLeastPlot = 90;
constexpr double kGreatestPlot = 640;
constexpr double kLeastGivenWidth = 20;
constexpr double kLeastGivenHeight = kLeastBar;
constexpr double kLongestLabel = 170;
/// Titles beside a plot may reach past its ends by so much, into the margins.
constexpr double kOverhang = 7;
constexpr double kLargestAnnotation = 11;
constexpr double kLeastAnnotation = 7;
/// Cells of this size and more get whole sizes, or halves, so that their edges are sharp.
constexpr double kWholeCell = 8;
constexpr double kHalfCell = 2;

/// Finds places from the outside inwards: first what has a size of its own, then the cells.
class Layouter {
 public:
  Layouter(const GridSpec& spec, const Font& font, std::string_view function)
      : spec_(spec),
        traits_(spec),
        font_(font),
        function_(function),
        across_(std::min<std::int64_t>(spec.columns, std::ssize(spec.panels))),
        down_((std::ssize(spec.panels) + across_ - 1) / across_) {}

  GridPlan run() {
    find_color_axes();
    find_widest_value();
    find_row_label_width();
    // The lines of a colour bar's title depend on its length, which depends on their number.
    for (int pass = 0; pass < 2; ++pass) {
      find_widths();
      find_heights();
      find_bar_title_lines();
    }
    find_widths();
    place_panels();
    place_axis_titles();
    place_bars();
    plan_.annotation_size = annotation_size();
    return std::move(plan_);
  }

 private:
  // ---- What is there ----------------------------------------------------------------------------

  void find_color_axes() {
    if (!has_bar_each()) {
      axes_.push_back(color_axis(*spec_.color, spec_.panels));
    } else {
      for (const Heatmap* const& panel : spec_.panels) {
        axes_.push_back(color_axis(panel->color, {&panel, 1}));
      }
    }
    for (const ColorAxis& axis : axes_) {
      // The number of ticks is not known yet: room for any.
      for (int most = 3; most <= 9; ++most) {
        for (const Tick& tick : ticks(axis.range, axis.scale, most)) {
          tick_width_ = std::max(tick_width_, font_.width(typographic(tick.text), kLabelStyle));
        }
      }
      if (axis.has_nan) {
        tick_width_ = std::max(tick_width_, font_.width("NaN", kLabelStyle));
      }
    }
  }

  const ColorAxis& axis_of(std::size_t panel) const { return axes_[has_bar_each() ? panel : 0]; }

  void find_widest_value() {
    std::int64_t count = 0;
    bool wanted = false;
    for (const Heatmap* const panel : spec_.panels) {
      count += panel->values.element_count();
      wanted = wanted || panel->annotation != Annotation::never;
      always_ = always_ || panel->annotation == Annotation::always;
    }
    if (!wanted || (count > kMaxAnnotated && !always_)) {
      return;
    }
    // Digits are all as wide as "0": texts of one shape have one width.
    std::set<std::string> shapes;
    for (std::size_t i = 0; i < spec_.panels.size(); ++i) {
      const Heatmap& panel = *spec_.panels[i];
      if (panel.annotation != Annotation::never) {
        for (const double value : panel.values.values()) {
          std::string text = cell_text(value, panel.decimals, axis_of(i).scale);
          std::ranges::replace_if(text, [](char c) { return c >= '0' && c <= '9'; }, '0');
          shapes.insert(with_minus_sign(text));
        }
      }
    }
    for (const std::string& shape : shapes) {
      value_width_ = std::max(value_width_, font_.width(shape, {.size = kLargestAnnotation}));
    }
  }

  void find_row_label_width() {
    const double share = traits_.shares_rows ? 0.3 : 0.3 / static_cast<double>(across_);
    label_room_ = spec_.width > 0 ? std::min(kLongestLabel, share * spec_.width) : kLongestLabel;
    for (const Heatmap* const panel : spec_.panels) {
      label_width_ = std::max(label_width_, rows_of(*panel, kLeastPlot).extent + kLabelGap);
    }
  }

  Labels rows_of(const Heatmap& panel, double height) const {
    const std::int64_t count = panel.values.size(0);
    return row_labels(font_, {.texts = &panel.row_labels,
                              .count = count,
                              .cell = height / static_cast<double>(count),
                              .room = label_room_});
  }

  Labels columns_of(const Heatmap& panel, double width) const {
    const std::int64_t count = panel.values.size(1);
    const double room = spec_.height > 0 ? 0.25 * spec_.height : kLongestLabel;
    return column_labels(font_, {.texts = &panel.column_labels,
                                 .count = count,
                                 .cell = width / static_cast<double>(count),
                                 .room = std::min(room, kLongestLabel)});
  }

  // ---- Across -----------------------------------------------------------------------------------

  bool has_bar_each() const { return spec_.sharing == ScaleSharing::separate; }
  double axis_title_line() const { return font_.line_height(kAxisTitleStyle); }
  double row_title_width() const {
    return traits_.has_row_title ? axis_title_line() + kLabelGap : 0;
  }
  double bar_width() const { return kBarGap + kBarWidth + kBarTextGap + tick_width_; }
  double bar_title_width() const {
    return bar_title_lines_ > 0 ? kBarTextGap + bar_title_lines_ * axis_title_line() : 0;
  }

  double left_of_grid() const {
    return kMargin + (traits_.shares_titles ? row_title_width() : 0) +
           (traits_.shares_rows ? label_width_ : 0);
  }
  double left_of_plot() const {
    return (traits_.shares_titles ? 0 : row_title_width()) +
           (traits_.shares_rows ? 0 : label_width_);
  }
  double right_of_plot() const {
    return has_bar_each() ? bar_width() + (traits_.shares_bar_title ? 0 : bar_title_width()) : 0;
  }
  double right_of_grid() const {
    const bool own_titles = has_bar_each() && !traits_.shares_bar_title;
    return kMargin + (has_bar_each() ? 0 : bar_width()) + (own_titles ? 0 : bar_title_width());
  }
  double width_with(double plot) const {
    return left_of_grid() +
           static_cast<double>(across_) * (left_of_plot() + plot + right_of_plot()) +
           static_cast<double>(across_ - 1) * kPanelGapX + right_of_grid();
  }

  /// The side of a cell where nothing else asks for a size: large when there are few.
  double preferred_cell() const {
    const auto most = static_cast<double>(std::max(traits_.most_rows, traits_.most_columns));
    const double plot = across_ == 1 ? 420 : across_ == 2 ? 280 : across_ == 3 ? 220 : 170;
    const double cell = std::min(across_ == 1 ? 72.0 : 48.0, plot / most);
    // Somewhat larger if values then can be read in it.
    const double readable = 0.8 * value_width_ + 2 * kCellPadding;
    const bool fits =
        value_width_ > 0 && readable * most <= (across_ == 1 ? kGreatestPlot : plot * 1.4);
    return fits ? std::max(cell, readable) : cell;
  }

  static double whole_cells(double plot, std::int64_t count) {
    const double cell = plot / static_cast<double>(count);
    const double unit = cell >= kWholeCell ? 1 : 0.5;
    return cell >= kHalfCell ? std::floor(cell / unit) * unit * static_cast<double>(count) : plot;
  }

  void find_widths() {
    if (spec_.width > 0) {
      plan_.width = spec_.width;
      plot_width_ = (spec_.width - width_with(0)) / static_cast<double>(across_);
      require_room(plot_width_ >= kLeastGivenWidth, plot_width_, "width");
      plot_width_ = whole_cells(plot_width_, traits_.most_columns);
    } else {
      const double wanted = preferred_cell() * static_cast<double>(traits_.most_columns);
      plot_width_ = std::max(whole_cells(wanted, traits_.most_columns), kLeastPlot);
      const double title = font_.width(clean(spec_.title), kTitleStyle) + 2 * kMargin;
      plan_.width = std::ceil(std::max(width_with(plot_width_), std::min(title, 480.0)));
    }
    plan_.title =
        font_.wrapped(clean(spec_.title), kTitleStyle, plan_.width - 2 * kMargin, kTitleLines);
  }

  // ---- Down -------------------------------------------------------------------------------------

  double top_of_grid() const {
    const auto lines = static_cast<double>(plan_.title.size());
    return kMargin + (lines > 0 ? lines * font_.line_height(kTitleStyle) + kTitleGap : 0);
  }
  std::vector<std::string> panel_title(const Heatmap& panel) const {
    const double room = plot_width_ + kPanelGapX - kTitleGap;
    return spec_.has_panel_titles ? font_.wrapped(clean(panel.title), kPanelTitleStyle, room, 2)
                                  : std::vector<std::string>{};
  }
  double above_plot() const {
    std::size_t lines = 0;
    for (const Heatmap* const panel : spec_.panels) {
      lines = std::max(lines, panel_title(*panel).size());
    }
    return lines == 0 ? 0 : static_cast<double>(lines) * font_.line_height(kPanelTitleStyle) + 4;
  }
  double column_label_height() const {
    double extent = 0;
    for (const Heatmap* const panel : spec_.panels) {
      extent = std::max(extent, columns_of(*panel, plot_box(*panel).width).extent);
    }
    return extent + kLabelGap;
  }
  double column_title_height() const {
    return traits_.has_column_title ? axis_title_line() + 4 : 0;
  }
  double below_plot() const {
    return (traits_.shares_columns ? 0 : column_label_height()) +
           (traits_.shares_titles ? 0 : column_title_height());
  }
  double below_grid() const {
    return (traits_.shares_columns ? column_label_height() : 0) +
           (traits_.shares_titles ? column_title_height() : 0) + kMargin;
  }
  double row_pitch() const { return above_plot() + plot_height_ + below_plot() + kPanelGapY; }
  double plots_height() const {
    return static_cast<double>(down_ - 1) * row_pitch() + plot_height_;
  }

  void find_heights() {
    plot_height_ = 0;
    const double fixed =
        top_of_grid() + above_plot() + plots_height() + below_plot() + below_grid();
    if (spec_.height > 0) {
      plot_height_ = (spec_.height - fixed) / static_cast<double>(down_);
      require_room(plot_height_ >= kLeastGivenHeight, plot_height_, "height");
      plot_height_ = whole_cells(plot_height_, traits_.most_rows);
      plan_.height = spec_.height;
      return;
    }
    const double cell = spec_.width > 0 ? plot_width_ / static_cast<double>(traits_.most_columns)
                                        : preferred_cell();
    const double most = spec_.width > 0 ? std::max(1.5 * plot_width_, kLeastPlot) : kGreatestPlot;
    const double wanted = std::min(cell * static_cast<double>(traits_.most_rows), most);
    plot_height_ = std::max(whole_cells(wanted, traits_.most_rows), kLeastPlot);
    plan_.height = std::ceil(fixed + static_cast<double>(down_) * plot_height_);
  }

  void require_room(bool enough, double plot, std::string_view side) const {
    require(enough, function_,
            "width and height must leave 20 by 60 units for the cells of each panel",
            [&] { return "a " + std::string(side) + " that leaves " + fixed(plot, 1); });
  }

  double bar_length(std::size_t axis) const {
    if (has_bar_each()) {
      return std::max(plot_box(*spec_.panels[axis]).height, kLeastBar);
    }
    return std::max(down_ == 1 ? plot_height_ : std::min(plots_height(), kLongestBar), kLeastBar);
  }

  void find_bar_title_lines() {
    bar_titles_.clear();
    bar_title_lines_ = 0;
    for (std::size_t i = 0; i < axes_.size(); ++i) {
      const ColorScale& color = has_bar_each() ? spec_.panels[i]->color : *spec_.color;
      bar_titles_.push_back(
          font_.wrapped(clean(color.title), kAxisTitleStyle, bar_length(i) + 2 * kOverhang, 3));
      bar_title_lines_ = std::max(bar_title_lines_, static_cast<int>(bar_titles_[i].size()));
    }
  }

  // ---- Places -----------------------------------------------------------------------------------

  /// The size of a panel's plot: all panels have cells of one size.
  Box plot_box(const Heatmap& panel) const {
    const auto share = [](std::int64_t part, std::int64_t most) {
      return static_cast<double>(part) / static_cast<double>(most);
    };
    return {.width = plot_width_ * share(panel.values.size(1), traits_.most_columns),
            .height = plot_height_ * share(panel.values.size(0), traits_.most_rows)};
  }

  void place_panels() {
    const double free = std::floor((plan_.width - width_with(plot_width_)) / 2);
    const double left = std::ceil(free + left_of_grid() + left_of_plot());
    const double top = std::ceil(top_of_grid() + above_plot());
    const double pitch = std::floor(left_of_plot() + plot_width_ + right_of_plot() + kPanelGapX);
    plots_ = {.x = left,
              .y = top,
              .width = static_cast<double>(across_ - 1) * pitch + plot_width_,
              .height = static_cast<double>(down_ - 1) * std::floor(row_pitch()) + plot_height_};
    const std::int64_t count = std::ssize(spec_.panels);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t down = i / across_;
      const Heatmap& figure = *spec_.panels[static_cast<std::size_t>(i)];
      PanelPlan panel{.figure = &figure, .axis = axis_of(static_cast<std::size_t>(i))};
      panel.plot = plot_box(figure);
      panel.plot.x = left + static_cast<double>(i - down * across_) * pitch;
      panel.plot.y = top + static_cast<double>(down) * std::floor(row_pitch());
      panel.title = panel_title(figure);
      if (!traits_.shares_rows || i % across_ == 0) {
        panel.rows = rows_of(figure, panel.plot.height);
      }
      if (!traits_.shares_columns || i + across_ >= count) {
        panel.columns = columns_of(figure, panel.plot.width);
      }
      plan_.panels.push_back(std::move(panel));
    }
  }

  /// About `plots`, whose labels reach away from it by `left` and `below`.
  AxisTitles axis_titles(const Heatmap& panel, const Box& plots, double left, double below) const {
    const double centre = plots.centre().x;
    const double room = traits_.shares_titles
                            ? 2 * (std::min(centre, plan_.width - centre) - kMargin)
                            : plots.width + kPanelGapX - kTitleGap;
    return {
        .row = font_.fitted(clean(panel.row_title), kAxisTitleStyle, plots.height + 2 * kOverhang),
        .column = font_.fitted(clean(panel.column_title), kAxisTitleStyle, room),
        .row_x = plots.x - left - row_title_width(),
        .column_y = plots.bottom() + below + 4,
        .centre = plots.centre()};
  }

  void place_axis_titles() {
    if (traits_.shares_titles) {
      plan_.axis_titles.push_back(
          axis_titles(*spec_.panels.front(), plots_, label_width_, column_label_height()));
      return;
    }
    for (const PanelPlan& panel : plan_.panels) {
      plan_.axis_titles.push_back(axis_titles(*panel.figure, panel.plot,
                                              panel.rows.extent + kLabelGap,
                                              panel.columns.extent + kLabelGap));
    }
  }

  void place_bars() {
    for (std::size_t i = 0; i < axes_.size(); ++i) {
      const Box& plot = has_bar_each() ? plan_.panels[i].plot : plots_;
      const double length = bar_length(i);
      BarPlan bar{.axis = axes_[i]};
      bar.box = {.x = plot.right() + kBarGap,
                 .y = plot.y + std::max(plot.height - length, 0.0) / 2,
                 .width = kBarWidth,
                 .height = length};
      bar.title_x = bar.box.right() + kBarTextGap + tick_width_ + kBarTextGap;
      const bool last = (static_cast<std::int64_t>(i) + 1) % across_ == 0 || i + 1 == axes_.size();
      if (!traits_.shares_bar_title || last) {
        bar.title = bar_titles_[i];
      }
      plan_.bars.push_back(std::move(bar));
    }
  }

  double annotation_size() const {
    if (value_width_ == 0) {
      return 0;
    }
    const double width = plot_width_ / static_cast<double>(traits_.most_columns);
    const double height = plot_height_ / static_cast<double>(traits_.most_rows);
    const double line = font_.line_height({.size = kLargestAnnotation});
    const double fit = std::min((width - 2 * kCellPadding) / value_width_, (height - 1) / line);
    const double size = std::min(kLargestAnnotation, fit * kLargestAnnotation);
    if (always_) {
      return std::max(size, 1.0);
    }
    return size >= kLeastAnnotation ? size : 0;
  }

  const GridSpec& spec_;
  const GridTraits traits_;
  const Font& font_;
  std::string_view function_;
  std::int64_t across_;
  std::int64_t down_;
  GridPlan plan_;
  bool always_ = false;
  std::vector<ColorAxis> axes_;
  std::vector<std::vector<std::string>> bar_titles_;
  int bar_title_lines_ = 1;
  double tick_width_ = 0;
  double value_width_ = 0;  // at the largest size; 0: no values are written
  double label_room_ = 0;
  double label_width_ = 0;
  double plot_width_ = 0;
  double plot_height_ = 0;
  Box plots_;
};

}  // namespace

GridPlan lay_out(const GridSpec& spec, const Font& font, std::string_view function) {
  return Layouter(spec, font, function).run();
}

}  // namespace attention::render::detail
