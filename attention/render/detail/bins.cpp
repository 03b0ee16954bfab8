#include <algorithm>
#include <cmath>

#include <attention/render/detail/bins.hpp>
#include <attention/render/detail/ticks.hpp>

namespace attention::render::detail {
namespace {

constexpr int kMostBins = 100;

/// 1, 2 or 5 times a power of ten, not below `width`.
double round_up(double width) {
  const double power = std::pow(10.0, std::floor(std::log10(width)));
  for (const double mantissa : {1.0, 2.0, 5.0}) {
    if (mantissa * power >= width * (1 - 1e-9)) {
      return mantissa * power;
    }
  }
  return 10 * power;
}

/// Sturges: range / (log2 n + 1). Freedman and Diaconis: 2 * (interquartile range) / n^(1/3). The
/// narrower suits both few values and many (D. Freedman, P. Diaconis, "On the histogram as a
/// density estimator", 1981).
double automatic_width(const std::vector<double>& sorted, const Range& range) {
  const auto count = static_cast<double>(sorted.size());
  const double span = range.high - range.low;
  double width = span / (std::log2(count) + 1);
  const double quartiles = sorted[sorted.size() * 3 / 4] - sorted[sorted.size() / 4];
  if (quartiles > 0) {
    width = std::min(width, 2 * quartiles / std::cbrt(count));
  }
  return round_up(std::max(width, span / kMostBins));
}

std::vector<double> edges_for(const std::vector<double>& sorted, int bins) {
  const Range range = usable_range(sorted.front(), sorted.back(), Scale::linear);
  std::vector<double> edges;
  if (bins > 0) {
    for (int i = 0; i <= bins; ++i) {
      const double share = static_cast<double>(i) / bins;
      edges.push_back(range.low * (1 - share) + range.high * share);
    }
    // Rounding must not leave the greatest value out.
    edges.back() = std::max(edges.back(), range.high);
    return edges;
  }
  const double width = automatic_width(sorted, range);
  const double first = std::floor(range.low / width);
  const int count = std::max(static_cast<int>(std::ceil(range.high / width) - first), 1);
  for (int i = 0; i <= count; ++i) {
    edges.push_back((first + i) * width);
  }
  return edges;
}

}  // namespace

Bins bins_of(const Histogram& histogram) {
  if (histogram.values.empty()) {
    return {.edges = histogram.edges, .counts = histogram.counts};
  }
  std::vector<double> sorted = histogram.values;
  std::ranges::sort(sorted);
  Bins bins{.edges = edges_for(sorted, histogram.bins), .counts = {}};
  bins.counts.assign(bins.edges.size() - 1, 0.0);
  for (const double value : sorted) {
    const auto above = std::ranges::upper_bound(bins.edges, value);
    const auto place =
        std::clamp<std::ptrdiff_t>(above - bins.edges.begin() - 1, 0, std::ssize(bins.counts) - 1);
    ++bins.counts[static_cast<std::size_t>(place)];
  }
  return bins;
}

}  // namespace attention::render::detail
