#pragma once

#include <string>
#include <vector>

#include "cli/report/figures.hpp"
#include "experiments/run.hpp"

namespace attention::cli {

/// One experiment of the page.
struct ReportSection {
  const experiments::Result* result;
  std::vector<NamedFigure> figures;
};

/// The report as one HTML file that needs nothing else: no network, no script. Figures are embedded
/// as SVG.
std::string report_page(const std::vector<ReportSection>& sections);

}  // namespace attention::cli
