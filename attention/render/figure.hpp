#pragma once

#include <optional>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include <attention/core/export.hpp>
#include <attention/core/tensor.hpp>
#include <attention/render/colormap.hpp>

/// Figures of attention: plain data that says what a figure shows. Drawing is apart: save.hpp gives
/// PNG, SVG and PDF, terminal.hpp gives text.
///
/// Text is UTF-8 and may hold anything: control characters and malformed bytes are shown as a
/// replacement character. Titles are broken into lines; labels longer than 170 units are cut short
/// with an ellipsis, turned upright where columns are narrow, and thinned out where there is no
/// room for all of them.
///
/// A width or height of 0 is chosen to suit the content; others lie in [100, 10000]. One unit is a
/// pixel of an SVG or of a PNG at scale 1, and a point of a PDF.
namespace attention::render {

enum class Scale { linear, log };

/// How the values of a heatmap become colours, and the colour bar that says so.
struct ColorScale {
  Colormap colormap = Colormap::blues;
  Scale scale = Scale::linear;
  /// The values at the two ends of the map; values beyond them get the end's colour, and the colour
  /// bar ends in a point. Not given: the least and the greatest finite value (positive ones on a
  /// log scale). For `diverging` the limits are symmetric about 0 unless both are given. Values
  /// that are all the same, to within 1e-6 of their size, lie in the middle of a range about them.
  std::optional<double> minimum = {};
  std::optional<double> maximum = {};
  /// Beside the colour bar.
  std::string title = "Attention weight";
};

/// Whether values are written into the cells.
enum class Annotation {
  automatic,  ///< When all cells are large enough to read them.
  always,     ///< In type as small as it takes; at most kMaxAnnotated cells.
  never,
};
inline constexpr std::int64_t kMaxAnnotated = 10000;

/// A matrix as coloured cells, row 0 on top: the weights of one head, one row for each query.
///
/// A NaN has no colour: its cell is hatched grey. On a log scale values of 0 and below get the
/// lowest colour and read "0". Infinite values get the end's colour. Cells under 8 units, or more
/// than 4096 of them, are drawn as one image without lines between; where there are more cells
/// than the image has pixels (two per unit, 4096 at most to a side), a pixel shows the mean of the
/// finite values of its cells.
struct Heatmap {
  /// (rows, columns), at least (1, 1).
  Tensor<double> values;
  /// One per row and per column, or none: then positions from 0.
  std::vector<std::string> row_labels = {};
  std::vector<std::string> column_labels = {};
  std::string title = {};
  std::string row_title = "Query position";
  std::string column_title = "Key position";
  ColorScale color = {};
  Annotation annotation = Annotation::automatic;
  /// Digits after the point of the values in the cells, 0 to 10.
  int decimals = 2;
  /// Height 0 makes square cells, within reason.
  double width = 0;
  double height = 0;
};

enum class ScaleSharing {
  shared,    ///< All panels by the grid's `color`: comparable, one colour bar.
  separate,  ///< Each panel by its own `color`, with a colour bar of its own.
};

/// Heatmaps side by side: the heads of a layer. Labels that all panels share stand at the edge of
/// the grid only. The panels' own width and height count for nothing.
struct HeatmapGrid {
  std::vector<Heatmap> panels;
  /// Panels beside each other; 0: as many as make the grid about square.
  int columns = 0;
  std::string title = {};
  ScaleSharing sharing = ScaleSharing::shared;
  ColorScale color = {};
  double width = 0;
  double height = 0;
};

/// A value worth a line in a histogram: "mean", "exact 0".
struct Marker {
  double at = 0;
  std::string label = {};
};

/// How often values fall into equal intervals.
struct Histogram {
  /// The values, all finite; or, if there are none, `edges` and `counts`.
  std::vector<double> values = {};
  /// Rising edges of the bins, one more than `counts`, which are finite and not negative.
  std::vector<double> edges = {};
  std::vector<double> counts = {};
  /// How many bins `values` go into, up to 1000. 0: by the narrower of Sturges' and of Freedman and
  /// Diaconis' intervals, 100 at most, widened to 1, 2 or 5 times a power of ten.
  int bins = 0;
  std::vector<Marker> markers = {};
  std::string title = {};
  std::string value_title = "Value";
  std::string count_title = "Count";
  double width = 0;
  double height = 0;
};

/// An interval about a value, low <= high.
struct Interval {
  double low = 0;
  double high = 0;
};

struct Bar {
  std::string label = {};
  double value = 0;
  /// Drawn as an error bar.
  std::optional<Interval> interval = {};
  /// Drawn as a short line across the bar: what the value should be.
  std::optional<double> reference = {};
};

/// Categories with a value each, from 0.
struct BarChart {
  std::vector<Bar> bars;
  std::string title = {};
  std::string category_title = {};
  std::string value_title = "Value";
  /// The legend's words for the intervals and the references; an empty one is left out.
  std::string interval_label = "95% interval";
  std::string reference_label = "exact";
  double width = 0;
  double height = 0;
};

enum class Markers { off, on };

/// Points joined by lines in the given order; a y that is NaN breaks the line.
struct Series {
  std::string name = {};
  std::vector<double> x;
  std::vector<double> y;
  /// A band about the line: one value per point, or none.
  std::vector<double> lower = {};
  std::vector<double> upper = {};
  Markers markers = Markers::off;
};

struct Axis {
  std::string title = {};
  Scale scale = Scale::linear;
  /// Not given: from the data. What lies outside is cut off.
  std::optional<double> minimum = {};
  std::optional<double> maximum = {};
};

/// Named series over one pair of axes. On a log axis all values must be positive, except the lower
/// end of a band.
struct LineChart {
  std::vector<Series> series;
  std::string title = {};
  Axis x = {};
  Axis y = {};
  double width = 0;
  double height = 0;
};

/// Any figure.
using Figure = std::variant<Heatmap, HeatmapGrid, Histogram, BarChart, LineChart>;

/// A figure of any kind that somebody else owns, as a function's parameter: `save(heatmap, path)`
/// copies nothing. It must not outlive the figure.
class FigureRef {
 public:
  using Pointer = std::variant<const Heatmap*, const HeatmapGrid*, const Histogram*,
                               const BarChart*, const LineChart*>;

  template <class Kind>
    requires std::is_constructible_v<Pointer, const Kind*>
  FigureRef(const Kind& figure)  // NOLINT(google-explicit-constructor): as a function's parameter
      : pointer_(&figure) {}
  FigureRef(const Figure& figure)  // NOLINT(google-explicit-constructor)
      : pointer_(std::visit([](const auto& kind) { return Pointer(&kind); }, figure)) {}

  const Pointer& pointer() const noexcept { return pointer_; }

 private:
  Pointer pointer_;
};

}  // namespace attention::render
