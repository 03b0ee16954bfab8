#include <algorithm>
#include <cmath>
#include <vector>

#include <attention/render/detail/bins.hpp>
#include <attention/render/detail/check.hpp>
#include <attention/render/detail/terminal_text.hpp>
#include <attention/render/detail/ticks.hpp>
#include <attention/render/terminal.hpp>

namespace attention::render {
namespace {

using detail::TerminalText;

bool is_no(std::string_view value) {
  return value == "0" || value == "false";
}

/// A bar of `length` columns, in eighths of a column where the charset has them.
std::string bar_of(double length, const TerminalText& text) {
  if (!text.is_unicode()) {
    std::string bar;
    bar.append(static_cast<std::size_t>(std::lround(length)), '#');
    return bar;
  }
  static constexpr std::array<std::string_view, 8> kEighths = {"",  "▏", "▎", "▍",
                                                               "▌", "▋", "▊", "▉"};
  const auto eighths = static_cast<std::size_t>(std::lround(length * 8));
  std::string bar;
  for (std::size_t i = 0; i < eighths / 8; ++i) {
    bar += "█";
  }
  return bar.append(kEighths[eighths % 8]);
}

/// Writes edges with the decimals that tell the bins apart.
class EdgeText {
 public:
  explicit EdgeText(const detail::Bins& bins) {
    double narrowest = bins.edges[1] - bins.edges[0];
    for (std::size_t i = 1; i < bins.counts.size(); ++i) {
      narrowest = std::min(narrowest, bins.edges[i + 1] - bins.edges[i]);
    }
    decimals_ = detail::decimals_for(narrowest);
  }
  std::string operator()(double value) const {
    return decimals_ > 9 ? detail::scientific(value, 3) : detail::fixed(value, decimals_);
  }

 private:
  int decimals_ = 0;
};

struct BinLine {
  std::string interval;
  std::string count;
  std::string markers;
};

std::vector<BinLine> bin_lines(const detail::Bins& bins, const Histogram& figure) {
  const EdgeText edge(bins);
  const bool whole =
      std::ranges::all_of(bins.counts, [](double count) { return count == std::round(count); });
  std::vector<BinLine> lines;
  for (std::size_t i = 0; i < bins.counts.size(); ++i) {
    const bool last = i + 1 == bins.counts.size();
    lines.push_back({.interval = std::string("[")
                                     .append(edge(bins.edges[i]))
                                     .append(", ")
                                     .append(edge(bins.edges[i + 1]))
                                     .append(last ? "]" : ")"),
                     .count = detail::fixed(bins.counts[i], whole ? 0 : 3),
                     .markers = {}});
  }
  for (const Marker& marker : figure.markers) {
    const auto above = std::ranges::upper_bound(bins.edges, marker.at);
    const bool at_end = marker.at == bins.edges.back();
    const auto bin = above - bins.edges.begin() - 1 - (at_end ? 1 : 0);
    if (bin >= 0 && bin < std::ssize(lines)) {
      lines[static_cast<std::size_t>(bin)].markers.append(" < ").append(marker.label);
    }
  }
  return lines;
}

}  // namespace

std::string_view name_of(ColorSupport support) noexcept {
  switch (support) {
    case ColorSupport::none:
      return "none";
    case ColorSupport::ansi256:
      return "ansi256";
    case ColorSupport::truecolor:
      return "truecolor";
  }
  return "unknown";
}

ColorSupport color_support(const TerminalEnvironment& environment) {
  const bool truecolor = environment.colorterm == "truecolor" || environment.colorterm == "24bit" ||
                         environment.term.ends_with("-direct");
  if (!environment.no_color.empty()) {
    return ColorSupport::none;
  }
  for (const std::string& force : {environment.force_color, environment.clicolor_force}) {
    if (!force.empty() && !is_no(force)) {
      return truecolor || environment.force_color == "3" ? ColorSupport::truecolor
                                                         : ColorSupport::ansi256;
    }
  }
  if (is_no(environment.force_color) || !environment.is_terminal || environment.term == "dumb") {
    return ColorSupport::none;
  }
  if (truecolor) {
    return ColorSupport::truecolor;
  }
  return environment.term.find("256color") != std::string::npos ? ColorSupport::ansi256
                                                                : ColorSupport::none;
}

std::string to_terminal(const Histogram& figure, const TerminalOptions& options) {
  detail::check(figure, "render::to_terminal");
  TerminalText text(options);
  const detail::Bins bins = detail::bins_of(figure);
  const std::vector<BinLine> lines = bin_lines(bins, figure);
  int interval_width = 0;
  int count_width = 0;
  int marker_width = 0;
  for (const BinLine& line : lines) {
    interval_width = std::max(interval_width, static_cast<int>(line.interval.size()));
    count_width = std::max(count_width, static_cast<int>(line.count.size()));
    marker_width = std::max(marker_width, text.width_of(line.markers));
  }
  const int numbers = interval_width + count_width + 4;
  marker_width = std::min(marker_width, (options.width - numbers) / 2);
  const int bar_width = std::max(options.width - numbers - std::max(marker_width, 0), 0);
  const double most = std::max(std::ranges::max(bins.counts), 1e-300);
  if (!figure.title.empty()) {
    text.line(text.fitted(figure.title, options.width));
  }
  text.line(text.fitted(figure.value_title + ": " + figure.count_title, options.width));
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string bar = bar_of(bins.counts[i] / most * bar_width, text);
    const std::string numbered = text.right(lines[i].interval, interval_width) + "  " +
                                 text.right(lines[i].count, count_width) + "  ";
    text.line(
        text.fitted(numbered + bar + text.fitted(lines[i].markers, marker_width), options.width));
  }
  for (const Marker& marker : figure.markers) {
    if (marker.at < bins.edges.front() || marker.at > bins.edges.back()) {
      text.line(text.fitted(marker.label + ": " + EdgeText(bins)(marker.at), options.width));
    }
  }
  return text.take();
}

}  // namespace attention::render
