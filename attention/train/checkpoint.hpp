#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <attention/core/export.hpp>
#include <attention/core/random.hpp>
#include <attention/nn/dropout.hpp>
#include <attention/nn/parameter.hpp>
#include <attention/train/optimiser.hpp>

namespace attention::train {

/// Writes parameters as a safetensors file, under their names: the state dictionary of a model. The
/// file appears whole or not at all.
///
/// Throws Error for two parameters of one name, FileError when it cannot be written.
///
/// See also: io::write_safetensors.
template <class T>
ATTENTION_API void save_parameters(const std::filesystem::path& path,
                                   const nn::ParameterList<T>& parameters);

/// Reads parameters from a safetensors file, in place. The file must hold exactly these names, with
/// their shapes and element type; nothing has been written to when it does not.
///
/// Throws FileError naming the tensor that is missing, too many or different, or what is wrong with
/// the file.
template <class T>
ATTENTION_API void load_parameters(const std::filesystem::path& path,
                                   const nn::ParameterList<T>& parameters);

/// All that training goes on from: with the same data, what follows has the same bits as if it had
/// never stopped. Parts that are null are not saved, and must be null when it is loaded.
template <class T>
struct TrainingState {
  nn::ParameterList<T> parameters;
  Optimiser<T>* optimiser = nullptr;
  /// Whatever draws the data.
  random::Generator* generator = nullptr;
  nn::DropoutCalls* dropout = nullptr;
  /// Steps that are done, and the loss of each.
  std::int64_t step = 0;
  std::vector<double> losses = {};
};

/// Writes a checkpoint, a safetensors file: parameters as "model.NAME", the optimiser's state as
/// "optimiser.NAME", losses as "losses"; counters, generator and the optimiser's name as metadata.
/// Written beside the target and renamed: a program that is killed leaves the last checkpoint.
///
/// Throws as save_parameters does.
template <class T>
ATTENTION_API void save_checkpoint(const std::filesystem::path& path,
                                   const TrainingState<T>& state);

/// Restores a checkpoint in place: what the state points to, its step and its losses. All is
/// checked before anything is written.
///
/// Throws FileError when the file is no checkpoint, is damaged, or is of another model (naming the
/// first parameter that differs), another optimiser or another set of parts.
template <class T>
ATTENTION_API void load_checkpoint(const std::filesystem::path& path, TrainingState<T>& state);

}  // namespace attention::train
