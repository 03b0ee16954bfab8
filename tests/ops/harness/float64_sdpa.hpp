#pragma once

#include <cstdint>
#include <vector>

#include "sdpa_case.hpp"

namespace attention::tests {

/// The values of a problem, dense and row-major, widened to double (which is exact). A boolean mask
/// holds 1 and 0; vectors of options that are not given are empty.
struct DenseProblem {
  SdpaCase c;
  std::vector<double> q;
  std::vector<double> k;
  std::vector<double> v;
  std::vector<double> mask;
  std::vector<std::int64_t> key_lengths;
  std::vector<double> slopes;
  std::vector<double> sinks;
};

/// One cell of the score matrix.
struct Cell {
  std::int64_t b;
  std::int64_t h;
  std::int64_t i;
  std::int64_t j;
};

/// Which element of the dense mask belongs to a cell.
std::size_t mask_index(const DenseProblem& p, const Cell& cell);

/// True when query i sees key j.
bool is_visible(const DenseProblem& p, const Cell& cell);

/// True when dropout keeps the weight of a cell.
bool is_kept(const DenseProblem& p, const Cell& cell);

/// By which dropout multiplies a weight that it keeps.
double dropout_factor(const SdpaCase& c);

/// Results, dense and row-major, as double.
struct Results {
  std::vector<double> out;      // (B, H, L, Dv)
  std::vector<double> lse;      // (B, H, L)
  std::vector<double> weights;  // (B, H, L, S)
};

struct Truth {
  Results results;
  std::vector<char> visible;  // (B, H, L, S)
  double largest_value = 0;   // of |v|, over the finite values that some row sees, under dropout
                              // times its factor
  double largest_term = 0;    // of the finite terms that a score is added up from, in magnitude
};

/// Attention written down a second time, from docs/semantics.md alone: it shares no code with the
/// library, so that the library's reference is tested too.
Truth float64_sdpa(const DenseProblem& p);

}  // namespace attention::tests
