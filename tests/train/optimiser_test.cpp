#include <cmath>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/autograd/functions.hpp>
#include <attention/nn/linear.hpp>
#include <attention/train/optimiser.hpp>

#include "../support/message_of.hpp"

namespace attention::train {
namespace {

using autograd::Variable;
using test::message_of;
using testing::HasSubstr;

/// One parameter of two elements, whose gradient is that of sum(c p^2): 2 c p.
struct Problem {
  Variable<double> p = Variable<double>::parameter(Tensor<double>({2}, {1.0, -2.0}));
  Variable<double> c = Variable<double>(Tensor<double>({2}, {0.5, 3.0}));

  nn::ParameterList<double> list() const {
    return {{.name = "p", .value = p.mutable_value(), .variable = p}};
  }
  void go_back() const {
    p.clear_grad();
    autograd::backward(autograd::sum_to(autograd::multiply(c, autograd::multiply(p, p)), {}));
  }
};

void expect_values(const Problem& problem, const double (&expected)[2]) {
  EXPECT_NEAR(problem.p.value()(0), expected[0], 1e-15);
  EXPECT_NEAR(problem.p.value()(1), expected[1], 1e-15);
}

TEST(Sgd, IsItsFormula) {
  for (const bool nesterov : {false, true}) {
    const SgdOptions options = {.learning_rate = 0.1,
                                .momentum = 0.9,
                                .dampening = nesterov ? 0.0 : 0.2,
                                .weight_decay = 0.01,
                                .nesterov = nesterov};
    const Problem problem;
    Sgd<double> optimiser(problem.list(), options);
    double p[2] = {1.0, -2.0};
    double m[2] = {0, 0};
    const double c[2] = {0.5, 3.0};
    for (int step = 1; step <= 4; ++step) {
      problem.go_back();
      optimiser.step();
      for (int n = 0; n < 2; ++n) {
        const double g = 2 * c[n] * p[n] + 0.01 * p[n];
        m[n] = step == 1 ? g : 0.9 * m[n] + (1 - options.dampening) * g;
        p[n] -= 0.1 * (nesterov ? g + 0.9 * m[n] : m[n]);
      }
      expect_values(problem, p);
    }
  }
}

TEST(Adam, IsItsFormula) {
  for (const bool decoupled : {false, true}) {
    const Problem problem;
    Adam<double> optimiser(problem.list(), {.learning_rate = 0.1,
                                            .beta1 = 0.8,
                                            .beta2 = 0.95,
                                            .epsilon = 1e-3,
                                            .weight_decay = 0.02,
                                            .decoupled = decoupled});
    EXPECT_EQ(optimiser.name(), decoupled ? "adamw" : "adam");
    double p[2] = {1.0, -2.0};
    double m[2] = {0, 0};
    double v[2] = {0, 0};
    const double c[2] = {0.5, 3.0};
    for (int step = 1; step <= 5; ++step) {
      problem.go_back();
      optimiser.step();
      for (int n = 0; n < 2; ++n) {
        double g = 2 * c[n] * p[n];
        if (decoupled) {
          p[n] *= 1 - 0.1 * 0.02;
        } else {
          g += 0.02 * p[n];
        }
        m[n] = 0.8 * m[n] + 0.2 * g;
        v[n] = 0.95 * v[n] + 0.05 * g * g;
        p[n] -= 0.1 * (m[n] / (1 - std::pow(0.8, step))) /
                (std::sqrt(v[n] / (1 - std::pow(0.95, step))) + 1e-3);
      }
      EXPECT_NEAR(problem.p.value()(0), p[0], 1e-14);
      EXPECT_NEAR(problem.p.value()(1), p[1], 1e-14);
    }
  }
}

TEST(Optimisers, LeaveAParameterWithoutAGradientAlone) {
  const Problem problem;
  Adam<double> optimiser(problem.list(), {.weight_decay = 0.1, .decoupled = true});
  optimiser.step();
  expect_values(problem, {1.0, -2.0});
  problem.go_back();
  optimiser.clear_grad();
  EXPECT_TRUE(problem.p.grad().is_null());
}

/// A parameter of many tasks, on several threads.
TEST(Optimisers, GiveTheSameBitsOnAnyNumberOfThreads) {
  const auto trained = [](int threads) {
    random::Generator generator(3);
    nn::BasicLinear<float> layer(301, 203, generator);
    const Variable<float> x(Tensor<float>::filled({5, 301}, 0.25F));
    Adam<float> adam(layer.parameters(),
                     {.weight_decay = 0.1, .decoupled = true, .threads = threads});
    Sgd<float> sgd(layer.parameters(), {.momentum = 0.9, .threads = threads});
    for (int step = 0; step < 3; ++step) {
      for (Optimiser<float>* const optimiser :
           std::initializer_list<Optimiser<float>*>{&adam, &sgd}) {
        optimiser->clear_grad();
        const auto y = layer.forward(x);
        autograd::backward(autograd::sum_to(autograd::multiply(y, y), {}));
        optimiser->step();
      }
    }
    return Tensor<float>::copy_of(layer.parameters()[0].value);
  };
  const Tensor<float> one = trained(1);
  for (const int threads : {2, 8}) {
    const Tensor<float> many = trained(threads);
    EXPECT_EQ(std::memcmp(one.data(), many.data(), one.values().size_bytes()), 0);
  }
}

TEST(Optimisers, NameTheirState) {
  random::Generator generator(3);
  nn::BasicLinear<double> layer(2, 3, generator);
  Adam<double> adam(layer.parameters());
  Sgd<double> plain(layer.parameters());
  Sgd<double> momentum(layer.parameters(), {.momentum = 0.5});
  const auto state = adam.state();
  ASSERT_EQ(state.size(), 4U);
  EXPECT_EQ(state[1].name, "first_moment.bias");
  EXPECT_EQ(state[2].name, "second_moment.weight");
  EXPECT_EQ(state[2].value.shape(), (Shape{3, 2}));
  EXPECT_TRUE(plain.state().empty());
  EXPECT_EQ(momentum.state()[0].name, "momentum.weight");
}

TEST(Optimisers, SayWhatIsWrong) {
  const Problem problem;
  EXPECT_THAT(message_of([] { Sgd<double>({}, {}); }),
              HasSubstr("train::Sgd: there must be a parameter; found an empty list"));
  nn::ParameterList<double> frozen = problem.list();
  frozen[0] = {.name = "frozen", .value = problem.p.mutable_value(), .variable = {}};
  EXPECT_THAT(message_of([&] { Adam<double>(frozen, {}); }),
              HasSubstr("every parameter must be on the tape; found parameter frozen"));
  EXPECT_THAT(message_of([&] { Sgd<double>(problem.list(), {.learning_rate = -1}); }),
              HasSubstr("learning_rate must not be negative"));
  EXPECT_THAT(message_of([&] { Sgd<double>(problem.list(), {.nesterov = true}); }),
              HasSubstr("nesterov needs momentum, and no dampening"));
  EXPECT_THAT(message_of([&] { Adam<double>(problem.list(), {.beta2 = 1}); }),
              HasSubstr("betas must lie in [0, 1)"));
  const auto matrix = Variable<double>::parameter(Tensor<double>({2, 3}));
  nn::ParameterList<double> turned = problem.list();
  turned[0] = {.name = "turned",
               .value = matrix.mutable_value().transpose(0, 1),
               .variable = matrix.transpose(0, 1)};
  EXPECT_THAT(message_of([&] { Adam<double>(turned, {}); }),
              HasSubstr("a parameter must lie dense in memory; found turned of shape (3, 2)"));
}

TEST(ClipGradNorm, ScalesAllGradientsByOneFactor) {
  const Problem problem;
  problem.go_back();  // (1, -12)
  const double norm = std::sqrt(145.0);
  EXPECT_DOUBLE_EQ(grad_norm(problem.list()), norm);
  EXPECT_DOUBLE_EQ(clip_grad_norm(problem.list(), 20), norm);
  EXPECT_EQ(problem.p.grad()(0), 1);
  EXPECT_DOUBLE_EQ(clip_grad_norm(problem.list(), 2), norm);
  EXPECT_DOUBLE_EQ(problem.p.grad()(1), -12 * 2 / norm);
  EXPECT_NEAR(grad_norm(problem.list()), 2, 1e-15);
  problem.p.mutable_grad()(0) = std::nan("");
  EXPECT_TRUE(std::isnan(clip_grad_norm(problem.list(), 2)));
  EXPECT_THAT(message_of([&] { clip_grad_norm(problem.list(), 0); }),
              HasSubstr("max_norm must be positive"));
}

}  // namespace
}  // namespace attention::train
