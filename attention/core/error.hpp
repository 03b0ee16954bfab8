#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include <attention/core/export.hpp>

namespace attention {

/// What a public function throws when its arguments break a rule.
///
/// The message reads "<function>: <rule>; found <found>", for example
/// "sdpa: key must have the head size of query; found query (1, 2, 4, 8), key (1, 2, 4, 6)".
class ATTENTION_API Error : public std::invalid_argument {
 public:
  Error(std::string_view function, std::string_view rule, std::string_view found);

  const std::string& function() const noexcept { return function_; }
  const std::string& rule() const noexcept { return rule_; }
  const std::string& found() const noexcept { return found_; }

 private:
  std::string function_;
  std::string rule_;
  std::string found_;
};

/// What reading or writing a file throws: the path and the reason. The message reads "<path>:
/// <reason>".
class ATTENTION_API FileError : public std::runtime_error {
 public:
  FileError(std::string_view path, std::string_view reason);

  const std::string& path() const noexcept { return path_; }
  const std::string& reason() const noexcept { return reason_; }

 private:
  std::string path_;
  std::string reason_;
};

/// Checks one rule of a public function. Throws Error unless `holds`; `found` is a callable that
/// describes what was found, called only then, so that a check that holds costs one branch.
template <class Found>
void require(bool holds, std::string_view function, std::string_view rule, const Found& found) {
  if (!holds) [[unlikely]] {
    throw Error(function, rule, found());
  }
}

/// The same where the rule has to be put together too: throws what `make_error` returns.
template <class MakeError>
void require(bool holds, const MakeError& make_error) {
  if (!holds) [[unlikely]] {
    throw make_error();
  }
}

}  // namespace attention
