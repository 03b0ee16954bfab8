#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <attention/core/error.hpp>
#include <attention/render/save.hpp>
#include <attention/render/terminal.hpp>

#include "cli/app.hpp"
#include "cli/arrays.hpp"

namespace attention::cli {
namespace {

struct HeatmapOptions {
  CommonOptions common;
  std::string input;
  std::string labels, row_labels, column_labels;
  std::string title;
  std::string colormap = "blues";
  std::string scale = "linear";
  std::optional<double> minimum, maximum;
  std::string annotate = "auto";
  int decimals = 2;
  std::string sharing = "shared";
  std::int64_t batch = 0;
  double width = 0;
  std::string output;
};

std::vector<std::string> labels_from(const std::string& own, const std::string& both) {
  const std::string& text = own.empty() ? both : own;
  return text.empty() ? std::vector<std::string>() : split_labels(text);
}

render::ColorScale color_scale(const HeatmapOptions& options) {
  return {.colormap = render::colormap_from_name(options.colormap),
          .scale = options.scale == "log" ? render::Scale::log : render::Scale::linear,
          .minimum = options.minimum,
          .maximum = options.maximum};
}

render::Heatmap heatmap_of(const HeatmapOptions& options, const AnyView& matrix) {
  render::Heatmap heatmap{.values = converted<double>(matrix)};
  heatmap.row_labels = labels_from(options.row_labels, options.labels);
  heatmap.column_labels = labels_from(options.column_labels, options.labels);
  heatmap.title = options.title;
  heatmap.color = color_scale(options);
  heatmap.annotation = options.annotate == "always"  ? render::Annotation::always
                       : options.annotate == "never" ? render::Annotation::never
                                                     : render::Annotation::automatic;
  heatmap.decimals = options.decimals;
  heatmap.width = options.width;
  return heatmap;
}

/// A matrix as one heatmap; (H, L, S) as a grid; (B, H, L, S) as the grid of one batch entry.
render::Figure figure_of(const HeatmapOptions& options, const AnyTensor& array) {
  AnyView view = array.view();
  require(view.rank() >= 2 && view.rank() <= 4, "heatmap",
          "the array must have the shape (L, S), (H, L, S) or (B, H, L, S)",
          [&] { return to_string(view.shape()); });
  const auto part = [](const AnyView& whole, std::int64_t index) {
    return visit(whole.dtype(),
                 [&]<class T>() -> AnyView { return whole.as<T>().select(0, index); });
  };
  if (view.rank() == 4) {
    view = part(view, options.batch);
  }
  if (view.rank() == 2) {
    return heatmap_of(options, view);
  }
  render::HeatmapGrid grid{.panels = {}, .title = options.title};
  grid.sharing =
      options.sharing == "separate" ? render::ScaleSharing::separate : render::ScaleSharing::shared;
  grid.color = color_scale(options);
  grid.width = options.width;
  for (std::int64_t head = 0; head < view.size(0); ++head) {
    render::Heatmap panel = heatmap_of(options, part(view, head));
    panel.title = fmt::format("Head {}", head);
    grid.panels.push_back(std::move(panel));
  }
  return grid;
}

void run_heatmap(const HeatmapOptions& options) {
  const render::Figure figure = figure_of(options, read_one_array(options.input));
  if (!options.output.empty()) {
    writing([&] { render::save(figure, options.output); });
    if (options.common.json) {
      fmt::print("{}\n", nlohmann::ordered_json({{"output", options.output}}).dump(2));
    } else {
      fmt::print("{}\n", options.output);
    }
    return;
  }
  if (options.common.json) {
    throw UsageError("heatmap --json says where the figure was written, and goes with --output");
  }
  const Terminal terminal = look_at_terminal(options.common.color);
  if (const auto* heatmap = std::get_if<render::Heatmap>(&figure)) {
    fmt::print("{}", render::to_terminal(*heatmap, terminal.options));
  } else if (const auto* grid = std::get_if<render::HeatmapGrid>(&figure)) {
    fmt::print("{}", render::to_terminal(*grid, terminal.options));
  }
}

}  // namespace

void add_heatmap_verb(CLI::App& app) {
  auto options = std::make_shared<HeatmapOptions>();
  CLI::App* verb = app.add_subcommand(
      "heatmap", "Draw a matrix of an npy or npz file, here or as PNG, SVG or PDF");
  verb->add_option("FILE", options->input,
                   "Array (L, S), (H, L, S) or (B, H, L, S), as FILE or FILE:NAME")
      ->required();
  verb->add_option("--output,-o", options->output,
                   "File to write: .png, .svg or .pdf; without it, the terminal");
  verb->add_option("--labels", options->labels,
                   R"(Labels of rows and columns, separated by commas ("\," is a comma))");
  verb->add_option("--row-labels", options->row_labels, "Labels of the rows alone");
  verb->add_option("--column-labels", options->column_labels, "Labels of the columns alone");
  verb->add_option("--title", options->title, "Title");
  verb->add_option("--colormap", options->colormap, "blues, viridis, cividis or diverging")
      ->check(CLI::IsMember({"blues", "viridis", "cividis", "diverging"}))
      ->capture_default_str();
  verb->add_option("--scale", options->scale, "linear or log")
      ->check(CLI::IsMember({"linear", "log"}))
      ->capture_default_str();
  verb->add_option("--min", options->minimum,
                   "Value at the low end of the colours; the least one unless given");
  verb->add_option("--max", options->maximum,
                   "Value at the high end; the greatest one unless given");
  verb->add_option("--annotate", options->annotate,
                   "Write the values into the cells: auto, always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->capture_default_str();
  verb->add_option("--decimals", options->decimals, "Digits after the point of these values")
      ->check(CLI::Range(0, 10))
      ->capture_default_str();
  verb->add_option("--sharing", options->sharing,
                   "Colour scale of several heads: shared or separate")
      ->check(CLI::IsMember({"shared", "separate"}))
      ->capture_default_str();
  verb->add_option("--batch", options->batch, "Which batch entry of (B, H, L, S)")
      ->capture_default_str();
  verb->add_option("--width", options->width, "Width of the figure in pixels; 0: what suits it")
      ->capture_default_str();
  add_common_options(*verb, options->common);
  verb->footer(R"(Examples:
  attention heatmap weights.npy
  attention heatmap result.npz:weights --labels the,cat,sat -o weights.png
  attention heatmap result.npz:weights --scale log --colormap viridis -o weights.svg)");
  verb->callback([options] { run_heatmap(*options); });
}

}  // namespace attention::cli
