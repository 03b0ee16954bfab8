#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "harness/norms.hpp"
#include "tests/support/message_of.hpp"

/// What layer_norm and rms_norm say of a wrong call, and that nothing has been written then.
namespace attention::tests {
namespace {

using test::message_of;

/// A call of the forms into views without fault: x (3, 4).
struct Forward {
  Tensor<float> pool = random_tensor<float>({64}, 1);
  TensorView<const float> x = TensorView<const float>(pool.data(), {3, 4});
  TensorView<const float> weight = TensorView<const float>(pool.data() + 12, {4});
  TensorView<const float> bias = TensorView<const float>(pool.data() + 16, {4});
  LayerNormOutputs<float> outputs = {.out = {pool.data() + 20, {3, 4}},
                                     .mean = {pool.data() + 32, {3}},
                                     .rstd = {pool.data() + 35, {3}}};
  NormOptions options;

  std::string layer_into() const {
    return message_of([&] { layer_norm_into(outputs, x, weight, bias, options); });
  }
  std::string rms_into() const {
    return message_of(
        [&] { rms_norm_into({.out = outputs.out, .rstd = outputs.rstd}, x, weight, options); });
  }
  std::string layer() const {
    return message_of([&] { layer_norm(x, weight, bias, options); });
  }
  std::string rms() const {
    return message_of([&] { rms_norm(x, weight, options); });
  }
  bool is_untouched() const { return same_bits(pool, random_tensor<float>({64}, 1)); }
};

struct Backward {
  Tensor<float> pool = random_tensor<float>({96}, 1);
  LayerNormBackwardInputs<float> inputs = {
      .d_out = TensorView<const float>(pool.data(), {3, 4}),
      .x = TensorView<const float>(pool.data() + 12, {3, 4}),
      .weight = TensorView<const float>(pool.data() + 24, {4}),
      .saved = {.mean = TensorView<const float>(pool.data() + 28, {3}),
                .rstd = TensorView<const float>(pool.data() + 31, {3})}};
  LayerNormGradientOutputs<float> gradients = {.x = {pool.data() + 40, {3, 4}},
                                               .weight = {pool.data() + 52, {4}},
                                               .bias = {pool.data() + 56, {4}}};
  NormOptions options;
  std::vector<std::byte> workspace = std::vector<std::byte>(1 << 16);

  std::string layer_into() {
    return message_of([&] { layer_norm_backward_into(gradients, inputs, options, workspace); });
  }
  std::string rms_into() {
    return message_of(
        [&] { norm_backward_into<NormKind::rms>(gradients, inputs, options, workspace); });
  }
  std::string layer() const {
    return message_of([&] { norm_backward<NormKind::layer>(inputs, options); });
  }
  std::string rms() const {
    return message_of([&] { norm_backward<NormKind::rms>(inputs, options); });
  }
  bool is_untouched() const { return same_bits(pool, random_tensor<float>({96}, 1)); }
};

TEST(NormErrors, TheCallsAreWithoutFault) {
  EXPECT_EQ(Forward().layer_into(), "no error");
  EXPECT_EQ(Forward().rms_into(), "no error");
  EXPECT_EQ(Forward().layer(), "no error");
  EXPECT_EQ(Forward().rms(), "no error");
  EXPECT_EQ(Backward().layer_into(), "no error");
  EXPECT_EQ(Backward().rms_into(), "no error");
  EXPECT_EQ(Backward().layer(), "no error");
  EXPECT_EQ(Backward().rms(), "no error");
}

/// One message for all four forms, but for the function's name.
void expect_forward(const std::function<void(Forward&)>& fault, const std::string& message) {
  Forward call;
  fault(call);
  EXPECT_EQ(call.layer(), "layer_norm: " + message);
  EXPECT_EQ(call.rms(), "rms_norm: " + message);
  EXPECT_EQ(call.layer_into(), "layer_norm_into: " + message);
  EXPECT_EQ(call.rms_into(), "rms_norm_into: " + message);
  EXPECT_TRUE(call.is_untouched());
}

TEST(NormErrors, OfTheInputs) {
  expect_forward([](Forward& call) { call.x = {}; }, "x must have the shape (..., E); found ()");
  expect_forward([](Forward& call) { call.x = {nullptr, Shape{3, 4}}; },
                 "x must be given; found a null view of shape (3, 4)");
  expect_forward([](Forward& call) { call.weight = {call.pool.data(), Shape{3}}; },
                 "weight must have the shape (4,); found (3,)");
  expect_forward([](Forward& call) { call.weight = {call.pool.data(), Shape{1, 4}}; },
                 "weight must have the shape (4,); found (1, 4)");
  expect_forward([](Forward& call) { call.weight = {nullptr, Shape{4}}; },
                 "weight must be given; found a null view of shape (4,)");
  expect_forward([](Forward& call) { call.options.epsilon = -1e-5; },
                 "epsilon must be finite and not negative; found -0.000010");
  expect_forward([](Forward& call) { call.options.epsilon = std::nan(""); },
                 "epsilon must be finite and not negative; found nan");
  expect_forward(
      [](Forward& call) { call.options.epsilon = std::numeric_limits<double>::infinity(); },
      "epsilon must be finite and not negative; found inf");
}

TEST(NormErrors, OfTheBias) {
  Forward call;
  call.bias = {call.pool.data(), Shape{5}};
  EXPECT_EQ(call.layer(), "layer_norm: bias must have the shape (4,); found (5,)");
  EXPECT_EQ(call.layer_into(), "layer_norm_into: bias must have the shape (4,); found (5,)");
  call.bias = {nullptr, Shape{4}};
  EXPECT_EQ(call.layer(), "layer_norm: bias must be given; found a null view of shape (4,)");
  EXPECT_TRUE(call.is_untouched());
}

void expect_output(const std::function<void(Forward&)>& fault, const std::string& message,
                   bool rms_too = true) {
  Forward call;
  fault(call);
  EXPECT_EQ(call.layer_into(), "layer_norm_into: " + message);
  if (rms_too) {
    EXPECT_EQ(call.rms_into(), "rms_norm_into: " + message);
    EXPECT_TRUE(call.is_untouched());
  }
}

TEST(NormErrors, OfTheOutputs) {
  const auto at = [](Forward& call, std::int64_t start, const Shape& shape) {
    return TensorView<float>(call.pool.data() + start, shape);
  };
  expect_output([](Forward& call) { call.outputs.out = {}; },
                "out must have the shape (3, 4); found ()");
  expect_output([&](Forward& call) { call.outputs.out = at(call, 20, {4, 3}); },
                "out must have the shape (3, 4); found (4, 3)");
  expect_output([&](Forward& call) { call.outputs.rstd = at(call, 40, {3, 1}); },
                "rstd must have the shape (3,); found (3, 1)");
  expect_output([&](Forward& call) { call.outputs.mean = at(call, 40, {4}); },
                "mean must have the shape (3,); found (4,)", false);
  expect_output([](Forward& call) { call.outputs.out = {nullptr, Shape{3, 4}}; },
                "out must be given; found a null view of shape (3, 4)");
  expect_output(
      [](Forward& call) {
        call.outputs.out = {call.pool.data() + 20, Layout{.shape = {3, 4}, .strides = {0, 1}}};
      },
      "out must not overlap itself; found shape (3, 4), strides (0, 1)");
  const std::string apart = "an output must not overlap an input or another output; found ";
  expect_output([&](Forward& call) { call.outputs.out = at(call, 1, {3, 4}); },
                apart + "out and x share memory");
  expect_output(
      [](Forward& call) {
        call.outputs.out = TensorView<float>(call.pool.data(), {3, 4}).reverse(1);
      },
      apart + "out and x share memory");
  expect_output([&](Forward& call) { call.outputs.out = at(call, 12, {3, 4}); },
                apart + "out and weight share memory");
  expect_output([&](Forward& call) { call.outputs.out = at(call, 19, {3, 4}); },
                apart + "out and bias share memory", false);
  expect_output([&](Forward& call) { call.outputs.rstd = at(call, 30, {3}); },
                apart + "rstd and out share memory");
  expect_output([&](Forward& call) { call.outputs.rstd = at(call, 33, {3}); },
                apart + "rstd and mean share memory", false);
  expect_output([&](Forward& call) { call.outputs.rstd = at(call, 10, {3}); },
                apart + (std::string("rstd and weight share memory")));
  expect_output([&](Forward& call) { call.outputs.rstd = at(call, 5, {3}); },
                apart + "rstd and x share memory");
  expect_output([&](Forward& call) { call.outputs.mean = at(call, 5, {3}); },
                apart + "mean and x share memory", false);
}

void expect_backward(const std::function<void(Backward&)>& fault, const std::string& message,
                     bool rms_too = true) {
  Backward call;
  fault(call);
  EXPECT_EQ(call.layer(), "layer_norm_backward: " + message);
  EXPECT_EQ(call.layer_into(), "layer_norm_backward_into: " + message);
  if (rms_too) {
    EXPECT_EQ(call.rms(), "rms_norm_backward: " + message);
    EXPECT_EQ(call.rms_into(), "rms_norm_backward_into: " + message);
    EXPECT_TRUE(call.is_untouched());
  }
}

TEST(NormErrors, OfTheInputsOfTheBackwardPass) {
  const auto at = [](Backward& call, const Shape& shape) {
    return TensorView<const float>(call.pool.data(), shape);
  };
  expect_backward([](Backward& call) { call.inputs.x = {}; },
                  "x must have the shape (..., E); found ()");
  expect_backward([&](Backward& call) { call.inputs.d_out = at(call, {4, 3}); },
                  "d_out must have the shape (3, 4); found (4, 3)");
  expect_backward([](Backward& call) { call.inputs.d_out = {}; },
                  "d_out must have the shape (3, 4); found ()");
  expect_backward([&](Backward& call) { call.inputs.weight = at(call, {3}); },
                  "weight must have the shape (4,); found (3,)");
  expect_backward([&](Backward& call) { call.inputs.saved.rstd = at(call, {3, 1}); },
                  "saved.rstd must have the shape (3,); found (3, 1)");
  expect_backward([](Backward& call) { call.inputs.saved.rstd = {}; },
                  "saved.rstd must have the shape (3,); found ()");
  expect_backward([](Backward& call) { call.inputs.saved.mean = {}; },
                  "saved.mean must have the shape (3,); found ()", false);
  expect_backward([](Backward& call) { call.inputs.saved.rstd = {nullptr, Shape{3}}; },
                  "saved.rstd must be given; found a null view of shape (3,)");
  expect_backward([](Backward& call) { call.options.epsilon = -1; },
                  "epsilon must be finite and not negative; found -1.000000");
}

TEST(NormErrors, ARowOfItsOwnNeedsItsStatistics) {
  Backward call;
  call.inputs.x = {call.pool.data(), Shape{4}};
  call.inputs.d_out = {call.pool.data() + 12, Shape{4}};
  call.inputs.saved = {};
  EXPECT_EQ(call.layer(),
            "layer_norm_backward: saved.mean must be given; found a null view of shape ()");
  EXPECT_EQ(call.rms(),
            "rms_norm_backward: saved.rstd must be given; found a null view of shape ()");
}

void expect_gradient(const std::function<void(Backward&)>& fault, const std::string& message,
                     bool rms_too = true) {
  Backward call;
  fault(call);
  EXPECT_EQ(call.layer_into(), "layer_norm_backward_into: " + message);
  if (rms_too) {
    EXPECT_EQ(call.rms_into(), "rms_norm_backward_into: " + message);
    EXPECT_TRUE(call.is_untouched());
  }
}

TEST(NormErrors, OfTheGradients) {
  const auto at = [](Backward& call, std::int64_t start, const Shape& shape) {
    return TensorView<float>(call.pool.data() + start, shape);
  };
  expect_gradient([](Backward& call) { call.gradients.x = {}; },
                  "gradients.x must have the shape (3, 4); found ()");
  expect_gradient([&](Backward& call) { call.gradients.weight = at(call, 60, {3}); },
                  "gradients.weight must have the shape (4,); found (3,)");
  expect_gradient([](Backward& call) { call.gradients.bias = {}; },
                  "gradients.bias must have the shape (4,); found ()", false);
  expect_gradient(
      [](Backward& call) {
        call.gradients.weight = {call.pool.data() + 60, Layout{.shape = {4}, .strides = {0}}};
      },
      "gradients.weight must not overlap itself; found shape (4,), strides (0,)");
  const std::string apart = "an output must not overlap an input or another output; found ";
  expect_gradient([&](Backward& call) { call.gradients.x = at(call, 0, {3, 4}); },
                  apart + "gradients.x and d_out share memory");
  expect_gradient([&](Backward& call) { call.gradients.x = at(call, 23, {3, 4}); },
                  apart + "gradients.x and x share memory");
  expect_gradient([&](Backward& call) { call.gradients.weight = at(call, 27, {4}); },
                  apart + "gradients.weight and weight share memory");
  expect_gradient([&](Backward& call) { call.gradients.weight = at(call, 33, {4}); },
                  apart + "gradients.weight and saved.rstd share memory");
  expect_gradient([&](Backward& call) { call.gradients.weight = at(call, 51, {4}); },
                  apart + "gradients.weight and gradients.x share memory");
  expect_gradient([&](Backward& call) { call.gradients.bias = at(call, 55, {4}); },
                  apart + "gradients.bias and gradients.weight share memory", false);
}

TEST(NormErrors, OfTheWorkspace) {
  Backward call;
  const std::size_t needed = layer_norm_backward_workspace_size(3, 4, DType::float32);
  call.workspace.resize(needed - 1);
  const std::string message =
      "workspace must be as large as the workspace_size function says; found " +
      std::to_string(needed - 1) + " bytes where " + std::to_string(needed) + " are needed";
  EXPECT_EQ(call.layer_into(), "layer_norm_backward_into: " + message);
  EXPECT_EQ(call.rms_into(), "rms_norm_backward_into: " + message);
  EXPECT_TRUE(call.is_untouched());
  call.workspace.resize(needed);
  EXPECT_EQ(call.layer_into(), "no error");
}

TEST(NormErrors, OfTheWorkspaceSize) {
  const auto size = [](std::int64_t rows, std::int64_t features, DType dtype,
                       const Execution& execution = {}) {
    return message_of(
        [&] { layer_norm_backward_workspace_size(rows, features, dtype, execution); });
  };
  const std::string function = "layer_norm_backward_workspace_size: ";
  EXPECT_EQ(size(-1, 4, DType::float32),
            function + "rows and features must not be negative; found -1 rows, 4 features");
  EXPECT_EQ(size(3, -4, DType::float32),
            function + "rows and features must not be negative; found 3 rows, -4 features");
  EXPECT_EQ(size(3, 4, DType::float16),
            function + "dtype must be float32 or float64; found float16");
  EXPECT_EQ(size(3, 4, DType::float64, {.path = Path::fused}),
            function +
                "the path must serve the element type; for float64 there are: reference; found "
                "fused");
  EXPECT_EQ(message_of([] { rms_norm_backward_workspace_size(3, -4, DType::float32); }),
            "rms_norm_backward_workspace_size: rows and features must not be negative; found 3 "
            "rows, -4 features");
  EXPECT_EQ(layer_norm_backward_workspace_size(0, 4, DType::float32), 0U);
  EXPECT_EQ(layer_norm_backward_workspace_size(1000, 64, DType::float32, {.threads = 1}),
            layer_norm_backward_workspace_size(1000, 64, DType::float32, {.threads = 7}));
}

TEST(NormErrors, OfThePath) {
  const Tensor<double> x({3, 4});
  const NormOptions fused{.execution = {.path = Path::fused}};
  EXPECT_EQ(message_of([&] { layer_norm(x, {}, {}, fused); }),
            "layer_norm: the path must serve the element type; for float64 there are: reference; "
            "found fused");
  EXPECT_EQ(message_of([&] { rms_norm(x, {}, fused); }),
            "rms_norm: the path must serve the element type; for float64 there are: reference; "
            "found fused");
  EXPECT_THROW(layer_norm(x, {}, {}, {.execution = {.threads = -1}}), Error);
  EXPECT_THROW(rms_norm(x, {}, {.execution = {.threads = -1}}), Error);
}

}  // namespace
}  // namespace attention::tests
