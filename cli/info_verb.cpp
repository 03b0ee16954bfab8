#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <attention/core/execution.hpp>
#include <attention/core/isa.hpp>
#include <attention/core/parallel.hpp>
#include <attention/core/version.hpp>
#include <attention/io/npz.hpp>
#include <attention/ops/kernel_isas.hpp>

#include "cli/app.hpp"

namespace attention::cli {
namespace {

#if defined(__clang__)
constexpr const char* kCompiler = "clang " __clang_version__;
#else
constexpr const char* kCompiler = "g++ " __VERSION__;
#endif

void run_info(const CommonOptions& options) {
  std::vector<std::string> isas;
  for (const Isa isa : isas_of_this_cpu()) {
    isas.emplace_back(name_of(isa));
  }
  const std::vector<std::string> paths = {std::string(name_of(Path::fused)),
                                          std::string(name_of(Path::reference))};
  std::vector<std::string> kernels;
  for (const Isa isa : kernel_isas()) {
    kernels.emplace_back(name_of(isa));
  }
  const std::string used(name_of(default_kernel_isa()));
  if (options.json) {
    nlohmann::ordered_json info;
    info["version"] = ATTENTION_VERSION;
    info["compiler"] = kCompiler;
    info["cpu"] = cpu_name();
    info["isas_of_this_cpu"] = isas;
    info["isas_of_the_kernels"] = kernels;
    info["isa_used"] = used;
    info["threads"] = default_threads();
    info["paths"] = paths;
    info["deflated_npz"] = io::deflate_available();
    fmt::print("{}\n", info.dump(2));
    return;
  }
  fmt::print("attention  {}\n", ATTENTION_VERSION);
  fmt::print("compiler   {}\n", kCompiler);
  fmt::print("cpu        {}\n", cpu_name());
  fmt::print("isa        {} (the cpu offers {}; kernels that it runs: {})\n", used,
             fmt::join(isas, ", "), fmt::join(kernels, ", "));
  fmt::print("threads    {}\n", default_threads());
  fmt::print("paths      {}\n", fmt::join(paths, ", "));
  fmt::print("npz        stored{}\n",
             io::deflate_available() ? ", deflated" : " (deflated: built without zlib)");
}

}  // namespace

void add_info_verb(CLI::App& app) {
  auto options = std::make_shared<CommonOptions>();
  CLI::App* verb = app.add_subcommand("info", "Version, processor, instruction sets, threads");
  add_common_options(*verb, *options);
  verb->callback([options] { run_info(*options); });
}

}  // namespace attention::cli
