#pragma once

#include <string>

#include <attention/core/tensor.hpp>

namespace attention::io {

/// An array of a file of several, and its name there.
struct NamedArray {
  std::string name;
  AnyTensor array;
};

/// An array to be written, and its name.
struct NamedView {
  std::string name;
  AnyView view;
};

}  // namespace attention::io
