#include "cli/suggest.hpp"

#include <algorithm>
#include <vector>

namespace attention::cli {
namespace {

/// The optimal string alignment distance: edits, and exchanges of neighbours.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      const std::size_t changed = d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, changed});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

std::string nearest(std::string_view typed, std::span<const std::string> candidates) {
  std::string best;
  std::size_t best_distance = std::string_view::npos;
  for (const std::string& candidate : candidates) {
    const bool begins = !typed.empty() && candidate.starts_with(typed);
    const std::size_t away = begins ? 0 : distance(typed, candidate);
    const std::size_t allowed =
        std::max<std::size_t>(1, std::max(typed.size(), candidate.size()) / 3);
    if (away <= allowed && away < best_distance) {
      best = candidate;
      best_distance = away;
    }
  }
  return best;
}

std::string suggestion(std::string_view typed, std::span<const std::string> candidates) {
  const std::string name = nearest(typed, candidates);
  return name.empty() ? "" : " (did you mean '" + name + "'?)";
}

}  // namespace attention::cli
