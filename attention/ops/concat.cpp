#include <algorithm>
#include <array>
#include <cstddef>
#include <string>

#include <attention/ops/concat.hpp>
#include <attention/ops/detail/checks.hpp>
#include <attention/ops/detail/reference_only.hpp>
#include <attention/ops/detail/strided_runs.hpp>

namespace attention {
namespace {

std::string part_name(std::size_t number) {
  return "part " + std::to_string(number);
}

/// What the parts give together along which dimension, counted from the first.
struct Joined {
  Shape shape;
  int dim;
};

template <class T>
Joined check_parts(const char* function, std::span<const TensorView<const T>> parts, int dim) {
  require(!parts.empty(), function, "there must be one part or more",
          [] { return std::string("none"); });
  Joined joined = {.shape = parts[0].shape(), .dim = dim < 0 ? dim + parts[0].rank() : dim};
  require(joined.dim >= 0 && joined.dim < joined.shape.rank(), function,
          "dim must name a dimension of the parts",
          [&] { return "dim " + std::to_string(dim) + ", part 0 " + to_string(parts[0].shape()); });
  joined.shape[joined.dim] = 0;
  for (std::size_t n = 0; n < parts.size(); ++n) {
    bool fits = parts[n].rank() == joined.shape.rank();
    for (int other = 0; fits && other < joined.shape.rank(); ++other) {
      fits = other == joined.dim || parts[n].size(other) == joined.shape[other];
    }
    require(fits, function, "the parts must have one shape but for the extent of dim", [&] {
      return "dim " + std::to_string(dim) + ", part 0 " + to_string(parts[0].shape()) + ", " +
             part_name(n) + " " + to_string(parts[n].shape());
    });
    detail::require_given(function, part_name(n), parts[n]);
    joined.shape[joined.dim] += parts[n].size(joined.dim);
  }
  return joined;
}

template <class T>
void copy(TensorView<T> out, TensorView<const T> x, int threads) {
  const detail::StridedRuns<2> runs(out.shape(), {out.strides(), x.strides()});
  const auto [to_step, from_step] = runs.steps();
  runs.for_each(threads, [&](const std::array<std::int64_t, 2>& offsets, std::int64_t count) {
    T* const to = out.data() + offsets[0];
    const T* const from = x.data() + offsets[1];
    if (to_step == 1 && from_step == 1) {
      std::copy_n(from, count, to);
      return;
    }
    for (std::int64_t i = 0; i < count; ++i) {
      to[i * to_step] = from[i * from_step];
    }
  });
}

template <class T>
void copy_parts(TensorView<T> out, std::span<const TensorView<const T>> parts, int dim,
                int threads) {
  std::int64_t start = 0;
  for (const TensorView<const T>& part : parts) {
    copy<T>(out.slice(dim, start, part.size(dim)), part, threads);
    start += part.size(dim);
  }
}

template <class T>
Tensor<T> concat_owning(std::span<const TensorView<const T>> parts, int dim,
                        const Execution& execution) {
  const char* const function = "concat";
  const Joined joined = check_parts(function, parts, dim);
  detail::reference_only(function, execution, kDTypeOf<T>);
  Tensor<T> out = Tensor<T>::for_overwrite(joined.shape);
  copy_parts<T>(out, parts, joined.dim, execution.threads);
  return out;
}

template <class T>
Path concat_into_checked(TensorView<T> out, std::span<const TensorView<const T>> parts, int dim,
                         const Execution& execution) {
  const char* const function = "concat_into";
  const Joined joined = check_parts(function, parts, dim);
  require(out.shape() == joined.shape, [&] {
    return Error(function, detail::describe("out must have the shape", joined.shape),
                 to_string(out.shape()));
  });
  detail::require_writable(function, "out", out);
  for (std::size_t n = 0; n < parts.size(); ++n) {
    require(!may_overlap({out.data(), out.layout(), sizeof(T)},
                         {parts[n].data(), parts[n].layout(), sizeof(T)}),
            function, "out must not overlap a part",
            [&] { return "views that share memory: out, " + part_name(n); });
  }
  const Path path = detail::reference_only(function, execution, kDTypeOf<T>);
  copy_parts(out, parts, joined.dim, execution.threads);
  return path;
}

}  // namespace

Tensor<float> concat(std::span<const TensorView<const float>> parts, int dim,
                     const Execution& execution) {
  return concat_owning(parts, dim, execution);
}

Tensor<double> concat(std::span<const TensorView<const double>> parts, int dim,
                      const Execution& execution) {
  return concat_owning(parts, dim, execution);
}

Path concat_into(TensorView<float> out, std::span<const TensorView<const float>> parts, int dim,
                 const Execution& execution) {
  return concat_into_checked(out, parts, dim, execution);
}

Path concat_into(TensorView<double> out, std::span<const TensorView<const double>> parts, int dim,
                 const Execution& execution) {
  return concat_into_checked(out, parts, dim, execution);
}

}  // namespace attention
