#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <attention/render/detail/ansi.hpp>
#include <attention/render/detail/blocks.hpp>
#include <attention/render/detail/check.hpp>
#include <attention/render/detail/color_axis.hpp>
#include <attention/render/detail/terminal_text.hpp>
#include <attention/render/terminal.hpp>

namespace attention::render {
namespace {

using detail::ColorAxis;
using detail::Range;
using detail::spaces;
using detail::TerminalText;

constexpr int kWidestLabel = 24;
/// Columns of a cell without its value: about square.
constexpr int kBareCell = 2;

std::string label_at(const std::vector<std::string>& labels, std::int64_t index) {
  return labels.empty() ? std::to_string(index) : labels[static_cast<std::size_t>(index)];
}

int widest_label(const std::vector<std::string>& labels, std::int64_t count,
                 const TerminalText& text) {
  int width = labels.empty() ? static_cast<int>(std::to_string(count - 1).size()) : 0;
  for (const std::string& label : labels) {
    width = std::max(width, text.width_of(label));
  }
  return std::min(width, kWidestLabel);
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

/// How a heatmap stands in columns and rows of text.
struct Plan {
  int label_width = 0;
  int cell_width = kBareCell;
  /// 0: without values.
  int value_width = 0;
  /// What the cells show, and how many rows and columns of the matrix are in one.
  Tensor<double> values;
  std::int64_t rows_per_cell = 1;
  std::int64_t columns_per_cell = 1;
};

Plan plan_of(const Heatmap& figure, Scale scale, const TerminalText& text) {
  const std::int64_t rows = figure.values.size(0);
  const std::int64_t columns = figure.values.size(1);
  const TerminalOptions& options = text.options();
  Plan plan;
  plan.label_width = std::min(widest_label(figure.row_labels, rows, text), options.width / 3);
  const int room = options.width - plan.label_width - 1;
  plan.columns_per_cell = ceil_div(columns, room / kBareCell);
  // Blocks keep the shape of the matrix, but a matrix of few rows keeps those.
  const std::int64_t for_shape = ceil_div(plan.columns_per_cell * std::min(rows, columns), columns);
  plan.rows_per_cell = std::max(ceil_div(rows, options.height), for_shape);
  plan.values = detail::block_means(figure.values, detail::blocks_of(rows, plan.rows_per_cell),
                                    detail::blocks_of(columns, plan.columns_per_cell));
  if (figure.annotation == Annotation::never || plan.columns_per_cell > 1) {
    return plan;
  }
  std::size_t longest = 0;
  for (const double value : plan.values.values()) {
    longest = std::max(longest, detail::cell_text(value, figure.decimals, scale).size());
  }
  // With colour a space on each side; without, also the shade.
  const int least = static_cast<int>(longest) + (text.has_color() ? 2 : 4);
  if (least * columns <= room) {
    const int wanted = widest_label(figure.column_labels, columns, text) + 1;
    plan.value_width = static_cast<int>(longest);
    plan.cell_width = std::clamp(wanted, least, static_cast<int>(room / columns));
  }
  return plan;
}

/// The labels of the columns: one to a column beside values, otherwise as many as fit whole.
std::string header_of(const Heatmap& figure, const Plan& plan, const TerminalText& text) {
  const std::int64_t cells = plan.values.size(1);
  const bool all = plan.value_width > 0;
  const int wanted = widest_label(figure.column_labels, figure.values.size(1), text) + 1;
  const std::int64_t step = all ? 1 : ceil_div(wanted, plan.cell_width);
  std::string header = spaces(plan.label_width + 1);
  for (std::int64_t j = 0; j + step <= cells || j == 0; j += step) {
    const int width = static_cast<int>(std::min(step, cells)) * plan.cell_width;
    const std::string label = label_at(figure.column_labels, j * plan.columns_per_cell);
    header += (all ? text.centred(label, width - 1) : text.left(label, width - 1)) + " ";
  }
  return header;
}

std::string cell_of(double value, const ColorAxis& axis, const Plan& plan, int decimals,
                    const TerminalText& text) {
  const std::string shade = text.shade(detail::position(value, axis.range, axis.scale));
  std::string shown;
  if (plan.value_width > 0) {
    shown = text.right(detail::cell_text(value, decimals, axis.scale), plan.value_width);
    shown = text.centred(text.has_color() ? shown : shown + " " + shade, plan.cell_width);
  } else {
    shown = text.has_color() ? spaces(plan.cell_width) : shade + shade;
  }
  return detail::painted(shown, axis.color(value), text.options().color);
}

/// An end of the colour bar: three digits of the range (on a log scale, of the value), without
/// zeros at the end.
std::string limit_text(double value, const ColorAxis& axis) {
  const Range& range = axis.range;
  const double unit = axis.scale == Scale::log ? value : range.high - range.low;
  const int decimals = std::max(0, 2 - static_cast<int>(std::floor(std::log10(unit))));
  if (std::max(std::abs(range.low), std::abs(range.high)) >= 1e7 || decimals > 6) {
    return value == 0 ? "0" : detail::scientific(value, 1);
  }
  std::string text = detail::fixed(value, decimals);
  if (decimals > 0) {
    text.erase(text.find_last_not_of('0') + 1);
    text.erase(text.find_last_not_of('.') + 1);
  }
  return text;
}

void write_color_bar(const std::string& title, const ColorAxis& axis, TerminalText& text) {
  const std::string low = limit_text(axis.range.low, axis);
  const std::string high = limit_text(axis.range.high, axis);
  const int room = text.options().width - static_cast<int>(low.size() + high.size()) - 2;
  std::string bar;
  if (text.has_color()) {
    const int cells = std::clamp(room / 2, 2, 24);
    for (int i = 0; i < cells; ++i) {
      bar += detail::painted(" ", sample(axis.colormap, (i + 0.5) / cells), text.options().color);
    }
    bar = low + " " + bar + " " + high;
    text.line(text.fitted(title, std::max(room - cells - 1, 0)) + " " + bar);
    return;
  }
  bar = low + " [" + text.shades() + "] " + high;
  text.line(text.fitted(title, text.options().width - text.width_of(bar) - 1) + " " + bar);
}

void write_heatmap(const Heatmap& figure, const ColorAxis& axis, TerminalText& text) {
  const Plan plan = plan_of(figure, axis.scale, text);
  const int width = text.options().width;
  if (!figure.title.empty()) {
    text.line(text.fitted(figure.title, width));
  }
  text.line(text.fitted(figure.row_title + (text.is_unicode() ? " ↓  " : " (down), ") +
                            figure.column_title + (text.is_unicode() ? " →" : " (across)"),
                        width));
  text.line(header_of(figure, plan, text));
  for (std::int64_t i = 0; i < plan.values.size(0); ++i) {
    const std::string label = label_at(figure.row_labels, i * plan.rows_per_cell);
    std::string line = text.right(label, plan.label_width) + " ";
    for (std::int64_t j = 0; j < plan.values.size(1); ++j) {
      line += cell_of(plan.values(i, j), axis, plan, figure.decimals, text);
    }
    text.line(line);
  }
  if (plan.rows_per_cell * plan.columns_per_cell > 1) {
    text.line(text.fitted("Each cell: the mean of up to " + std::to_string(plan.rows_per_cell) +
                              " x " + std::to_string(plan.columns_per_cell) + " values",
                          width));
  }
}

}  // namespace

std::string to_terminal(const Heatmap& figure, const TerminalOptions& options) {
  detail::check(figure, "render::to_terminal");
  TerminalText text(options);
  const Heatmap* const panels[] = {&figure};
  const ColorAxis axis = detail::color_axis(figure.color, panels);
  write_heatmap(figure, axis, text);
  write_color_bar(figure.color.title, axis, text);
  return text.take();
}

std::string to_terminal(const HeatmapGrid& figure, const TerminalOptions& options) {
  detail::check(figure, "render::to_terminal");
  TerminalText text(options);
  std::vector<const Heatmap*> panels;
  panels.reserve(figure.panels.size());
  for (const Heatmap& panel : figure.panels) {
    panels.push_back(&panel);
  }
  const bool shared = figure.sharing == ScaleSharing::shared;
  const ColorAxis common = detail::color_axis(figure.color, panels);
  if (!figure.title.empty()) {
    text.line(text.fitted(figure.title, options.width));
  }
  for (const Heatmap* const& panel : panels) {
    const ColorAxis axis = shared ? common : detail::color_axis(panel->color, {&panel, 1});
    text.line("");
    write_heatmap(*panel, axis, text);
    if (!shared) {
      write_color_bar(panel->color.title, axis, text);
    }
  }
  if (shared) {
    text.line("");
    write_color_bar(figure.color.title, common, text);
  }
  return text.take();
}

}  // namespace attention::render
