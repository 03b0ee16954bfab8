#include "figures.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <attention/core/error.hpp>
#include <attention/render/figure.hpp>
#if ATTENTION_HAS_CAIRO
#include <attention/render/save.hpp>
#endif
#include <attention/render/terminal.hpp>

#include "arrays.hpp"

namespace attention::python {
namespace {

using Labels = std::optional<std::vector<std::string>>;

/// A figure that Python holds.
struct Figure {
  render::Figure figure;
};

#if ATTENTION_HAS_CAIRO
std::string svg(const Figure& self) {
  return render::to_svg(self.figure);
}
nb::bytes png(const Figure& self, double scale) {
  const std::string bytes = render::to_png(self.figure, {.scale = scale});
  return nb::bytes(bytes.data(), bytes.size());
}
void save(const Figure& self, const nb::object& path, double scale) {
  render::save(self.figure,
               nb::cast<std::string>(nb::module_::import_("os").attr("fsdecode")(path)),
               {.scale = scale});
}
#else
[[noreturn]] void throw_no_cairo() {
  throw std::runtime_error("this build draws no figures: cairo was not found when it was built");
}
std::string svg(const Figure&) {
  throw_no_cairo();
}
nb::bytes png(const Figure&, double) {
  throw_no_cairo();
}
void save(const Figure&, const nb::object&, double) {
  throw_no_cairo();
}
#endif

/// Head h of weights (H, L, S) as a figure's panel.
render::Heatmap panel(TensorView<const double> weights, const Labels& rows, const Labels& columns,
                      const std::string& title) {
  return {.values = Tensor<double>::copy_of(weights),
          .row_labels = rows.value_or(std::vector<std::string>()),
          .column_labels = columns.value_or(std::vector<std::string>()),
          .title = title};
}

template <class Choice>
Choice chosen(const char* argument, const std::string& name,
              const std::vector<std::pair<std::string, Choice>>& choices) {
  std::string names;
  for (const auto& [known, choice] : choices) {
    if (known == name) {
      return choice;
    }
    names += (names.empty() ? "'" : ", '") + known + "'";
  }
  throw_value_error("heatmap", argument, "must be one of " + names, "'" + name + "'");
}

Figure heatmap(nb::handle weights, const Labels& row_labels, const Labels& column_labels,
               const std::string& title, const std::string& colormap, const std::string& scale,
               bool shared_scale) {
  const Array array = Array::reading("heatmap", "weights", weights);
  AnyView view = array.view();
  const auto found = [&] { return to_string(array.view().shape()); };
  require(view.rank() >= 2 && view.rank() <= 4, "heatmap",
          "weights must have the shape (L, S), (H, L, S) or (1, H, L, S)", found);
  Tensor<double> values = converted<double>(view);
  TensorView<const double> heads = std::as_const(values).view();
  if (heads.rank() == 4) {
    require(heads.size(0) == 1, "heatmap",
            "weights of a batch must be chosen from first: weights[b]", found);
    heads = heads.select(0, 0);
  }
  const int rank = heads.rank();
  const auto check_labels = [&](const char* name, const Labels& labels, std::int64_t extent) {
    if (labels && static_cast<std::int64_t>(labels->size()) != extent) {
      throw_value_error("heatmap", name, "must be one for each of " + std::to_string(extent),
                        std::to_string(labels->size()));
    }
  };
  check_labels("row labels", row_labels, heads.size(rank - 2));
  check_labels("column labels", column_labels, heads.size(rank - 1));
  const render::ColorScale color{
      .colormap = chosen<render::Colormap>("colormap", colormap,
                                           {{"blues", render::Colormap::blues},
                                            {"viridis", render::Colormap::viridis},
                                            {"cividis", render::Colormap::cividis},
                                            {"diverging", render::Colormap::diverging}}),
      .scale = chosen<render::Scale>(
          "scale", scale, {{"linear", render::Scale::linear}, {"log", render::Scale::log}})};
  if (heads.rank() == 2) {
    render::Heatmap figure = panel(heads, row_labels, column_labels, title);
    figure.color = color;
    return {.figure = std::move(figure)};
  }
  render::HeatmapGrid grid{
      .panels = {},
      .title = title,
      .sharing = shared_scale ? render::ScaleSharing::shared : render::ScaleSharing::separate,
      .color = color};
  for (std::int64_t h = 0; h < heads.size(0); ++h) {
    render::Heatmap head =
        panel(heads.select(0, h), row_labels, column_labels, "Head " + std::to_string(h));
    head.color = color;
    grid.panels.push_back(std::move(head));
  }
  return {.figure = std::move(grid)};
}

}  // namespace

void bind_figures(nb::module_& module) {
  nb::class_<Figure>(module, "Figure", "A figure. A notebook shows it; save writes it to a file.")
      .def(
          "save", &save, nb::arg("path").none(), nb::arg("scale") = 2.0,
          "Writes a .png, .svg or .pdf file, whole or not at all. scale: pixels of a PNG per unit.")
      .def("to_svg", &svg, "The SVG as text.")
      .def("to_png", &png, nb::arg("scale") = 2.0, "The bytes of the PNG.")
      .def("_repr_svg_", &svg)
      .def("_repr_png_", [](const Figure& self) { return png(self, 2.0); });
  module.def("heatmap", &heatmap, nb::arg("weights").none(), nb::arg("row_labels").none(),
             nb::arg("column_labels").none(), nb::arg("title"), nb::arg("colormap"),
             nb::arg("scale"), nb::arg("shared_scale"));
}

}  // namespace attention::python
