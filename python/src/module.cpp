#include <exception>
#include <optional>
#include <string>
#include <utility>

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>

#include <attention/core/error.hpp>
#include <attention/core/isa.hpp>
#include <attention/core/parallel.hpp>
#include <attention/core/version.hpp>
#include <attention/ops/sdpa.hpp>

#include "arrays.hpp"
#include "experiments.hpp"
#include "figures.hpp"
#include "modules.hpp"
#include "sdpa.hpp"

/// The native half of attention_cpp. It converts and calls; names, defaults and documentation that
/// users see are in the Python files beside it.
namespace attention::python {
namespace {

Path path_of(const std::string& name) {
  for (const Path path : {Path::automatic, Path::fused, Path::reference}) {
    if (name_of(path) == name) {
      return path;
    }
  }
  throw_value_error("scaled_dot_product_attention", "path",
                    "must be 'automatic', 'fused' or 'reference'", "'" + name + "'");
}

std::optional<Isa> isa_named(const std::optional<std::string>& name) {
  if (!name) {
    return {};
  }
  const std::optional<Isa> isa = isa_of_name(*name);
  if (!isa) {
    throw_value_error("scaled_dot_product_attention", "isa",
                      "must be None or the name of an instruction set", "'" + *name + "'");
  }
  return isa;
}

Alignment alignment_of(const std::optional<std::string>& name, std::optional<std::int64_t> offset) {
  if (offset) {
    return Alignment::at(*offset);
  }
  if (!name) {
    return {};
  }
  if (*name == "top_left") {
    return Alignment::top_left();
  }
  if (*name == "bottom_right") {
    return Alignment::bottom_right();
  }
  throw_value_error("scaled_dot_product_attention", "causal_alignment",
                    "must be 'top_left' or 'bottom_right'", "'" + *name + "'");
}

nb::tuple bound_sdpa(nb::handle query, nb::handle key, nb::handle value, nb::handle attn_mask,
                     bool is_causal, std::optional<double> scale, bool enable_gqa,
                     bool return_weights, bool return_lse,
                     const std::optional<std::string>& alignment,
                     std::optional<std::int64_t> offset,
                     std::pair<std::int64_t, std::int64_t> window, double softcap,
                     nb::handle alibi_slopes, nb::handle sinks, nb::handle key_lengths,
                     nb::handle out, const std::string& path, const std::optional<std::string>& isa,
                     int threads) {
  const SdpaRequest request{
      .options = {.causal = is_causal,
                  .alignment = alignment_of(alignment, offset),
                  .window = {.left = window.first, .right = window.second},
                  .softcap = softcap,
                  .scale = scale,
                  .execution = {.path = path_of(path), .isa = isa_named(isa), .threads = threads}},
      .enable_gqa = enable_gqa,
      .return_weights = return_weights,
      .return_lse = return_lse};
  return sdpa(query, key, value, attn_mask, alibi_slopes, sinks, key_lengths, out, request);
}

}  // namespace

NB_MODULE(_core, module) {
  nb::register_exception_translator([](const std::exception_ptr& error, void*) {
    try {
      std::rethrow_exception(error);
    } catch (const FileError& file) {
      PyErr_SetString(PyExc_OSError, file.what());
    }
  });
  module.attr("__version__") = ATTENTION_VERSION;
  module.def("sdpa", &bound_sdpa, nb::arg("query").none(), nb::arg("key").none(),
             nb::arg("value").none(), nb::arg("attn_mask").none(), nb::arg("is_causal"),
             nb::arg("scale").none(), nb::arg("enable_gqa"), nb::arg("return_weights"),
             nb::arg("return_lse"), nb::arg("causal_alignment").none(),
             nb::arg("causal_offset").none(), nb::arg("window"), nb::arg("softcap"),
             nb::arg("alibi_slopes").none(), nb::arg("sinks").none(), nb::arg("key_lengths").none(),
             nb::arg("out").none(), nb::arg("path"), nb::arg("isa").none(), nb::arg("threads"));
  module.def("copies", &copies);
  module.def("num_threads", &default_threads);
  module.def("set_num_threads", &set_default_threads, nb::arg("threads"));
  module.def("cpu", &cpu_name);
  module.def("isa", [] { return std::string(name_of(isas_of_this_cpu().back())); });
  bind_modules(module);
  bind_figures(module);
  bind_experiments(module);
}

}  // namespace attention::python
