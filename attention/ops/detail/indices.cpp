#include <string>

#include <attention/core/error.hpp>
#include <attention/ops/detail/checks.hpp>
#include <attention/ops/detail/indices.hpp>
#include <attention/ops/detail/walk.hpp>

namespace attention::detail {

std::int64_t count_checked(std::string_view function, std::string_view name, const AnyView& indices,
                           const IndexRange& range) {
  require(indices.dtype() == DType::int32 || indices.dtype() == DType::int64, [&] {
    return Error(function, std::string(name) + " must have the element type int32 or int64",
                 name_of(indices.dtype()));
  });
  require_given(function, name, indices);
  const std::int64_t count = indices.element_count();
  if (count == 0) {
    return 0;
  }
  const IndexReader index_at(indices);
  Walk<1> walk(indices.shape(), {indices.strides()}, 0);
  std::int64_t counted = 0;
  for (std::int64_t n = 0; n < count; ++n, walk.next()) {
    const std::int64_t index = index_at(walk.offsets()[0]);
    if (index == range.ignored) {
      continue;
    }
    require(index >= 0 && index < range.count, [&] {
      return Error(function,
                   std::string(name) + " must lie in [0, " + std::to_string(range.count) + ")" +
                       (range.ignored ? " or be " + std::to_string(*range.ignored) : ""),
                   std::to_string(index) + " at " + to_string(walk.index()));
    });
    ++counted;
  }
  return counted;
}

}  // namespace attention::detail
