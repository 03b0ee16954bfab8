#pragma once

#include <string>

#include <attention/core/error.hpp>

namespace attention::test {

/// What the function throws as an Error says; "no error" if it throws none.
template <class Function>
std::string message_of(const Function& function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace attention::test
