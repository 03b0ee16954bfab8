#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <attention/ops/cross_entropy.hpp>
#include <attention/ops/kernel_isas.hpp>

#include "draws.hpp"
#include "every_path.hpp"

/// What the tests of cross entropy share.
namespace attention::tests {

/// Every way to compute cross entropy of T: the reference and, for float, each instruction set.
template <class T>
std::vector<Execution> every_way() {
  std::vector<Execution> ways = {{.path = Path::reference}};
  if (sizeof(T) == sizeof(float)) {
    for (const Isa isa : kernel_isas()) {
      ways.push_back({.path = Path::fused, .isa = isa});
    }
  }
  return ways;
}

inline std::string describe(const Execution& way) {
  return std::string(name_of(way.path)) + (way.isa ? " " + std::string(name_of(*way.isa)) : "");
}

/// Classes drawn from [0, C), some of them the ignored one.
template <class I>
Tensor<I> random_targets(const Shape& shape, std::int64_t C, Draws& draws, double ignored = 0) {
  Tensor<I> targets(shape);
  for (I& target : targets.values()) {
    target = static_cast<I>(draws.chance(ignored) ? -100 : draws.below(C));
  }
  return targets;
}

/// A forward and a backward pass, d_loss all ones.
template <class T>
struct BothPasses {
  CrossEntropyResult<T> forward;
  Tensor<T> d_logits;

  BothPasses(TensorView<const T> logits, const AnyView& targets, const CrossEntropyOptions& options)
      : forward(cross_entropy(logits, targets, options)),
        d_logits(cross_entropy_backward(Tensor<T>::filled(forward.loss.shape(), 1), logits, targets,
                                        forward.lse, options)) {}
};

template <class T>
bool same_bits(const BothPasses<T>& a, const BothPasses<T>& b) {
  return same_bits(a.forward.loss, b.forward.loss) && same_bits(a.forward.lse, b.forward.lse) &&
         same_bits(a.d_logits, b.d_logits) && a.forward.counted == b.forward.counted;
}

/// One row as the header defines it, in long double.
struct RowTruth {
  double loss = 0;
  double lse = 0;
  std::vector<double> p;
  std::vector<double> wanted;

  RowTruth(const std::vector<double>& logits, std::int64_t target, double label_smoothing) {
    using Wide = long double;
    const std::vector<Wide> x(logits.begin(), logits.end());
    const auto C = static_cast<Wide>(x.size());
    const auto s = static_cast<Wide>(label_smoothing);
    const Wide largest = *std::ranges::max_element(x);
    Wide sum = 0;
    Wide mean = 0;  // less the largest
    for (const Wide logit : x) {
      sum += std::exp(logit - largest);
      mean += (logit - largest) / C;
    }
    for (const Wide logit : x) {
      p.push_back(static_cast<double>(std::exp(logit - largest) / sum));
      wanted.push_back(static_cast<double>(s / C));
    }
    const auto t = static_cast<std::size_t>(target);
    wanted[t] = static_cast<double>(1 - s + s / C);
    lse = static_cast<double>(largest + std::log(sum));
    loss = static_cast<double>((1 - s) * (std::log(sum) - (x[t] - largest)) +
                               s * (std::log(sum) - mean));
  }
};

}  // namespace attention::tests
