#include <attention/core/error.hpp>

namespace attention {
namespace {

std::string join(std::string_view function, std::string_view rule, std::string_view found) {
  std::string message(function);
  message.append(": ").append(rule);
  if (!found.empty()) {
    message.append("; found ").append(found);
  }
  return message;
}

}  // namespace

Error::Error(std::string_view function, std::string_view rule, std::string_view found)
    : std::invalid_argument(join(function, rule, found)),
      function_(function),
      rule_(rule),
      found_(found) {}

FileError::FileError(std::string_view path, std::string_view reason)
    : std::runtime_error(std::string(path).append(": ").append(reason)),
      path_(path),
      reason_(reason) {}

}  // namespace attention
