#pragma once

#include <string>
#include <vector>

#include <attention/render/figure.hpp>

#include "experiments/run.hpp"

namespace attention::cli {

/// A figure of an experiment: its file name without extension, what it shows, and the drawing.
struct NamedFigure {
  std::string name;
  std::string caption;
  render::Figure figure;
};

/// The draw that is shown, as a heatmap, or a grid of one for each head.
NamedFigure weights_figure(const experiments::Result& result);

/// All figures: the draw, other draws, the control, which key wins over the seeds, each effect's
/// distribution, the claims' probabilities. Those over seeds are left out without seeds.
std::vector<NamedFigure> figures_of(const experiments::Result& result);

}  // namespace attention::cli
