#pragma once

#include <vector>

#include <attention/core/export.hpp>
#include <attention/render/figure.hpp>

/// Private to the room; exported because the component `render` uses it across the library's
/// border.
namespace attention::render::detail {

/// Counts between rising edges; one edge more than counts. The last bin includes its upper edge.
struct Bins {
  std::vector<double> edges;
  std::vector<double> counts;
};

/// The bins that a checked histogram shows: given ones, or its values sorted into equal intervals.
ATTENTION_API Bins bins_of(const Histogram& histogram);

}  // namespace attention::render::detail
