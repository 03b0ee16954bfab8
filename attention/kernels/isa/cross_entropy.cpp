#include <attention/kernels/isa/elements.hpp>
#include <attention/kernels/isa/functions.hpp>
#include <attention/kernels/isa/panel_shape.hpp>

/// The rows of cross entropy: a row of logits, its classes in lanes. What is summed is summed in
/// float over a chunk of classes, and in double from chunk to chunk. Which class goes where depends
/// on its number alone.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

constexpr Index kChunk = Index{32} * kLanes;

/// What joining gives of all lanes: halves, quarters, ...
template <class T, class Join>
ATTENTION_INLINE T folded(T (&lanes)[kLanes], const Join& join) {
#pragma GCC unroll 4
  for (int width = kLanes / 2; width > 0; width /= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < width; ++i) {
      lanes[i] = join(lanes[i], lanes[i + width]);
    }
  }
  return lanes[0];
}

/// Sums in double: those of each lane.
struct WideSums {
  Wide low;
  Wide high;

  WideSums() {
    constexpr double kZeros[kLanes / 2] = {};
    low = high = load_wide(kZeros);
  }
  ATTENTION_INLINE void add_lanes(Vec x) {
    float lanes[kLanes];
    store(lanes, x);
    low = low + widened(lanes);
    high = high + widened(lanes + kLanes / 2);
  }
  double total() const {
    double lanes[kLanes];
    __builtin_memcpy(lanes, &low, sizeof(low));
    __builtin_memcpy(lanes + kLanes / 2, &high, sizeof(high));
    return folded(lanes, [](double a, double b) { return a + b; });
  }
};

/// Classes [begin, begin + count), side by side: where they are, or copied to `place`.
const float* classes_at(const LogitsTask& task, Index begin, Index count, float* place) {
  if (task.stride == 1) {
    return task.x + begin;
  }
  for (Index j = 0; j < count; ++j) {
    place[j] = task.x[(begin + j) * task.stride];
  }
  return place;
}

/// Calls body.operator()<vectors, whole>(j) for vectors of classes from j on that together cover
/// `count` classes. Only the last may not be whole.
template <class Body>
ATTENTION_INLINE void for_each_vector(Index count, const Body& body) {
  constexpr Index kStepClasses = Index{kGroup} * kLanes;
  Index j = 0;
  for (; j + kStepClasses <= count; j += kStepClasses) {
    body.template operator()<kGroup, true>(j);
  }
  for (; j + kLanes <= count; j += kLanes) {
    body.template operator()<1, true>(j);
  }
  if (j < count) {
    body.template operator()<1, false>(j);
  }
}

/// kLanes logits, of which `count` exist; -inf for the others.
template <bool kWhole>
ATTENTION_INLINE Vec load_logits(const float* x, Index count) {
  if constexpr (kWhole) {
    return load(x);
  }
  float lanes[kLanes];
  for (Index i = 0; i < kLanes; ++i) {
    lanes[i] = i < count ? x[i] : -kInfinity;
  }
  return load(lanes);
}

template <bool kWhole>
ATTENTION_INLINE void store_classes(float* to, Index count, Vec x) {
  if constexpr (kWhole) {
    store(to, x);
  } else {
    store_strided(to, 1, count, x);
  }
}

/// The largest logit; NaN does not count.
float largest_logit(const LogitsTask& task) {
  float place[kChunk];
  Vec largest[kGroup];
  for (Vec& each : largest) {
    each = set1(-kInfinity);
  }
  for (Index begin = 0; begin < task.C; begin += kChunk) {
    const Index count = least(kChunk, task.C - begin);
    const float* const x = classes_at(task, begin, count, place);
    for_each_vector(count, [&]<int kCount, bool kWhole>(Index j) __attribute__((always_inline)) {
#pragma GCC unroll 4
      for (int i = 0; i < kCount; ++i) {
        const Index at = j + i * kLanes;
        largest[i] = max(load_logits<kWhole>(x + at, count - at), largest[i]);
      }
    });
  }
#pragma GCC unroll 4
  for (int i = 1; i < kGroup; ++i) {
    largest[0] = max(largest[0], largest[i]);
  }
  float lanes[kLanes];
  store(lanes, largest[0]);
  return folded(lanes, [](float a, float b) { return a > b ? a : b; });
}

/// The sum of exp(x - origin), lane by lane, over `count` classes; writes each power to `to`, if
/// they are to be kept, where x may lie.
///
/// x - origin comes first, not by one fma with log2 e: the rounding of a large origin * log2 e
/// would count in each power.
template <bool kKeeps>
ATTENTION_INLINE Vec sum_powers(const float* x, Index count, float origin, float* to) {
  Vec sum[kGroup];
  for (Vec& each : sum) {
    each = zero();
  }
  for_each_vector(count, [&]<int kCount, bool kWhole>(Index j) __attribute__((always_inline)) {
    Vec power[kCount];
#pragma GCC unroll 4
    for (int i = 0; i < kCount; ++i) {
      const Index at = j + i * kLanes;
      const Vec logits = load_logits<kWhole>(x + at, count - at);
      power[i] = mul(sub(logits, set1(origin)), set1(kLog2E));
    }
    exp2(power);
#pragma GCC unroll 4
    for (int i = 0; i < kCount; ++i) {
      const Index at = j + i * kLanes;
      sum[i] = add(sum[i], power[i]);
      if constexpr (kKeeps) {
        store_classes<kWhole>(to + at, count - at, power[i]);
      }
    }
  });
#pragma GCC unroll 4
  for (int i = 1; i < kGroup; ++i) {
    sum[0] = add(sum[0], sum[i]);
  }
  return sum[0];
}

/// The sum of x - maximum, in double.
double sum_distances(const LogitsTask& task, float maximum) {
  float lanes[kLanes];
  store(lanes, set1(maximum));  // the last of them where there is no class: no distance
  const Wide origin = widened(lanes);
  float place[kChunk];
  WideSums sums;
  const auto add = [&](const float* x) __attribute__((always_inline)) {
    sums.low = sums.low + (widened(x) - origin);
    sums.high = sums.high + (widened(x + kLanes / 2) - origin);
  };
  for (Index begin = 0; begin < task.C; begin += kChunk) {
    const Index count = least(kChunk, task.C - begin);
    const float* const x = classes_at(task, begin, count, place);
    Index j = 0;
    for (; j + kLanes <= count; j += kLanes) {
      add(x + j);
    }
    if (j < count) {
      store_strided(lanes, 1, count - j, load_strided(x + j, 1, count - j));
      add(lanes);
    }
  }
  return sums.total();
}

/// d_x[j] = d_x[j] factor + offset
void scale_classes(const LogitsGradientTask& task, Vec factor, Vec offset) {
  const Index C = task.logits.C;
  const Index stride = task.d_stride;
  for (Index j = 0; stride != 1 && j < C; j += kLanes) {
    float* const d_x = task.d_x + j * stride;
    store_strided(d_x, stride, C - j, fma(load_strided(d_x, stride, C - j), factor, offset));
  }
  if (stride != 1) {
    return;
  }
  for_each_vector(C, [&]<int kCount, bool kWhole>(Index j) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int i = 0; i < kCount; ++i) {
      const Index at = j + i * kLanes;
      const Vec powers = load_logits<kWhole>(task.d_x + at, C - at);
      store_classes<kWhole>(task.d_x + at, C - at, fma(powers, factor, offset));
    }
  });
}

}  // namespace

LogitsSums sum_logits(const LogitsTask& task) noexcept {
  const float largest = largest_logit(task);
  const float maximum = largest == -kInfinity ? 0.0F : largest;
  WideSums sums;
  float place[kChunk];
  for (Index begin = 0; begin < task.C; begin += kChunk) {
    const Index count = least(kChunk, task.C - begin);
    const float* const x = classes_at(task, begin, count, place);
    sums.add_lanes(sum_powers<false>(x, count, maximum, nullptr));
  }
  return {.maximum = maximum,
          .powers = sums.total(),
          .distance = task.wants_distance ? sum_distances(task, maximum) : 0};
}

void logits_gradient(const LogitsGradientTask& task) noexcept {
  const Index stride = task.d_stride;
  WideSums sums;
  float place[kChunk];
  float powers[kChunk];
  for (Index begin = 0; begin < task.logits.C; begin += kChunk) {
    const Index count = least(kChunk, task.logits.C - begin);
    const float* const x = classes_at(task.logits, begin, count, place);
    float* const to = stride == 1 ? task.d_x + begin : powers;
    sums.add_lanes(sum_powers<true>(x, count, task.lse, to));
    for (Index j = 0; stride != 1 && j < count; ++j) {
      task.d_x[(begin + j) * stride] = powers[j];
    }
  }
  scale_classes(task, set1(static_cast<float>(task.factor / sums.total())),
                set1(static_cast<float>(-task.factor * task.uniform)));
}

}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
