#include <cmath>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <attention/core/error.hpp>
#include <attention/io/npz.hpp>
#include <attention/ops/sdpa.hpp>

#include "cli/app.hpp"
#include "cli/arrays.hpp"

namespace attention::cli {
namespace {

struct ComputeOptions {
  CommonOptions common;
  std::string input;
  std::string q, k, v, mask, key_lengths, alibi_slopes, sinks;  // FILE or FILE:NAME
  std::string mask_kind;
  bool causal = false;
  std::string alignment;
  std::int64_t window_left = -1;
  std::int64_t window_right = -1;
  double softcap = 0;
  std::optional<double> scale;
  std::string path = "automatic";
  std::string isa;
  int threads = 0;
  std::string output;
  bool weights = false;
  bool compress = false;
};

/// The arrays of the problem; those not given are null.
struct Arrays {
  AnyTensor q, k, v, mask, key_lengths, alibi_slopes, sinks;
};

Arrays read_all(const ComputeOptions& options) {
  Arrays arrays;
  struct Slot {
    const char* name;
    const std::string* spec;
    AnyTensor* array;
  };
  const std::vector<Slot> slots = {
      {.name = "q", .spec = &options.q, .array = &arrays.q},
      {.name = "k", .spec = &options.k, .array = &arrays.k},
      {.name = "v", .spec = &options.v, .array = &arrays.v},
      {.name = "mask", .spec = &options.mask, .array = &arrays.mask},
      {.name = "key_lengths", .spec = &options.key_lengths, .array = &arrays.key_lengths},
      {.name = "alibi_slopes", .spec = &options.alibi_slopes, .array = &arrays.alibi_slopes},
      {.name = "sinks", .spec = &options.sinks, .array = &arrays.sinks}};
  if (!options.input.empty()) {
    for (io::NamedArray& entry : read_arrays(options.input)) {
      bool known = false;
      for (const Slot& slot : slots) {
        if (entry.name == slot.name) {
          *slot.array = std::move(entry.array);
          known = true;
        }
      }
      if (!known) {
        throw FileError(options.input,
                        "array '" + entry.name +
                            "' is not one of q, k, v, mask, key_lengths, alibi_slopes, sinks; pick "
                            "arrays by --q FILE:NAME and so on");
      }
    }
  }
  for (const Slot& slot : slots) {
    if (!slot.spec->empty()) {
      *slot.array = read_one_array(*slot.spec);
    }
  }
  for (const Slot& slot : {slots[0], slots[1], slots[2]}) {
    if (slot.array->is_null()) {
      throw UsageError(fmt::format(
          "{0} is missing: give INPUT.npz with an array {0}, or --{0} FILE", slot.name));
    }
  }
  return arrays;
}

/// (L, D) or (H, L, D) as (B, H, L, D), by extents of 1 in front.
AnyView with_rank_4(const AnyView& view, const char* name) {
  require(view.rank() >= 2 && view.rank() <= 4, [&] {
    return Error("compute",
                 fmt::format("{} must have the shape (L, D), (H, L, D) or (B, H, L, D)", name),
                 to_string(view.shape()));
  });
  AnyView result = view;
  while (result.rank() < 4) {
    result = result.unsqueeze(0);
  }
  return result;
}

/// The mask in the form that its kind asks for, and what keeps it alive.
struct OwnedMask {
  Tensor<bool> boolean;
  AnyTensor original;
  Mask mask;
};

/// An array of 0 and 1 of any type as bool.
Tensor<bool> as_boolean(const AnyView& view) {
  Tensor<bool> result(view.shape());
  bool* next = result.data();
  for_each_offset(
      view.shape(),
      [&](std::int64_t offset) {
        const auto value = view.load<double>(offset);
        require(value == 0.0 || value == 1.0, "compute",
                "a mask of kind keep or block must hold only 0 and 1",
                [&] { return fmt::format("{} in a mask of {}", value, name_of(view.dtype())); });
        *next++ = value == 1.0;
      },
      view.strides());
  return result;
}

OwnedMask make_mask(const ComputeOptions& options, const AnyTensor& array) {
  OwnedMask result;
  if (array.is_null()) {
    if (!options.mask_kind.empty()) {
      throw UsageError("--mask-kind is given, but no mask");
    }
    return result;
  }
  result.original = array;
  const AnyView& view = array.view();
  if (options.mask_kind.empty() && view.dtype() != DType::boolean) {
    throw UsageError(
        fmt::format("--mask-kind keep, block or add must say what a mask of {} means (a bool mask "
                    "keeps where it is true)",
                    name_of(view.dtype())));
  }
  if (options.mask_kind == "add") {
    require(is_floating(view.dtype()), "compute", "a mask of kind add must hold floating numbers",
            [&] { return std::string(name_of(view.dtype())); });
    result.mask = Mask::of(MaskKind::add, view);
    return result;
  }
  result.boolean = as_boolean(view);
  result.mask =
      options.mask_kind == "block" ? Mask::block(result.boolean) : Mask::keep(result.boolean);
  return result;
}

Alignment parse_alignment(const std::string& text) {
  if (text.empty()) {
    return {};
  }
  if (text == "top-left") {
    return Alignment::top_left();
  }
  if (text == "bottom-right") {
    return Alignment::bottom_right();
  }
  std::size_t used = 0;
  std::int64_t offset = 0;
  try {
    offset = std::stoll(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (used != text.size()) {
    throw UsageError(fmt::format(
        "--alignment must be top-left, bottom-right or a whole number; it is '{}'", text));
  }
  return Alignment::at(offset);
}

Path parse_path(const std::string& text) {
  for (const Path path : {Path::automatic, Path::fused, Path::reference}) {
    if (text == name_of(path)) {
      return path;
    }
  }
  throw UsageError(fmt::format("there is no path '{}'", text));
}

std::optional<Isa> parse_isa(const std::string& text) {
  if (text.empty()) {
    return {};
  }
  const std::optional<Isa> isa = isa_of_name(text);
  if (!isa) {
    throw UsageError(fmt::format("--isa: there is no instruction set '{}'", text));
  }
  return isa;
}

/// A result without the dimensions that were put in front of the query.
template <class T>
AnyView without_added(const Tensor<T>& tensor, int added) {
  TensorView<const T> view = tensor.view();
  for (int dim = 0; dim < added; ++dim) {
    view = view.select(0, 0);
  }
  return view;
}

void write_result(const ComputeOptions& options, const std::vector<io::NamedView>& arrays) {
  const auto compression = options.compress ? io::Compression::deflated : io::Compression::stored;
  if (options.output != "-") {
    writing([&] { io::write_npz(options.output, arrays, compression); });
    return;
  }
  const std::vector<std::byte> bytes = io::serialise_npz(arrays, compression);
  if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size()) {
    throw OutputError("standard output: not all of the result could be written");
  }
}

template <class T>
void compute_and_write(const ComputeOptions& options, const Arrays& arrays,
                       const SdpaOptions& sdpa_options) {
  const TensorView<const T> q = with_rank_4(arrays.q.view(), "q").as<T>();
  const TensorView<const T> k = with_rank_4(arrays.k.view(), "k").as<T>();
  const TensorView<const T> v = with_rank_4(arrays.v.view(), "v").as<T>();
  const SdpaResult<T> result = sdpa(q, k, v, sdpa_options);
  const int added = 4 - arrays.q.rank();
  std::vector<io::NamedView> written = {{.name = "out", .view = without_added(result.out, added)},
                                        {.name = "lse", .view = without_added(result.lse, added)}};
  if (options.weights) {
    written.push_back({.name = "weights", .view = without_added(result.weights, added)});
  }
  write_result(options, written);
  if (options.output == "-") {
    return;
  }
  if (options.common.json) {
    nlohmann::ordered_json summary;
    summary["output"] = options.output;
    summary["path"] = std::string(name_of(result.taken.path));
    if (result.taken.isa) {
      summary["isa"] = std::string(name_of(*result.taken.isa));
    }
    for (const io::NamedView& entry : written) {
      summary["arrays"][entry.name] = {
          {"dtype", std::string(name_of(entry.view.dtype()))},
          {"shape",
           std::vector<std::int64_t>(entry.view.shape().begin(), entry.view.shape().end())}};
    }
    fmt::print("{}\n", summary.dump(2));
    return;
  }
  fmt::print("{} ({} path{}{})\n", options.output, name_of(result.taken.path),
             result.taken.isa ? ", " : "", result.taken.isa ? name_of(*result.taken.isa) : "");
  for (const io::NamedView& entry : written) {
    fmt::print("  {:<8} {} {}\n", entry.name, name_of(entry.view.dtype()),
               to_string(entry.view.shape()));
  }
}

void run_compute(const ComputeOptions& options) {
  const Arrays arrays = read_all(options);
  const OwnedMask mask = make_mask(options, arrays.mask);
  SdpaOptions sdpa_options;
  sdpa_options.mask = mask.mask;
  sdpa_options.causal = options.causal;
  sdpa_options.alignment = parse_alignment(options.alignment);
  sdpa_options.window = {.left = options.window_left, .right = options.window_right};
  sdpa_options.key_lengths = arrays.key_lengths.view();
  sdpa_options.softcap = options.softcap;
  sdpa_options.alibi_slopes = arrays.alibi_slopes.view();
  sdpa_options.sinks = arrays.sinks.view();
  sdpa_options.scale = options.scale;
  sdpa_options.return_weights = options.weights;
  sdpa_options.execution = {
      .path = parse_path(options.path), .isa = parse_isa(options.isa), .threads = options.threads};
  const DType dtype = arrays.q.dtype();
  const auto types = [&] {
    return fmt::format("q {}, k {}, v {}", name_of(dtype), name_of(arrays.k.dtype()),
                       name_of(arrays.v.dtype()));
  };
  require(is_floating(dtype), "compute", "q, k and v must be float16, float32 or float64", types);
  require(arrays.k.dtype() == dtype && arrays.v.dtype() == dtype, "compute",
          "q, k and v must have one element type", types);
  visit(dtype, [&]<class T>() {
    if constexpr (is_floating(kDTypeOf<T>)) {
      compute_and_write<T>(options, arrays, sdpa_options);
    }
  });
}

void add_rules(CLI::App& verb, ComputeOptions& options) {
  verb.add_option("--mask-kind", options.mask_kind,
                  "What the mask means: keep (attend where it is 1), block (where it is 0), add "
                  "(added to the scores). "
                  "May be left out for a bool mask, which then keeps")
      ->check(CLI::IsMember({"keep", "block", "add"}))
      ->group("Rules");
  verb.add_flag("--causal", options.causal, "A query sees no key after its own position")
      ->group("Rules");
  verb.add_option("--alignment", options.alignment,
                  "Where query 0 stands: top-left (at key 0), bottom-right (the last query at the "
                  "last key), or the number "
                  "of keys before it. Needed with --causal, windows and ALiBi when L and S differ")
      ->group("Rules");
  verb.add_option("--window-left", options.window_left,
                  "How many keys to the left a query sees; -1: all")
      ->capture_default_str()
      ->group("Rules");
  verb.add_option("--window-right", options.window_right,
                  "How many keys to the right a query sees; -1: all")
      ->capture_default_str()
      ->group("Rules");
  verb.add_option("--softcap", options.softcap,
                  "scores = softcap * tanh(scores / softcap); 0: none")
      ->capture_default_str()
      ->group("Rules");
  verb.add_option("--scale", options.scale, "Multiplies q k^T; 1 / sqrt(D) unless given")
      ->group("Rules");
}

}  // namespace

void add_compute_verb(CLI::App& app) {
  auto options = std::make_shared<ComputeOptions>();
  CLI::App* verb =
      app.add_subcommand("compute", "Scaled dot-product attention of arrays in npy and npz files");
  verb->add_option("INPUT", options->input,
                   "npz file with q, k, v and, if wanted, mask, key_lengths, alibi_slopes, sinks");
  for (auto& [name, spec, help] :
       {std::tuple("--q", &options->q,
                   "Query (B, H, L, D), (H, L, D) or (L, D), as FILE or FILE:NAME"),
        std::tuple("--k", &options->k, "Key (B, Hkv, S, D)"),
        std::tuple("--v", &options->v, "Value (B, Hkv, S, Dv)"),
        std::tuple("--mask", &options->mask, "Mask, broadcast to (B, H, L, S)"),
        std::tuple("--key-lengths", &options->key_lengths,
                   "Valid keys of each batch entry (B), int32 or int64"),
        std::tuple("--alibi-slopes", &options->alibi_slopes, "ALiBi slope of each head (H)"),
        std::tuple("--sinks", &options->sinks, "Sink logit of each head (H)")}) {
    verb->add_option(name, *spec, help)->group("Arrays");
  }
  add_rules(*verb, *options);
  verb->add_option("--output,-o", options->output,
                   "npz file to write: out, lse and, if asked for, weights; - for stdout")
      ->required();
  verb->add_flag("--weights", options->weights, "Write the attention weights (B, H, L, S) too");
  verb->add_flag("--compress", options->compress, "Deflate the output");
  verb->add_option("--path", options->path, "How to compute: automatic, fused or reference")
      ->check(CLI::IsMember({"automatic", "fused", "reference"}))
      ->capture_default_str();
  verb->add_option("--isa", options->isa,
                   "Instruction set of the fused path, one of those that `attention info` lists")
      ->type_name("ISA");
  add_threads_option(*verb, options->threads);
  add_common_options(*verb, options->common);
  verb->footer(R"(Examples:
  attention compute qkv.npz -o result.npz --weights
  attention compute --q q.npy --k cache.npz:k --v cache.npz:v --causal --alignment bottom-right -o result.npz
  attention compute qkv.npz --mask bias.npy --mask-kind add -o result.npz)");
  verb->callback([options] { run_compute(*options); });
}

}  // namespace attention::cli
