#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <sstream>
#include <utility>
#include <vector>

#include <attention/autograd/gradcheck.hpp>
#include <attention/core/error.hpp>
#include <attention/core/random.hpp>

namespace attention::autograd {
namespace {

constexpr const char* kFunction = "autograd::gradcheck";

/// sum of weights * result.
double weighted_sum(TensorView<const double> result, const Tensor<double>& weights) {
  require(result.shape() == weights.shape(), kFunction,
          "the result must have the same shape each time",
          [&] { return to_string(weights.shape()) + " and then " + to_string(result.shape()); });
  double sum = 0;
  for_each_offset(
      result.shape(),
      [&](std::int64_t at, std::int64_t n) { sum += result.data()[at] * weights.data()[n]; },
      result.strides(), weights.view().strides());
  return sum;
}

/// Up to `count` different elements of [0, size), in rising order.
std::vector<std::int64_t> drawn_elements(std::int64_t size, std::int64_t count,
                                         random::Generator& generator) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(size));
  std::iota(all.begin(), all.end(), std::int64_t{0});
  for (std::int64_t n = 0; n < std::min(size, count); ++n) {
    const auto left = static_cast<std::uint64_t>(size - n);
    const auto other = n + static_cast<std::int64_t>(generator.next_u64() % left);
    std::swap(all[static_cast<std::size_t>(n)], all[static_cast<std::size_t>(other)]);
  }
  all.resize(static_cast<std::size_t>(std::min(size, count)));
  std::ranges::sort(all);
  return all;
}

/// The derivative by `moved`, by central differences.
double difference(const std::function<Variable<double>()>& function, double& moved,
                  const Tensor<double>& weights, double epsilon) {
  const NoGrad guard;
  const double at = moved;
  moved = at + epsilon;
  const double above = weighted_sum(function().value(), weights);
  moved = at - epsilon;
  const double below = weighted_sum(function().value(), weights);
  moved = at;
  return (above - below) / (2 * epsilon);
}

/// Where element number `index` in row-major order lies.
std::int64_t offset_of(const Layout& layout, std::int64_t index) {
  std::int64_t offset = 0;
  for (int dim = layout.rank() - 1; dim >= 0; --dim) {
    offset += index % layout.shape[dim] * layout.strides[dim];
    index /= layout.shape[dim];
  }
  return offset;
}

}  // namespace

std::string GradcheckResult::to_string() const {
  std::ostringstream text;
  text.precision(12);
  text << "input " << input << ", element " << element << ": backward gives " << found
       << ", central differences give " << expected << " (" << worst
       << " of the tolerance; elements checked: " << checked << ")";
  return text.str();
}

GradcheckResult gradcheck(const std::function<Variable<double>()>& function,
                          std::span<const Variable<double>> parameters,
                          const GradcheckOptions& options) {
  require(options.epsilon > 0, kFunction, "epsilon must be positive",
          [&] { return std::to_string(options.epsilon); });
  require(!parameters.empty(), kFunction, "there must be an input or a parameter",
          [] { return std::string("none"); });
  for (const Variable<double>& parameter : parameters) {
    parameter.clear_grad();
  }
  random::Generator generator(options.seed);
  const Variable<double> result = function();
  Tensor<double> weights(result.shape());
  random::uniform(weights, -1, 1, generator);
  backward<double>(result, weights);

  GradcheckResult report;
  for (std::size_t n = 0; n < parameters.size(); ++n) {
    const TensorView<double> values = parameters[n].mutable_value();
    const TensorView<const double> grad = parameters[n].grad();
    for (const std::int64_t element :
         drawn_elements(values.element_count(), options.elements, generator)) {
      const std::int64_t offset = offset_of(values.layout(), element);
      const double expected = difference(function, values.data()[offset], weights, options.epsilon);
      const double found = grad.is_null() ? 0.0 : grad.data()[offset];
      const double tolerance = options.absolute + options.relative * std::abs(expected);
      const double share = std::abs(found - expected) / tolerance;
      ++report.checked;
      report.agrees = report.agrees && share <= 1;
      if (!(share <= report.worst) || report.checked == 1) {
        report.worst = share;
        report.input = static_cast<std::int64_t>(n);
        report.element = element;
        report.found = found;
        report.expected = expected;
      }
    }
  }
  return report;
}

GradcheckResult gradcheck(const CheckedFunction& function, std::span<const Tensor<double>> inputs,
                          const GradcheckOptions& options) {
  std::vector<Variable<double>> variables;
  variables.reserve(inputs.size());
  for (const Tensor<double>& input : inputs) {
    variables.push_back(Variable<double>::parameter(input));
  }
  return gradcheck([&] { return function(variables); }, variables, options);
}

}  // namespace attention::autograd
