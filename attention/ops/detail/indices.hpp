#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <attention/core/tensor_view.hpp>

/// Private to ops: integers that name rows or classes.
namespace attention::detail {

/// Elements of int32 or int64 by their offset.
class IndexReader {
 public:
  explicit IndexReader(const AnyView& view) noexcept
      : data_(view.data()), is_wide_(view.dtype() == DType::int64) {}
  std::int64_t operator()(std::int64_t offset) const noexcept {
    return is_wide_ ? static_cast<const std::int64_t*>(data_)[offset]
                    : static_cast<const std::int32_t*>(data_)[offset];
  }

 private:
  const void* data_;
  bool is_wide_;
};

/// What indices may be: of [0, count), or, if there is one, `ignored`.
struct IndexRange {
  std::int64_t count = 0;
  std::optional<std::int64_t> ignored = {};
};

/// Checks indices that `function` takes, called `name` ("indices", "targets"): their element type,
/// their memory and each of them. Returns how many are not to be ignored.
///
/// Throws Error; one that names an index names the first that is wrong and its position.
std::int64_t count_checked(std::string_view function, std::string_view name, const AnyView& indices,
                           const IndexRange& range);

}  // namespace attention::detail
