// One query against many keys; the memory of a call; calls so small that all else shows.

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string>

#include "bench/groups.hpp"
#include "bench/sdpa_call.hpp"

namespace attention::bench {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;

Case decode_case(const SdpaShape& shape, double bar, const Settings& settings) {
  const std::string dtype(name_of(shape.dtype));
  return {.group = "decode",
          .label = dtype + ", D " + std::to_string(shape.D) + ", S " + std::to_string(shape.S),
          .facts = {.dtype = shape.dtype,
                    .threads = shape.threads,
                    .L = shape.L,
                    .S = shape.S,
                    .D = shape.D},
          .measure = Measure::share_of_bandwidth,
          .bar = bar,
          .prepare = [=] {
            const SdpaCall call = sdpa_call(shape);
            const auto bytes = static_cast<double>(call.keys_and_values.size());
            // The call keeps the memory that the limit reads.
            return sampler_of(Rated{.call = call.call,
                                    .work = bytes,
                                    .limit =
                                        [=] {
                                          return read_rate(read_loop(), call.keys_and_values,
                                                           shape.threads, settings.time);
                                        },
                                    .time = settings.time});
          }};
}

/// A field of this process's memory in bytes, or 0 if the system does not tell.
double status_bytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    double kib = 0.0;
    if (word == field + ":" && status >> kib) {
      return kib * 1024.0;
    }
  }
  return 0.0;
}

/// Bytes that the peak of this process's memory grows by in a call; 0 where it cannot be measured.
double growth_of(const std::function<void()>& call) {
  // Sets the peak back to what is in use now.
  std::ofstream("/proc/self/clear_refs") << "5" << std::flush;
  const double before = status_bytes("VmRSS");
  call();
  return std::max(0.0, status_bytes("VmHWM") - before);
}

Case memory_case(const SdpaShape& shape, bool with_growth) {
  const std::string what = with_growth ? "workspace and growth of the peak" : "workspace";
  return {.group = "memory",
          .label = what + ", L " + std::to_string(shape.L),
          .facts = {.threads = shape.threads, .L = shape.L, .S = shape.keys(), .D = shape.D},
          .measure = Measure::mebibytes,
          .bar = 4.0,
          .once = true,
          .prepare = [=]() -> Sampler {
            return [=] {
              auto bytes = static_cast<double>(workspace_of(shape));
              if (with_growth) {
                // The small call starts the threads and loads the code.
                sdpa_call({.H = 1, .Hkv = 1, .L = 128, .threads = shape.threads}).call();
                // The tensors and the workspace are in use before the call.
                bytes += growth_of(sdpa_call(shape).call);
              }
              const double mib = bytes / kMiB / shape.threads;
              return Sample{.ours = mib, .value = mib};
            };
          }};
}

Case tiny_case(std::int64_t L, const Settings& settings) {
  const SdpaShape shape{.H = 1, .Hkv = 1, .L = L, .D = 8};
  return {.group = "tiny",
          .label = "L " + std::to_string(L),
          .facts = {.threads = 1, .L = L, .S = L, .D = shape.D},
          .measure = Measure::microseconds,
          .bar = 1.0,
          .prepare = [=]() -> Sampler {
            return [call = sdpa_call(shape).call, time = settings.time] {
              const double microseconds = seconds_of(call, time) * 1e6;
              return Sample{.ours = microseconds, .value = microseconds};
            };
          }};
}

}  // namespace

std::vector<Case> decode_cases(const Settings& settings) {
  std::vector<Case> cases;
  for (const DType dtype : {DType::float32, DType::bfloat16}) {
    for (const std::int64_t D : {64, 128}) {
      for (const std::int64_t S : {4096, 32768}) {
        if (settings.quick && S > 4096) {
          continue;
        }
        const double bar = D == 128 && S == 32768 ? 0.78 : 0.85;
        for (const int threads : thread_counts()) {
          const SdpaShape shape{.L = 1, .S = S, .D = D, .dtype = dtype, .threads = threads};
          cases.push_back(decode_case(shape, bar, settings));
        }
      }
    }
  }
  return cases;
}

std::vector<Case> memory_cases(const Settings& settings) {
  const std::int64_t L = settings.quick ? 8192 : 65536;
  std::vector<Case> cases;
  for (const bool with_growth : {false, true}) {
    for (const int threads : thread_counts()) {
      cases.push_back(memory_case({.H = 1, .Hkv = 1, .L = L, .threads = threads}, with_growth));
    }
  }
  return cases;
}

std::vector<Case> tiny_cases(const Settings& settings) {
  return {tiny_case(6, settings), tiny_case(16, settings)};
}

}  // namespace attention::bench
