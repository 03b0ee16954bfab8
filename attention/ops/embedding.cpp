#include <algorithm>
#include <array>
#include <string>

#include <attention/core/parallel.hpp>
#include <attention/ops/detail/checks.hpp>
#include <attention/ops/detail/indices.hpp>
#include <attention/ops/detail/reference_only.hpp>
#include <attention/ops/detail/walk.hpp>
#include <attention/ops/detail/workspace.hpp>
#include <attention/ops/embedding.hpp>

namespace attention {
namespace {

/// Elements that are worth a task.
constexpr std::int64_t kElementsOfTask = 1 << 14;

/// A view (..., E) without its last dimension.
struct RowsOf {
  Shape shape;
  Strides strides;
  std::int64_t E;
  std::int64_t step;

  explicit RowsOf(const Layout& layout)
      : shape(layout.shape),
        strides(layout.strides),
        E(layout.shape[layout.rank() - 1]),
        step(layout.strides[layout.rank() - 1]) {
    shape.erase(layout.rank() - 1);
    strides.erase(layout.rank() - 1);
  }
};

Shape shape_of_rows(const char* function, const AnyView& indices, std::int64_t E) {
  require(indices.rank() < kMaxRank, function, "indices must have rank 5 at most",
          [&] { return to_string(indices.shape()); });
  Shape shape = indices.shape();
  shape.push_back(E);
  return shape;
}

void check_indices(const char* function, const AnyView& indices, std::int64_t V,
                   const EmbeddingOptions& options) {
  const std::int64_t padding = options.padding_index.value_or(0);
  require(!options.padding_index || (padding >= 0 && padding < V), [&] {
    return Error(function, "padding_index must lie in [0, " + std::to_string(V) + ")",
                 std::to_string(padding));
  });
  detail::count_checked(function, "indices", indices, {.count = V});
}

template <class T>
void require_apart(const char* function, const char* name, TensorView<T> out,
                   const AnyView& input) {
  const std::size_t size = size_of(input.dtype());
  require(!may_overlap({out.data(), out.layout(), sizeof(T)}, {input.data(), input.layout(), size}),
          [&] {
            return Error(function, std::string(name) + " must not overlap an input",
                         "views that share memory");
          });
}

template <class T>
void check_weight(const char* function, TensorView<const T> weight) {
  require(weight.rank() == 2, function, "weight must have the shape (V, E)",
          [&] { return to_string(weight.shape()); });
  detail::require_given(function, "weight", weight);
}

template <class T>
void copy_row(T* to, std::int64_t to_step, const T* from, std::int64_t from_step, std::int64_t E) {
  if (to_step == 1 && from_step == 1) {
    std::copy_n(from, E, to);
    return;
  }
  for (std::int64_t e = 0; e < E; ++e) {
    to[e * to_step] = from[e * from_step];
  }
}

template <class T>
void look_up(TensorView<T> out, const AnyView& indices, TensorView<const T> weight, int threads) {
  const RowsOf rows(out.layout());
  const detail::IndexReader index_at(indices);
  const std::int64_t count = rows.E == 0 ? 0 : indices.element_count();
  const std::int64_t rows_of_task =
      std::max<std::int64_t>(kElementsOfTask / std::max<std::int64_t>(rows.E, 1), 1);
  parallel_for((count + rows_of_task - 1) / rows_of_task, threads, [&](std::int64_t task, int) {
    const std::int64_t begin = task * rows_of_task;
    const std::int64_t end = std::min(begin + rows_of_task, count);
    detail::Walk<2> walk(rows.shape, {rows.strides, indices.strides()}, begin);
    for (std::int64_t n = begin; n < end; ++n, walk.next()) {
      const std::int64_t index = index_at(walk.offsets()[1]);
      copy_row(out.data() + walk.offsets()[0], rows.step,
               weight.data() + index * weight.strides()[0], weight.strides()[1], rows.E);
    }
  });
}

template <class T>
Tensor<T> embedding_owning(const AnyView& indices, TensorView<const T> weight,
                           const EmbeddingOptions& options) {
  const char* const function = "embedding";
  check_weight(function, weight);
  const Shape shape = shape_of_rows(function, indices, weight.size(1));
  check_indices(function, indices, weight.size(0), options);
  detail::reference_only(function, options.execution, kDTypeOf<T>);
  Tensor<T> out = Tensor<T>::for_overwrite(shape);
  look_up<T>(out, indices, weight, options.execution.threads);
  return out;
}

template <class T>
Path embedding_into_checked(TensorView<T> out, const AnyView& indices, TensorView<const T> weight,
                            const EmbeddingOptions& options) {
  const char* const function = "embedding_into";
  check_weight(function, weight);
  const Shape shape = shape_of_rows(function, indices, weight.size(1));
  require(out.shape() == shape, [&] {
    return Error(function, detail::describe("out must have the shape", shape),
                 to_string(out.shape()));
  });
  detail::require_writable(function, "out", out);
  check_indices(function, indices, weight.size(0), options);
  require_apart(function, "out", out, weight);
  require_apart(function, "out", out, indices);
  const Path path = detail::reference_only(function, options.execution, kDTypeOf<T>);
  look_up(out, indices, weight, options.execution.threads);
  return path;
}

/// The rows of d_out in the order of their indices, those of one index in their own order.
class SortedRows {
 public:
  /// `storage` holds V + the number of indices.
  template <class T>
  SortedRows(TensorView<const T> d_out, const AnyView& indices, std::int64_t V,
             std::optional<std::int64_t> padding, std::int64_t* storage)
      : ends_(storage), offsets_(storage + V) {
    const RowsOf rows(d_out.layout());
    const detail::IndexReader index_at(indices);
    const std::int64_t count = indices.element_count();
    const auto each = [&](const auto& body) {
      if (count == 0) {
        return;
      }
      detail::Walk<2> walk(rows.shape, {rows.strides, indices.strides()}, 0);
      for (std::int64_t n = 0; n < count; ++n, walk.next()) {
        const std::int64_t index = index_at(walk.offsets()[1]);
        if (index != padding) {
          body(index, walk.offsets()[0]);
        }
      }
    };
    std::fill_n(ends_, V, 0);
    each([&](std::int64_t index, std::int64_t /*offset*/) { ++ends_[index]; });
    std::int64_t begin = 0;
    for (std::int64_t v = 0; v < V; ++v) {
      begin += ends_[v];
      ends_[v] = begin - ends_[v];
    }
    // What was the beginning of each index moves to its end.
    each([&](std::int64_t index, std::int64_t offset) { offsets_[ends_[index]++] = offset; });
  }

  /// Where the rows lie in d_out whose index is v.
  std::span<const std::int64_t> of(std::int64_t v) const noexcept {
    const std::int64_t begin = v == 0 ? 0 : ends_[v - 1];
    return {offsets_ + begin, static_cast<std::size_t>(ends_[v] - begin)};
  }

 private:
  std::int64_t* ends_;
  std::int64_t* offsets_;
};

/// sums[c] += row[c * step]
template <class T>
void add_row(double* sums, const T* row, std::int64_t step, std::int64_t columns) {
  for (std::int64_t c = 0; step == 1 && c < columns; ++c) {
    sums[c] += static_cast<double>(row[c]);
  }
  for (std::int64_t c = 0; step != 1 && c < columns; ++c) {
    sums[c] += static_cast<double>(row[c * step]);
  }
}

template <class T>
void sum_rows(TensorView<T> d_weight, TensorView<const T> d_out, const SortedRows& sorted,
              int threads) {
  constexpr std::int64_t kColumns = 256;  // whose sums stay in the innermost cache
  constexpr std::int64_t kTableTasks = 256;
  const std::int64_t V = d_weight.size(0);
  const std::int64_t E = d_weight.size(1);
  const std::int64_t step = d_out.strides()[d_out.rank() - 1];
  const std::int64_t column_groups = (E + kColumns - 1) / kColumns;
  const std::int64_t rows_of_task = (V + kTableTasks - 1) / kTableTasks;
  const std::int64_t row_groups = V == 0 ? 0 : (V + rows_of_task - 1) / rows_of_task;
  parallel_for(row_groups * column_groups, threads, [&](std::int64_t task, int /*worker*/) {
    const std::int64_t first = task % column_groups * kColumns;
    const std::int64_t columns = std::min(kColumns, E - first);
    const std::int64_t begin = task / column_groups * rows_of_task;
    for (std::int64_t v = begin; v < std::min(begin + rows_of_task, V); ++v) {
      std::array<double, kColumns> sums;  // NOLINT(cppcoreguidelines-pro-type-member-init)
      std::fill_n(sums.data(), columns, 0.0);
      for (const std::int64_t offset : sorted.of(v)) {
        add_row(sums.data(), d_out.data() + offset + first * step, step, columns);
      }
      T* const to = d_weight.data() + v * d_weight.strides()[0] + first * d_weight.strides()[1];
      for (std::int64_t c = 0; c < columns; ++c) {
        to[c * d_weight.strides()[1]] = static_cast<T>(sums[static_cast<std::size_t>(c)]);
      }
    }
  });
}

template <class T>
void check_backward(const char* function, TensorView<const T> d_out, const AnyView& indices,
                    std::int64_t V, const EmbeddingOptions& options) {
  require(V >= 0, function, "V must not be negative", [&] { return std::to_string(V); });
  const bool fits = d_out.rank() >= 1 && d_out.rank() == indices.rank() + 1 &&
                    RowsOf(d_out.layout()).shape == indices.shape();
  require(fits, function, "d_out must have the shape of indices and one dimension more", [&] {
    return detail::describe("d_out", d_out.shape()) + ", " +
           detail::describe("indices", indices.shape());
  });
  detail::require_given(function, "d_out", d_out);
  check_indices(function, indices, V, options);
}

/// `workspace` is large enough.
template <class T>
void run_backward(TensorView<T> d_weight, TensorView<const T> d_out, const AnyView& indices,
                  const EmbeddingOptions& options, std::span<std::byte> workspace) {
  const std::int64_t V = d_weight.size(0);
  const detail::WorkerScratch scratch(
      workspace, static_cast<std::size_t>(V + indices.element_count()) * sizeof(std::int64_t));
  auto* const storage = reinterpret_cast<std::int64_t*>(scratch.of(0));
  const SortedRows sorted(d_out, indices, V, options.padding_index, storage);
  sum_rows(d_weight, d_out, sorted, options.execution.threads);
}

template <class T>
Tensor<T> backward_owning(TensorView<const T> d_out, const AnyView& indices, std::int64_t V,
                          const EmbeddingOptions& options) {
  const char* const function = "embedding_backward";
  check_backward(function, d_out, indices, V, options);
  detail::reference_only(function, options.execution, kDTypeOf<T>);
  Tensor<T> d_weight = Tensor<T>::for_overwrite({V, d_out.size(d_out.rank() - 1)});
  detail::OwnedWorkspace workspace(embedding_backward_workspace_size(indices.element_count(), V));
  run_backward<T>(d_weight, d_out, indices, options, workspace.bytes());
  return d_weight;
}

template <class T>
Path backward_into_checked(TensorView<T> d_weight, TensorView<const T> d_out,
                           const AnyView& indices, const EmbeddingOptions& options,
                           std::span<std::byte> workspace) {
  const char* const function = "embedding_backward_into";
  require(d_weight.rank() == 2, function, "d_weight must have the shape (V, E)",
          [&] { return to_string(d_weight.shape()); });
  detail::require_writable(function, "d_weight", d_weight);
  check_backward(function, d_out, indices, d_weight.size(0), options);
  require(d_weight.size(1) == d_out.size(d_out.rank() - 1), function,
          "d_weight and d_out must have one extent E", [&] {
            return detail::describe("d_weight", d_weight.shape()) + ", " +
                   detail::describe("d_out", d_out.shape());
          });
  require_apart(function, "d_weight", d_weight, d_out);
  require_apart(function, "d_weight", d_weight, indices);
  const Path path = detail::reference_only(function, options.execution, kDTypeOf<T>);
  detail::require_workspace(
      function, workspace,
      embedding_backward_workspace_size(indices.element_count(), d_weight.size(0)));
  run_backward(d_weight, d_out, indices, options, workspace);
  return path;
}

}  // namespace

Tensor<float> embedding(const AnyView& indices, TensorView<const float> weight,
                        const EmbeddingOptions& options) {
  return embedding_owning(indices, weight, options);
}

Tensor<double> embedding(const AnyView& indices, TensorView<const double> weight,
                         const EmbeddingOptions& options) {
  return embedding_owning(indices, weight, options);
}

Path embedding_into(TensorView<float> out, const AnyView& indices, TensorView<const float> weight,
                    const EmbeddingOptions& options) {
  return embedding_into_checked(out, indices, weight, options);
}

Path embedding_into(TensorView<double> out, const AnyView& indices, TensorView<const double> weight,
                    const EmbeddingOptions& options) {
  return embedding_into_checked(out, indices, weight, options);
}

Tensor<float> embedding_backward(TensorView<const float> d_out, const AnyView& indices,
                                 std::int64_t V, const EmbeddingOptions& options) {
  return backward_owning(d_out, indices, V, options);
}

Tensor<double> embedding_backward(TensorView<const double> d_out, const AnyView& indices,
                                  std::int64_t V, const EmbeddingOptions& options) {
  return backward_owning(d_out, indices, V, options);
}

Path embedding_backward_into(TensorView<float> d_weight, TensorView<const float> d_out,
                             const AnyView& indices, const EmbeddingOptions& options,
                             std::span<std::byte> workspace) {
  return backward_into_checked(d_weight, d_out, indices, options, workspace);
}

Path embedding_backward_into(TensorView<double> d_weight, TensorView<const double> d_out,
                             const AnyView& indices, const EmbeddingOptions& options,
                             std::span<std::byte> workspace) {
  return backward_into_checked(d_weight, d_out, indices, options, workspace);
}

std::size_t embedding_backward_workspace_size(std::int64_t index_count, std::int64_t V) {
  const char* const function = "embedding_backward_workspace_size";
  require(index_count >= 0 && V >= 0, function, "index_count and V must not be negative",
          [&] { return std::to_string(index_count) + ", " + std::to_string(V); });
  return detail::workspace_size(static_cast<std::size_t>(index_count + V) * sizeof(std::int64_t),
                                {.threads = 1});
}

}  // namespace attention
