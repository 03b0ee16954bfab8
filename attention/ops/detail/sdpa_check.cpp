#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <string_view>

#include <attention/core/error.hpp>
#include <attention/ops/detail/checks.hpp>
#include <attention/ops/detail/sdpa_check.hpp>

namespace attention::detail {
namespace {

/// Positions and windows stay far from the ends of int64, so that no sum of them overflows.
constexpr std::int64_t kFarthest = std::int64_t{1} << 40;

template <class T>
std::string shapes_of(TensorView<const T> q, TensorView<const T> k, TensorView<const T> v) {
  return describe("query", q.shape()) + ", " + describe("key", k.shape()) + ", " +
         describe("value", v.shape());
}

template <class T>
void check_shapes(std::string_view function, TensorView<const T> q, TensorView<const T> k,
                  TensorView<const T> v) {
  const auto found = [&] { return shapes_of(q, k, v); };
  require(q.rank() == 4, function, "query must have the shape (B, H, L, D)", found);
  require(k.rank() == 4, function, "key must have the shape (B, Hkv, S, D)", found);
  require(v.rank() == 4, function, "value must have the shape (B, Hkv, S, Dv)", found);
  require_given(function, "query", q);
  require_given(function, "key", k);
  require_given(function, "value", v);
  require(q.size(0) == k.size(0) && q.size(0) == v.size(0), function,
          "query, key and value must have one batch size B", found);
  require(k.size(1) == v.size(1), function, "key and value must have one number of heads Hkv",
          found);
  require(k.size(1) > 0 && q.size(1) % k.size(1) == 0, function,
          "the number of query heads H must be a multiple of the number of key heads Hkv", found);
  require(k.size(2) == v.size(2), function, "key and value must have one length S", found);
  require(q.size(3) == k.size(3), function, "query and key must have one head size D", found);
}

/// A list with one entry per `extent`: head or batch entry.
struct ListRule {
  std::string_view name;
  std::string_view extent;
  std::int64_t count;
  std::array<DType, 2> dtypes;
};

void check_list(std::string_view function, const AnyView& list, const ListRule& rule) {
  if (list.is_null()) {
    return;
  }
  const std::string_view name = rule.name;
  require(list.rank() == 1 && list.size(0) == rule.count, [&] {
    return Error(function,
                 std::string(name) + " must have the shape (" + std::string(rule.extent) + ")",
                 to_string(list.shape()) + ", " + std::string(rule.extent) + " = " +
                     std::to_string(rule.count));
  });
  require_given(function, name, list);
  require(list.dtype() == rule.dtypes[0] || list.dtype() == rule.dtypes[1], [&] {
    const std::string allowed =
        std::string(name_of(rule.dtypes[0])) + " or " + std::string(name_of(rule.dtypes[1]));
    return Error(function, std::string(name) + " must be " + allowed, name_of(list.dtype()));
  });
}

void check_key_lengths(std::string_view function, const AnyView& lengths, std::int64_t B,
                       std::int64_t S) {
  check_list(
      function, lengths,
      {.name = "key_lengths", .extent = "B", .count = B, .dtypes = {DType::int32, DType::int64}});
  for (std::int64_t b = 0; b < B && !lengths.is_null(); ++b) {
    const auto length = lengths.load<std::int64_t>(b * lengths.strides()[0]);
    require(length >= 0 && length <= S, function, "each of key_lengths must lie in [0, S]", [&] {
      return std::to_string(length) + " for batch entry " + std::to_string(b) +
             ", S = " + std::to_string(S);
    });
  }
}

/// The bound of one side of the window; one beyond every position is none.
std::int64_t checked_window(std::string_view function, const char* side, std::int64_t bound) {
  require(bound >= -1, [&] {
    return Error(function, std::string("window.") + side + " must be -1 (unbounded) or more",
                 std::to_string(bound));
  });
  return bound > 2 * kFarthest ? -1 : bound;
}

template <class T>
void set_positions(std::string_view function, SdpaProblem<T>& problem, const SdpaOptions& options) {
  ScoreRules& rules = problem.rules;
  rules.causal = options.causal;
  rules.window_left = checked_window(function, "left", options.window.left);
  rules.window_right = checked_window(function, "right", options.window.right);
  rules.alibi_slopes = options.alibi_slopes;
  rules.offset_from_key_end = options.alignment.is_bottom_right();
  rules.query_offset = options.alignment.offset();
  require(-kFarthest <= rules.query_offset && rules.query_offset <= kFarthest, function,
          "the offset of alignment must lie within +-2^40",
          [&] { return std::to_string(rules.query_offset); });
  const bool counts_positions = rules.causal || options.window.left >= 0 ||
                                options.window.right >= 0 || !rules.alibi_slopes.is_null();
  require(
      !counts_positions || options.alignment.is_named() || problem.L == problem.S, function,
      "alignment must be named (top_left, bottom_right or at) when L != S and causal, window or "
      "alibi_slopes is used",
      [&] { return "L = " + std::to_string(problem.L) + ", S = " + std::to_string(problem.S); });
}

void set_mask(std::string_view function, ScoreRules& rules, const Mask& mask, const Shape& scores) {
  rules.mask_kind = mask.kind();
  if (mask.kind() == MaskKind::none) {
    return;
  }
  const Shape& shape = mask.view().shape();
  bool broadcasts = shape.rank() <= 4;
  for (int back = 1; broadcasts && back <= shape.rank(); ++back) {
    const std::int64_t extent = shape[shape.rank() - back];
    broadcasts = extent == 1 || extent == scores[4 - back];
  }
  require(broadcasts, function, "mask must broadcast to (B, H, L, S)",
          [&] { return describe("mask", shape) + ", (B, H, L, S) = " + to_string(scores); });
  require_given(function, "mask", mask.view());
  rules.mask = mask.view().broadcast_to(scores);
}

struct NamedPlacement {
  std::string_view name;
  Placement placement;
};

template <class View>
NamedPlacement placed(std::string_view name, const View& view, std::size_t element_size) {
  return {
      .name = name,
      .placement = {.base = view.data(), .layout = view.layout(), .element_size = element_size}};
}

template <class T>
NamedPlacement placed(std::string_view name, const TensorView<T>& view) {
  return placed(name, view, sizeof(T));
}

NamedPlacement placed(std::string_view name, const AnyView& view) {
  return placed(name, view, size_of(view.dtype()));
}

}  // namespace

template <class T>
SdpaProblem<T> checked_problem(std::string_view function, TensorView<const T> q,
                               TensorView<const T> k, TensorView<const T> v,
                               const SdpaOptions& options) {
  check_shapes(function, q, k, v);
  SdpaProblem<T> problem;
  problem.B = q.size(0);
  problem.H = q.size(1);
  problem.Hkv = k.size(1);
  problem.L = q.size(2);
  problem.S = k.size(2);
  problem.D = q.size(3);
  problem.Dv = v.size(3);
  problem.q = q;
  problem.k = k;
  problem.v = v;
  ScoreRules& rules = problem.rules;
  rules.scale = options.scale.value_or(
      problem.D == 0 ? 1.0 : 1.0 / std::sqrt(static_cast<double>(problem.D)));
  require(std::isfinite(rules.scale), function, "scale must be finite",
          [&] { return std::to_string(rules.scale); });
  rules.softcap = options.softcap;
  require(std::isfinite(rules.softcap) && rules.softcap >= 0, function,
          "softcap must be 0 (none) or a positive number",
          [&] { return std::to_string(rules.softcap); });
  check_key_lengths(function, options.key_lengths, problem.B, problem.S);
  rules.key_lengths = options.key_lengths;
  const std::array<DType, 2> reals = {DType::float32, DType::float64};
  check_list(function, options.alibi_slopes,
             {.name = "alibi_slopes", .extent = "H", .count = problem.H, .dtypes = reals});
  check_list(function, options.sinks,
             {.name = "sinks", .extent = "H", .count = problem.H, .dtypes = reals});
  rules.sinks = options.sinks;
  set_positions(function, problem, options);
  set_mask(function, rules, options.mask, {problem.B, problem.H, problem.L, problem.S});
  require_probability(function, "dropout.probability", options.dropout.probability);
  problem.dropout =
      random::DropoutMask(options.dropout.probability, options.dropout.seed, options.dropout.call);
  return problem;
}

template <class T>
void set_checked_outputs(std::string_view function, SdpaProblem<T>& problem,
                         const SdpaOutputs<T>& outputs) {
  const auto check_shape = [&](std::string_view name, const auto& view, const Shape& expected) {
    require(view.shape() == expected, [&] {
      return Error(function, describe(std::string(name) + " must have the shape", expected),
                   to_string(view.shape()));
    });
    require_writable(function, name, view);
  };
  check_shape("out", outputs.out, {problem.B, problem.H, problem.L, problem.Dv});
  std::array<NamedPlacement, 4> written = {placed("out", outputs.out)};
  std::size_t count = 1;
  if (!outputs.lse.is_null()) {
    check_shape("lse", outputs.lse, {problem.B, problem.H, problem.L});
    written[count++] = placed("lse", outputs.lse);
  }
  if (!outputs.maximum.is_null()) {
    check_shape("maximum", outputs.maximum, {problem.B, problem.H, problem.L});
    written[count++] = placed("maximum", outputs.maximum);
  }
  if (!outputs.weights.is_null()) {
    check_shape("weights", outputs.weights, {problem.B, problem.H, problem.L, problem.S});
    written[count++] = placed("weights", outputs.weights);
  }
  const std::array<NamedPlacement, 7> read = {placed("query", problem.q),
                                              placed("key", problem.k),
                                              placed("value", problem.v),
                                              placed("mask", problem.rules.mask),
                                              placed("key_lengths", problem.rules.key_lengths),
                                              placed("alibi_slopes", problem.rules.alibi_slopes),
                                              placed("sinks", problem.rules.sinks)};
  for (std::size_t i = 0; i < count; ++i) {
    const auto check_apart = [&](const NamedPlacement& other) {
      require(
          other.placement.base == nullptr || !may_overlap(written[i].placement, other.placement),
          function, "an output must not overlap an input or another output", [&] {
            return std::string(written[i].name) + " and " + std::string(other.name) +
                   " share memory";
          });
    };
    std::for_each(read.begin(), read.end(), check_apart);
    std::for_each(written.begin(), written.begin() + static_cast<std::ptrdiff_t>(i), check_apart);
  }
  problem.out = outputs.out;
  problem.lse = outputs.lse;
  problem.maximum = outputs.maximum;
  problem.weights = outputs.weights;
}

template SdpaProblem<float> checked_problem(std::string_view, TensorView<const float>,
                                            TensorView<const float>, TensorView<const float>,
                                            const SdpaOptions&);
template SdpaProblem<double> checked_problem(std::string_view, TensorView<const double>,
                                             TensorView<const double>, TensorView<const double>,
                                             const SdpaOptions&);
template SdpaProblem<float16> checked_problem(std::string_view, TensorView<const float16>,
                                              TensorView<const float16>, TensorView<const float16>,
                                              const SdpaOptions&);
template SdpaProblem<bfloat16> checked_problem(std::string_view, TensorView<const bfloat16>,
                                               TensorView<const bfloat16>,
                                               TensorView<const bfloat16>, const SdpaOptions&);
template void set_checked_outputs(std::string_view, SdpaProblem<float>&, const SdpaOutputs<float>&);
template void set_checked_outputs(std::string_view, SdpaProblem<double>&,
                                  const SdpaOutputs<double>&);
template void set_checked_outputs(std::string_view, SdpaProblem<float16>&,
                                  const SdpaOutputs<float16>&);
template void set_checked_outputs(std::string_view, SdpaProblem<bfloat16>&,
                                  const SdpaOutputs<bfloat16>&);

}  // namespace attention::detail
