#include "tests/golden/goldens.hpp"

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <vector>

#include <attention/io/npz.hpp>

namespace attention::goldens {

const AnyView& golden(const std::string& name) {
  static const std::vector<io::NamedArray> kArrays = [] {
    std::vector<io::NamedArray> all = io::read_npz(ATTENTION_GOLDENS "goldens.npz");
    std::ranges::move(io::read_npz(ATTENTION_GOLDENS "training_goldens.npz"),
                      std::back_inserter(all));
    return all;
  }();
  for (const io::NamedArray& entry : kArrays) {
    if (entry.name == name) {
      return entry.array.view();
    }
  }
  throw std::runtime_error("the goldens have no array " + name);
}

}  // namespace attention::goldens
