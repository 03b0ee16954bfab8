#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include <attention/autograd/variable.hpp>

namespace attention::autograd {

/// A function of some variables, to be checked: it computes one result of any shape, by the
/// operations of autograd, and the same one each time.
using CheckedFunction = std::function<Variable<double>(std::span<const Variable<double>> inputs)>;

struct GradcheckOptions {
  /// Half of the step of the central differences.
  double epsilon = 1e-6;
  /// An element agrees if |found - expected| <= absolute + relative |expected|.
  double absolute = 1e-5;
  double relative = 1e-3;
  /// Elements of each input that are checked, drawn by the seed; fewer if it has fewer.
  std::int64_t elements = 256;
  std::uint64_t seed = 1;
};

struct GradcheckResult {
  bool agrees = true;
  std::int64_t checked = 0;
  /// Of the element that disagrees most, measured against what it may: |found - expected| over the
  /// tolerance.
  double worst = 0;
  std::int64_t input = 0;
  std::int64_t element = 0;  // in row-major order
  double found = 0;          // by backward
  double expected = 0;       // by central differences

  /// "input 1, element 5: backward gives 0.5, central differences give 0.7", with the tolerance.
  std::string to_string() const;
};

/// Compares the gradients that backward computes with central differences, in float64.
///
/// The result of `function` is weighted by fixed random numbers and summed; each checked element of
/// each input is moved by epsilon both ways. Inputs are copied. At points where the function has no
/// derivative (relu at 0) the two differ; draw inputs away from them.
///
/// For layers there is the second form: `parameters` are what the function depends on, and are
/// moved in place and back. Their gradients are forgotten first, and left as backward computes
/// them.
///
/// Cost: two calls of the function for each element, and one backward.
///
/// Throws Error when epsilon is not positive, no input is given, or the shape of the result changes
/// from call to call.
///
/// See also: torch.autograd.gradcheck.
ATTENTION_API GradcheckResult gradcheck(const CheckedFunction& function,
                                        std::span<const Tensor<double>> inputs,
                                        const GradcheckOptions& options = {});
ATTENTION_API GradcheckResult gradcheck(const std::function<Variable<double>()>& function,
                                        std::span<const Variable<double>> parameters,
                                        const GradcheckOptions& options = {});

}  // namespace attention::autograd
