// Draws the share of the peak over the length, this library and the peers, full and causal.
//   bench_figure STEM FILE.json...      writes STEM.svg and STEM.png
// The files are those of attention_bench and of bench/peers/compare.py.

#include <algorithm>
#include <cstdint>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <attention/render/figure.hpp>
#include <attention/render/save.hpp>

namespace attention::bench {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t kHeadSize = 64;
// The line chart has as many colours; then it begins again with dashes. So the curve of a contender
// has one colour, solid for full and dashed for causal.
constexpr std::size_t kColors = 7;

/// Percent of the peak by length.
using Points = std::map<std::int64_t, double>;

struct Curve {
  std::string name;
  Points full = {};
  Points causal = {};
};

Json read_json(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    throw std::runtime_error(path + ": cannot be opened");
  }
  return Json::parse(file);
}

bool is_ours(const Json& data) {
  return data.contains("cases");
}

/// The largest number of threads that a file of ours was measured with, else that of the peers.
int threads_of(const std::vector<Json>& files) {
  int ours = 0;
  int peers = 0;
  for (const Json& data : files) {
    if (!is_ours(data)) {
      peers = std::max(peers, data.at("threads").get<int>());
      continue;
    }
    for (const Json& one : data.at("cases")) {
      ours = std::max(ours, one.at("threads").get<int>());
    }
  }
  return ours > 0 ? ours : peers;
}

/// The curve of one file of attention_bench.
Curve curve_of_ours(const Json& data, int threads) {
  const auto compiler = data.at("compiler").get<std::string>();
  Curve curve{.name = "attention.cpp, " + compiler.substr(0, compiler.find(' '))};
  for (const Json& one : data.at("cases")) {
    const auto group = one.at("group").get<std::string>();
    if ((group == "full" || group == "causal") && one.at("D") == kHeadSize &&
        one.at("threads") == threads) {
      Points& points = group == "full" ? curve.full : curve.causal;
      points[one.at("L").get<std::int64_t>()] = 100.0 * one.at("value").get<double>();
    }
  }
  return curve;
}

/// The curves of one file of compare.py. This library is left out (its own files have it), and so
/// is torch_math, which is a second way of torch.
std::vector<Curve> curves_of_peers(const Json& data, int threads) {
  std::vector<Curve> curves;
  if (data.at("threads") != threads) {
    return curves;
  }
  for (const Json& outcome : data.at("problems")) {
    const Json& problem = outcome.at("problem");
    if (problem.at("group") != "prefill" || problem.at("D") != kHeadSize) {
      continue;
    }
    for (const auto& [name, timing] : outcome.at("contenders").items()) {
      if (name == "attention_cpp" || name == "torch_math" || timing.at("share_of_peak").is_null()) {
        continue;
      }
      auto curve = std::ranges::find(curves, name, &Curve::name);
      if (curve == curves.end()) {
        curve = curves.insert(curves.end(), {.name = name});
      }
      Points& points = problem.at("causal").get<bool>() ? curve->causal : curve->full;
      points[problem.at("L").get<std::int64_t>()] =
          100.0 * timing.at("share_of_peak").get<double>();
    }
  }
  return curves;
}

/// A curve without points takes its colour, and shows nothing: not in the legend either.
render::Series series_of(const std::string& name, const Points& points) {
  if (points.empty()) {
    return {.x = {1024}, .y = {std::numeric_limits<double>::quiet_NaN()}};
  }
  render::Series series{.name = name, .x = {}, .y = {}, .markers = render::Markers::on};
  for (const auto& [L, percent] : points) {
    series.x.push_back(static_cast<double>(L));
    series.y.push_back(percent);
  }
  return series;
}

render::LineChart chart_of(std::vector<Curve> curves, int threads) {
  // There are as many colours as curves, so that a curve too many is left out.
  curves.resize(kColors, Curve{.name = ""});
  render::LineChart chart{.series = {},
                          .title = "Share of the multiply-add peak: float32, 8 heads of " +
                                   std::to_string(kHeadSize) + ", " + std::to_string(threads) +
                                   (threads == 1 ? " thread" : " threads"),
                          .x = {.title = "Length of the sequence", .scale = render::Scale::log},
                          .y = {.title = "Percent of the peak (solid: full, dashed: causal)",
                                .minimum = 0.0,
                                .maximum = 100.0},
                          .width = 900,
                          .height = 520};
  for (const Curve& curve : curves) {
    chart.series.push_back(series_of(curve.name, curve.full));
  }
  for (const Curve& curve : curves) {
    chart.series.push_back(series_of(curve.full.empty() ? curve.name : "", curve.causal));
  }
  return chart;
}

void draw(const std::string& stem, const std::vector<std::string>& paths) {
  std::vector<Json> files;
  files.reserve(paths.size());
  for (const std::string& path : paths) {
    files.push_back(read_json(path));
  }
  const int threads = threads_of(files);
  std::vector<Curve> curves;
  for (const Json& data : files) {
    if (is_ours(data)) {
      curves.push_back(curve_of_ours(data, threads));
    } else {
      std::ranges::move(curves_of_peers(data, threads), std::back_inserter(curves));
    }
  }
  std::erase_if(curves, [](const Curve& c) { return c.full.empty() && c.causal.empty(); });
  if (curves.empty()) {
    throw std::runtime_error("the files hold nothing of the groups full and causal");
  }
  const render::LineChart chart = chart_of(std::move(curves), threads);
  render::save(chart, stem + ".svg");
  render::save(chart, stem + ".png");
}

}  // namespace
}  // namespace attention::bench

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() < 2) {
    std::cerr << "usage: bench_figure STEM FILE.json...\n";
    return 2;
  }
  try {
    attention::bench::draw(words.front(), {words.begin() + 1, words.end()});
  } catch (const std::exception& error) {
    std::cerr << "bench_figure: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
