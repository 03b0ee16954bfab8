#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attention/core/atomic_file.hpp>
#include <attention/core/error.hpp>
#include <attention/io/safetensors.hpp>
#include <attention/nn/linear.hpp>
#include <attention/train/checkpoint.hpp>

#include "../support/files.hpp"
#include "../support/message_of.hpp"

namespace attention::train {
namespace {

using test::message_of;
using test::TemporaryFolder;
using testing::ElementsAre;
using testing::HasSubstr;

/// What the function throws as a FileError says.
template <class Function>
std::string file_message_of(const Function& function) {
  try {
    function();
  } catch (const FileError& error) {
    return error.what();
  }
  return "no error";
}

/// A layer, its optimiser and all else that a checkpoint holds.
struct Session {
  explicit Session(std::uint64_t seed, std::int64_t outputs = 3)
      : generator(seed), layer(2, outputs, generator), adam(layer.parameters()) {
    adam.set_steps(static_cast<std::int64_t>(seed));
    for (const auto& parameter : adam.state()) {
      random::uniform(parameter.value, 0, 1, generator);
    }
    random::normal(Tensor<double>({1}), 0, 1, generator);  // leaves a spare draw behind
    calls = {.seed = seed, .next = 10 * seed};
    state = {.parameters = layer.parameters(),
             .optimiser = &adam,
             .generator = &generator,
             .dropout = &calls,
             .step = static_cast<std::int64_t>(100 * seed),
             .losses = {0.1, 1e-300, static_cast<double>(seed)}};
  }
  std::vector<double> all_values() {
    std::vector<double> result;
    for (const auto& list : {layer.parameters(), adam.state()}) {
      for (const auto& parameter : list) {
        const Tensor<double> dense = Tensor<double>::copy_of(parameter.value);
        result.insert(result.end(), dense.values().begin(), dense.values().end());
      }
    }
    return result;
  }

  random::Generator generator;
  nn::BasicLinear<double> layer;
  Adam<double> adam;
  nn::DropoutCalls calls;
  TrainingState<double> state;
};

TEST(Parameters, AreSavedAndLoaded) {
  const TemporaryFolder folder;
  Session a(1);
  Session b(2);
  save_parameters(folder / "model.safetensors", a.layer.parameters());
  EXPECT_EQ(io::read_safetensors(folder / "model.safetensors").arrays.size(), 2U);
  load_parameters(folder / "model.safetensors", b.layer.parameters());
  EXPECT_EQ(a.layer.parameters()[0].value(2, 1), b.layer.parameters()[0].value(2, 1));
  EXPECT_EQ(a.layer.parameters()[1].value(2), b.layer.parameters()[1].value(2));
}

TEST(Parameters, OfAnotherModelAreRefusedWhole) {
  const TemporaryFolder folder;
  Session a(1);
  Session other(2, 4);
  const auto path = folder / "model.safetensors";
  save_parameters(path, a.layer.parameters());
  const std::vector<double> before = other.all_values();
  EXPECT_THAT(file_message_of([&] { load_parameters(path, other.layer.parameters()); }),
              HasSubstr("tensor 'weight' must be float64 (4, 2); it is float64 (3, 2)"));
  EXPECT_EQ(other.all_values(), before);

  auto fewer = a.layer.parameters();
  fewer.pop_back();
  EXPECT_THAT(file_message_of([&] { load_parameters(path, fewer); }),
              HasSubstr("the file holds a tensor 'bias' that is not wanted"));
  auto renamed = a.layer.parameters();
  renamed[1].name = "offset";
  EXPECT_THAT(file_message_of([&] { load_parameters(path, renamed); }),
              HasSubstr("the file holds no tensor 'offset'"));
  random::Generator generator(1);
  nn::Linear narrow(2, 3, generator);
  EXPECT_THAT(file_message_of([&] { load_parameters(path, narrow.parameters()); }),
              HasSubstr("tensor 'weight' must be float32 (3, 2); it is float64 (3, 2)"));
  auto twice = a.layer.parameters();
  twice[1].name = "weight";
  EXPECT_NE(message_of([&] { save_parameters(folder / "twice", twice); }), "no error");
  EXPECT_FALSE(std::filesystem::exists(folder / "twice"));
}

TEST(Checkpoint, RestoresEverything) {
  const TemporaryFolder folder;
  Session a(1);
  Session b(2);
  save_checkpoint(folder / "checkpoint", a.state);
  load_checkpoint(folder / "checkpoint", b.state);
  EXPECT_EQ(a.all_values(), b.all_values());
  EXPECT_EQ(b.state.step, 100);
  EXPECT_THAT(b.state.losses, ElementsAre(0.1, 1e-300, 1.0));
  EXPECT_EQ(b.adam.steps(), 1);
  EXPECT_EQ(b.calls.seed, 1U);
  EXPECT_EQ(b.calls.next, 10U);
  EXPECT_EQ(a.generator.next_normal(), b.generator.next_normal());
  EXPECT_EQ(a.generator.next_u64(), b.generator.next_u64());
  EXPECT_EQ(b.generator.initial_seed(), 1U);
}

TEST(Checkpoint, OfOtherPartsIsRefusedWhole) {
  const TemporaryFolder folder;
  Session a(1);
  const auto path = folder / "checkpoint";
  save_checkpoint(path, a.state);
  Session b(2);
  const std::vector<double> before = b.all_values();
  const auto message = [&] { return file_message_of([&] { load_checkpoint(path, b.state); }); };

  Sgd<double> sgd(b.layer.parameters());
  b.state.optimiser = &sgd;
  EXPECT_THAT(message(), HasSubstr("'optimiser' must be 'sgd'; it is 'adam'"));
  b.state.optimiser = nullptr;
  EXPECT_THAT(message(), HasSubstr("that is not wanted"));
  b.state.optimiser = &b.adam;
  b.state.generator = nullptr;
  EXPECT_THAT(message(), HasSubstr("the checkpoint holds 'generator', which is not wanted"));
  b.state.generator = &b.generator;
  a.state.dropout = nullptr;
  save_checkpoint(path, a.state);
  EXPECT_THAT(message(), HasSubstr("the checkpoint lacks 'dropout_seed'"));
  EXPECT_EQ(b.all_values(), before);
  EXPECT_EQ(b.state.step, 200);

  save_parameters(path, a.layer.parameters());
  EXPECT_THAT(message(), HasSubstr("the checkpoint lacks 'format'"));
}

/// One entry of the metadata replaced.
void rewrite(const std::filesystem::path& path, const std::string& key, const std::string& value) {
  io::Safetensors file = io::read_safetensors(path);
  for (io::MetadataEntry& entry : file.metadata) {
    entry.value = entry.key == key ? value : entry.value;
  }
  std::vector<io::NamedView> views;
  for (const io::NamedArray& array : file.arrays) {
    views.push_back({.name = array.name, .view = array.array.view()});
  }
  io::write_safetensors(path, views, file.metadata);
}

TEST(Checkpoint, WithHostileEntriesIsRefused) {
  const TemporaryFolder folder;
  const auto path = folder / "checkpoint";
  const Session a(1);
  const std::string state = a.generator.state();
  const std::pair<std::string, std::string> entries[] = {
      {"format", "attention.cpp checkpoint 2"},
      {"step", "-1"},
      {"step", "1e3"},
      {"step", ""},
      {"step", "99999999999999999999"},
      {"optimiser_steps", "1 "},
      {"dropout_calls", "-3"},
      {"generator", ""},
      {"generator", state + " 1"},
      {"generator", state.substr(0, state.rfind(' '))},
      {"generator", state.substr(0, state.rfind(' ')) + " 625"},
      {"generator", "1 2" + state.substr(3)},
      {"generator", "1 0 0 4294967296" + state.substr(state.find(' ', 20))}};
  for (const auto& [key, value] : entries) {
    save_checkpoint(path, a.state);
    rewrite(path, key, value);
    Session b(2);
    EXPECT_THAT(file_message_of([&] { load_checkpoint(path, b.state); }),
                HasSubstr("'" + key + "'"))
        << value;
    EXPECT_EQ(b.state.step, 200);
  }
}

TEST(Checkpoint, CutShortIsRefusedAtEveryLength) {
  const TemporaryFolder folder;
  const auto path = folder / "checkpoint";
  Session a(1);
  save_checkpoint(path, a.state);
  const std::string bytes = test::read_text(path);
  Session b(2);
  const std::vector<double> before = b.all_values();
  for (std::size_t size = 0; size < bytes.size(); size += size < 300 ? 1 : 97) {
    write_file_atomically(path, std::string_view(bytes).substr(0, size));
    EXPECT_NE(file_message_of([&] { load_checkpoint(path, b.state); }), "no error") << size;
  }
  EXPECT_EQ(b.all_values(), before);
  write_file_atomically(path, bytes);
  load_checkpoint(path, b.state);
  EXPECT_EQ(b.all_values(), a.all_values());
}

TEST(Checkpoint, ThatCannotBeWrittenLeavesTheOneBefore) {
  const TemporaryFolder folder;
  const auto path = folder / "checkpoint";
  const Session a(1);
  save_checkpoint(path, a.state);
  const std::string bytes = test::read_text(path);
  Session b(2);
  {
    const test::FileSizeLimit limit(100);
    EXPECT_NE(file_message_of([&] { save_checkpoint(path, b.state); }), "no error");
  }
  EXPECT_EQ(test::read_text(path), bytes);
  EXPECT_THAT(folder.names(), ElementsAre("checkpoint"));
}

}  // namespace
}  // namespace attention::train
