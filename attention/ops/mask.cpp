#include <string>

#include <attention/core/error.hpp>
#include <attention/ops/mask.hpp>

namespace attention {

Mask Mask::of(MaskKind kind, const AnyView& view) {
  const auto found = [&] {
    return std::string(name_of(view.dtype())) + " " + to_string(view.shape());
  };
  switch (kind) {
    case MaskKind::none:
      require(view.is_null(), "Mask", "no mask must come with a null view", found);
      break;
    case MaskKind::keep:
    case MaskKind::block:
      require(view.dtype() == DType::boolean, "Mask", "a mask that keeps or blocks must hold bools",
              found);
      break;
    case MaskKind::add:
      require(is_floating(view.dtype()), "Mask",
              "a mask that is added must hold floating-point numbers", found);
      break;
  }
  return {kind, view};
}

}  // namespace attention
