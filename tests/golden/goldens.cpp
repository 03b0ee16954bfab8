#include "tests/golden/goldens.hpp"

#include <stdexcept>
#include <vector>

#include <attention/io/npz.hpp>

namespace attention::goldens {

const AnyView& golden(const std::string& name) {
  static const std::vector<io::NamedArray> kArrays = io::read_npz(ATTENTION_GOLDENS);
  for (const io::NamedArray& entry : kArrays) {
    if (entry.name == name) {
      return entry.array.view();
    }
  }
  throw std::runtime_error("goldens.npz has no array " + name);
}

}  // namespace attention::goldens
