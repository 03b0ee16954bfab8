// Saves checkpoints one after the other, until it is killed; or checks one that it has left.
//
//   save_checkpoints PATH          saves, each with other numbers: all values are those of its step
//   save_checkpoints PATH --check  exit 0 if the checkpoint is whole, 1 if not
#include <algorithm>
#include <cstdio>
#include <exception>
#include <span>
#include <string_view>

#include <attention/nn/linear.hpp>
#include <attention/train/checkpoint.hpp>

namespace {

using attention::Tensor;

struct Model {
  attention::random::Generator generator;
  attention::nn::Linear layer{256, 256, generator};
  attention::train::Adam<float> adam{layer.parameters()};
  attention::train::TrainingState<float> state = {
      .parameters = layer.parameters(), .optimiser = &adam, .generator = &generator};

  template <class Function>
  void for_each_value(const Function& function) {
    for (const auto& list : {layer.parameters(), adam.state()}) {
      for (const auto& parameter : list) {
        std::for_each_n(parameter.value.data(), parameter.value.element_count(), function);
      }
    }
  }
};

void save_for_ever(const char* path) {
  Model model;
  for (;;) {
    ++model.state.step;
    model.adam.set_steps(model.state.step);
    model.for_each_value([&](float& value) { value = static_cast<float>(model.state.step); });
    save_checkpoint(path, model.state);
  }
}

bool is_whole(const char* path) {
  Model model;
  load_checkpoint(path, model.state);
  bool whole = model.adam.steps() == model.state.step;
  model.for_each_value(
      [&](const float& value) { whole = whole && value == static_cast<float>(model.state.step); });
  return whole;
}

}  // namespace

int main(int argc, char** argv) try {
  const std::span<char*> arguments(argv, static_cast<std::size_t>(argc));
  if (arguments.size() == 3 && std::string_view(arguments[2]) == "--check") {
    return is_whole(arguments[1]) ? 0 : 1;
  }
  if (arguments.size() == 2) {
    save_for_ever(arguments[1]);
  }
  return 2;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
