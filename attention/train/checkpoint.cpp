#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <span>
#include <string_view>

#include <attention/core/error.hpp>
#include <attention/io/safetensors.hpp>
#include <attention/train/checkpoint.hpp>

namespace attention::train {
namespace {

constexpr const char* kFormat = "attention.cpp checkpoint 1";

template <class T>
void add_views(std::vector<io::NamedView>& views, const std::string& prefix,
               const nn::ParameterList<T>& parameters) {
  for (const nn::Parameter<T>& parameter : parameters) {
    views.push_back(
        {.name = prefix + parameter.name, .view = TensorView<const T>(parameter.value)});
  }
}

/// The arrays of a file by their names; each has to be asked for.
class Arrays {
 public:
  Arrays(const std::filesystem::path& path, std::vector<io::NamedArray> arrays)
      : path_(path.string()) {
    for (io::NamedArray& array : arrays) {
      arrays_.emplace(std::move(array.name), std::move(array.array));
    }
  }

  /// The array of this name, shape and type.
  template <class T>
  TensorView<const T> take(const std::string& name, const std::optional<Shape>& shape) {
    const auto found = arrays_.extract(name);
    if (found.empty()) {
      throw FileError(path_, "the file holds no tensor '" + name + "'");
    }
    const AnyTensor& array = taken_.emplace_back(found.mapped());
    if (array.dtype() != kDTypeOf<T> || (shape && array.shape() != *shape)) {
      throw FileError(path_, "tensor '" + name + "' must be " + std::string(name_of(kDTypeOf<T>)) +
                                 (shape ? " " + to_string(*shape) : "") + "; it is " +
                                 std::string(name_of(array.dtype())) + " " +
                                 to_string(array.shape()));
    }
    return array.as<T>();
  }
  void require_nothing_left() const {
    if (!arrays_.empty()) {
      throw FileError(
          path_, "the file holds a tensor '" + arrays_.begin()->first + "' that is not wanted");
    }
  }

 private:
  std::string path_;
  std::map<std::string, AnyTensor> arrays_;
  std::vector<AnyTensor> taken_;
};

/// A copy that waits until all has been checked.
template <class T>
struct Pending {
  TensorView<const T> from;
  TensorView<T> to;
};

template <class T>
void collect(Arrays& arrays, const std::string& prefix, const nn::ParameterList<T>& parameters,
             std::vector<Pending<T>>& pending) {
  for (const nn::Parameter<T>& parameter : parameters) {
    pending.push_back({.from = arrays.take<T>(prefix + parameter.name, parameter.value.shape()),
                       .to = parameter.value});
  }
}

template <class T>
void copy_all(const std::vector<Pending<T>>& pending) {
  for (const auto& [from, to] : pending) {
    for_each_offset(
        to.shape(), [&](std::int64_t a, std::int64_t b) { to.data()[a] = from.data()[b]; },
        to.strides(), from.strides());
  }
}

/// The metadata of a checkpoint; each entry has to be asked for.
class Entries {
 public:
  Entries(const std::filesystem::path& path, const std::vector<io::MetadataEntry>& entries)
      : path_(path.string()) {
    for (const auto& [key, value] : entries) {
      entries_.emplace(key, value);
    }
  }
  std::string take(const std::string& key) {
    const auto found = entries_.extract(key);
    if (found.empty()) {
      throw FileError(path_, "the checkpoint lacks '" + key + "'");
    }
    return found.mapped();
  }
  template <class Integer>
  Integer take_number(const std::string& key) {
    const std::string text = take(key);
    Integer value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < Integer{0}) {
      throw FileError(path_, "'" + key + "' must be a number; it is '" + text + "'");
    }
    return value;
  }
  void require_text(const std::string& key, std::string_view wanted) {
    const std::string text = take(key);
    if (text != wanted) {
      throw FileError(path_,
                      "'" + key + "' must be '" + std::string(wanted) + "'; it is '" + text + "'");
    }
  }
  void require_nothing_left() const {
    if (!entries_.empty()) {
      throw FileError(
          path_, "the checkpoint holds '" + entries_.begin()->first + "', which is not wanted");
    }
  }

 private:
  std::string path_;
  std::map<std::string, std::string> entries_;
};

}  // namespace

template <class T>
void save_parameters(const std::filesystem::path& path, const nn::ParameterList<T>& parameters) {
  std::vector<io::NamedView> views;
  add_views(views, "", parameters);
  io::write_safetensors(path, views);
}

template <class T>
void load_parameters(const std::filesystem::path& path, const nn::ParameterList<T>& parameters) {
  Arrays arrays(path, io::read_safetensors(path).arrays);
  std::vector<Pending<T>> pending;
  collect(arrays, "", parameters, pending);
  arrays.require_nothing_left();
  copy_all(pending);
}

template <class T>
void save_checkpoint(const std::filesystem::path& path, const TrainingState<T>& state) {
  std::vector<io::NamedView> views;
  add_views(views, "model.", state.parameters);
  std::vector<io::MetadataEntry> entries = {{"format", kFormat},
                                            {"step", std::to_string(state.step)}};
  if (state.optimiser != nullptr) {
    add_views(views, "optimiser.", state.optimiser->state());
    entries.push_back({"optimiser", std::string(state.optimiser->name())});
    entries.push_back({"optimiser_steps", std::to_string(state.optimiser->steps())});
  }
  if (state.generator != nullptr) {
    entries.push_back({"generator", state.generator->state()});
  }
  if (state.dropout != nullptr) {
    entries.push_back({"dropout_seed", std::to_string(state.dropout->seed)});
    entries.push_back({"dropout_calls", std::to_string(state.dropout->next)});
  }
  const TensorView<const double> losses(state.losses.data(),
                                        {static_cast<std::int64_t>(state.losses.size())});
  views.push_back({.name = "losses", .view = losses});
  io::write_safetensors(path, views, entries);
}

template <class T>
void load_checkpoint(const std::filesystem::path& path, TrainingState<T>& state) {
  io::Safetensors file = io::read_safetensors(path);
  Entries entries(path, file.metadata);
  entries.require_text("format", kFormat);
  const auto step = entries.take_number<std::int64_t>("step");
  Arrays arrays(path, std::move(file.arrays));
  std::vector<Pending<T>> pending;
  collect(arrays, "model.", state.parameters, pending);
  std::int64_t optimiser_steps = 0;
  if (state.optimiser != nullptr) {
    entries.require_text("optimiser", state.optimiser->name());
    optimiser_steps = entries.take_number<std::int64_t>("optimiser_steps");
    collect(arrays, "optimiser.", state.optimiser->state(), pending);
  }
  std::optional<random::Generator> generator;
  if (state.generator != nullptr) {
    generator = random::Generator::from_state(entries.take("generator"));
    if (!generator) {
      throw FileError(path.string(), "'generator' must be the state of a generator");
    }
  }
  nn::DropoutCalls dropout;
  if (state.dropout != nullptr) {
    dropout.seed = entries.take_number<std::uint64_t>("dropout_seed");
    dropout.next = entries.take_number<std::uint64_t>("dropout_calls");
  }
  const TensorView<const double> losses = arrays.take<double>("losses", std::nullopt);
  if (losses.rank() != 1) {
    throw FileError(path.string(),
                    "'losses' must have one dimension; its shape is " + to_string(losses.shape()));
  }
  arrays.require_nothing_left();
  entries.require_nothing_left();

  copy_all(pending);
  state.step = step;
  state.losses.assign(losses.data(), losses.data() + losses.element_count());
  if (state.optimiser != nullptr) {
    state.optimiser->set_steps(optimiser_steps);
  }
  if (generator) {
    *state.generator = *generator;
  }
  if (state.dropout != nullptr) {
    *state.dropout = dropout;
  }
}

template void save_parameters(const std::filesystem::path&, const nn::ParameterList<float>&);
template void save_parameters(const std::filesystem::path&, const nn::ParameterList<double>&);
template void load_parameters(const std::filesystem::path&, const nn::ParameterList<float>&);
template void load_parameters(const std::filesystem::path&, const nn::ParameterList<double>&);
template void save_checkpoint(const std::filesystem::path&, const TrainingState<float>&);
template void save_checkpoint(const std::filesystem::path&, const TrainingState<double>&);
template void load_checkpoint(const std::filesystem::path&, TrainingState<float>&);
template void load_checkpoint(const std::filesystem::path&, TrainingState<double>&);

}  // namespace attention::train
