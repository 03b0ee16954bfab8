#pragma once

#include <cctype>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/sdpa.hpp>

namespace attention::tests {

/// True when `text` holds `part`, and not as a piece of a longer word.
inline bool mentions(const std::string& text, const std::string& part) {
  const auto is_word = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
  };
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    const std::size_t end = at + part.size();
    const bool starts = at == 0 || !is_word(text[at - 1]) || !is_word(part.front());
    const bool ends = end == text.size() || !is_word(text[end]) || !is_word(part.back());
    if (starts && ends) {
      return true;
    }
  }
  return false;
}

/// Zeros of any shape.
template <class T = float>
TensorView<T> zeros(const Shape& shape) {
  static Tensor<T> buffer({4096});
  return {buffer.data(), shape};
}

/// A shape and no memory.
template <class T = float>
TensorView<T> nowhere(const Shape& shape) {
  return {nullptr, shape};
}

/// A problem without fault: B 2, H 4, Hkv 2, L 3, S 5, D 8, Dv 6.
struct Call {
  static constexpr float kUntouched = -77.0F;

  TensorView<const float> q = zeros({2, 4, 3, 8});
  TensorView<const float> k = zeros({2, 2, 5, 8});
  TensorView<const float> v = zeros({2, 2, 5, 6});
  SdpaOptions options;
  Tensor<float> out = Tensor<float>::filled({2, 4, 3, 6}, kUntouched);
  Tensor<float> lse = Tensor<float>::filled({2, 4, 3}, kUntouched);
  Tensor<float> weights = Tensor<float>::filled({2, 4, 3, 5}, kUntouched);
  SdpaOutputs<float> outputs{.out = out.view(), .lse = lse.view(), .weights = weights.view()};
  std::vector<std::byte> workspace = std::vector<std::byte>(1 << 20, std::byte{0x5A});

  void run_owning() const { sdpa(q, k, v, options); }
  void run_into() { sdpa_into(outputs, q, k, v, options, workspace); }

  bool is_untouched() const {
    bool untouched = true;
    for (const Tensor<float>* tensor : {&out, &lse, &weights}) {
      for (const float value : tensor->values()) {
        untouched = untouched && value == kUntouched;
      }
    }
    return untouched;
  }
};

/// One way to break a rule, and what the message must say: the argument's name (of q, k and v in
/// full) and what was found.
struct Fault {
  Fault(std::string its_name, std::function<void(Call&)> how, std::vector<std::string> parts,
        std::string named_function = {})
      : name(std::move(its_name)),
        commit(std::move(how)),
        message(std::move(parts)),
        function(std::move(named_function)) {}

  std::string name;
  std::function<void(Call&)> commit;
  std::vector<std::string> message;
  /// The function that the error names, if not the one called.
  std::string function;
};

/// Runs what must throw: Error, from `function`, with the parts of the fault's message.
inline void expect_error(const Fault& fault, const std::function<void()>& run,
                         const std::string& function) {
  try {
    run();
    ADD_FAILURE() << fault.name << ": no error";
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_EQ(error.function(), fault.function.empty() ? function : fault.function) << text;
    EXPECT_FALSE(error.rule().empty()) << text;
    for (const std::string& part : fault.message) {
      EXPECT_TRUE(mentions(text, part)) << fault.name << ": \"" << part << "\" is not in: " << text;
    }
  }
}

}  // namespace attention::tests
