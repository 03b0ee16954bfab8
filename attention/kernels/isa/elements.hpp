#pragma once

#include <cstddef>

#include <attention/kernels/isa/simd.hpp>
#include <attention/kernels/sdpa_args.hpp>

/// Private to the sources of the instruction sets: elements of any type and stride as float.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

/// Keys, or rows of a matrix, [begin, end).
struct KeyRange {
  Index begin;
  Index end;
};

/// A matrix in memory: element (r, c) lies at data[r * row + c * column].
template <class T>
struct MatrixOf {
  const T* data;
  Index row;
  Index column;

  ATTENTION_INLINE MatrixOf from(Index r, Index c) const {
    return {.data = data + r * row + c * column, .row = row, .column = column};
  }
};
using Matrix = MatrixOf<float>;

ATTENTION_INLINE float as_float(float x) {
  return x;
}
ATTENTION_INLINE float as_float(Bfloat16 x) {
  return __builtin_bit_cast(float, std::uint32_t{x.bits} << 16);
}
template <class T>
ATTENTION_INLINE bool is_finite(T x) {
  return as_float(x) - as_float(x) == 0;
}

/// kLanes elements from p at this stride, of which `count` exist; 0 for the others.
template <class T>
ATTENTION_INLINE Vec load_strided(const T* p, Index stride, Index count) {
  if (stride == 1 && count >= kLanes) {
    return load_converted(p);
  }
  T elements[kLanes] = {};
  for (Index i = 0; i < least(count, kLanes); ++i) {
    elements[i] = p[i * stride];
  }
  return load_converted(elements);
}

template <class T>
ATTENTION_INLINE void store_strided(T* p, Index stride, Index count, Vec x) {
  if (stride == 1 && count >= kLanes) {
    store_converted(p, x);
    return;
  }
  T elements[kLanes];
  store_converted(elements, x);
  for (Index i = 0; i < least(count, kLanes); ++i) {
    p[i * stride] = elements[i];
  }
}

/// kLanes elements of each of kLanes rows, from `at` on: lane r of tile[i] is element at + i of row
/// r, or 0 where only `count` exist.
template <class T>
ATTENTION_INLINE void load_transposed(const T* const (&rows)[kLanes], Index at, Index stride,
                                      Index count, Vec (&tile)[kLanes]) {
  if (stride == 1 && count >= kLanes) {
#pragma GCC unroll 16
    for (int r = 0; r < kLanes; ++r) {
      tile[r] = load_converted(rows[r] + at);
    }
  } else {
    for (int r = 0; r < kLanes; ++r) {
      tile[r] = load_strided(rows[r] + at * stride, stride, count);
    }
  }
  transpose(tile);
}

/// The way back, into the rows that there are.
template <class T>
ATTENTION_INLINE void store_transposed(T* const (&rows)[kLanes], int row_count, Index at,
                                       Index stride, Index count, Vec (&tile)[kLanes]) {
  transpose(tile);
  if (stride == 1 && count >= kLanes && row_count == kLanes) {
#pragma GCC unroll 16
    for (int r = 0; r < kLanes; ++r) {
      store_converted(rows[r] + at, tile[r]);
    }
  } else {
    for (int r = 0; r < row_count; ++r) {
      store_strided(rows[r] + at * stride, stride, count, tile[r]);
    }
  }
}

/// See as_floats.
template <class T>
Matrix converted(const T* data, Index row, Index column, KeyRange rows, Index columns,
                 float* place) {
  for (Index r = rows.begin; r < rows.end; ++r) {
    const T* const from = data + r * row;
    float* const to = place + r * columns;
    Index c = 0;
    for (; column == 1 && c + kLanes <= columns; c += kLanes) {
      store(to + c, load_converted(from + c));
    }
    for (; c < columns; c += kLanes) {
      store_strided(to + c, 1, columns - c, load_strided(from + c * column, column, columns - c));
    }
  }
  return {.data = place, .row = columns, .column = 1};
}

/// Rows [rows.begin, rows.end) of the matrix at `data` as float: in place, or in scratch.
inline Matrix as_floats(const void* data, Element element, Matrix strides, KeyRange rows,
                        Index columns, float* place) {
  switch (element) {
    case Element::bf16:
      return converted(static_cast<const Bfloat16*>(data), strides.row, strides.column, rows,
                       columns, place);
    case Element::f16:
      return converted(static_cast<const Float16*>(data), strides.row, strides.column, rows,
                       columns, place);
    default:
      return {
          .data = static_cast<const float*>(data), .row = strides.row, .column = strides.column};
  }
}

ATTENTION_INLINE const void* at_element(const void* data, Element element, Index offset) {
  const Index size = element == Element::f32 ? 4 : 2;
  return static_cast<const std::byte*>(data) + offset * size;
}

/// True when none of `columns` elements of the rows [begin, end) is infinite or NaN.
template <class T>
bool all_finite(MatrixOf<T> values, Index columns, KeyRange rows) {
  constexpr int kChains = 4;
  Vec zeros[kChains] = {zero(), zero(), zero(), zero()};  // NaN once an infinity or NaN came
  for (Index n = rows.begin; n < rows.end; ++n) {
    const MatrixOf<T> row = values.from(n, 0);
    Index c = 0;
    for (; values.column == 1 && c + kChains * kLanes <= columns; c += kChains * kLanes) {
#pragma GCC unroll 4
      for (int i = 0; i < kChains; ++i) {
        zeros[i] = fma(load_converted(row.data + c + i * kLanes), zero(), zeros[i]);
      }
    }
    for (; c < columns; c += kChains * kLanes) {
#pragma GCC unroll 4
      for (int i = 0; i < kChains; ++i) {
        const Index at = c + i * kLanes;
        if (at < columns) {
          const Vec x = load_strided(row.data + at * row.column, row.column, columns - at);
          zeros[i] = fma(x, zero(), zeros[i]);
        }
      }
    }
  }
  const Vec sum = add(add(zeros[0], zeros[1]), add(zeros[2], zeros[3]));
  return bits_of(equal(sum, zero())) == kAllLanes;
}

}  // namespace
}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
