#include <attention/kernels/isa/elements.hpp>
#include <attention/kernels/isa/functions.hpp>

/// The softmax of a row, and its way back: elements in lanes. A sum depends on the elements and
/// their number alone, wherever they lie.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

/// Vectors that are worked on side by side.
constexpr int kVectors = 4;
constexpr Index kGroupElements = Index{kVectors} * kLanes;

/// A sum over a long row: the vectors of a group are added in float, the groups in double.
class LongSum {
 public:
  ATTENTION_INLINE void take(const Vec (&x)[kVectors]) {
    float group[kLanes];
    store(group, add(add(x[0], x[1]), add(x[2], x[3])));
    lanes_[0] = lanes_[0] + widened(group);
    lanes_[1] = lanes_[1] + widened(group + kLanes / 2);
  }
  double total() const {
    double lanes[kLanes];
    __builtin_memcpy(lanes, lanes_, sizeof(lanes));
#pragma GCC unroll 4
    for (int width = kLanes / 2; width > 0; width /= 2) {
      for (int lane = 0; lane < width; ++lane) {
        lanes[lane] += lanes[lane + width];
      }
    }
    return lanes[0];
  }

 private:
  Wide lanes_[2] = {};
};

/// kLanes elements of a row of `count` from n on; `missing` past its end.
ATTENTION_INLINE Vec load_row(const float* row, Index step, Index n, Index count, float missing) {
  const Index left = count - n;
  const Vec x = load_strided(row + n * step, step, left);
  return left >= kLanes ? x : select(mask_of((1U << left) - 1), x, set1(missing));
}

/// NaN is passed over: it comes to light in the sum.
float largest_of(const SoftmaxRow row) {
  Vec largest[kVectors];
  for (Vec& each : largest) {
    each = set1(-kInfinity);
  }
  Index n = 0;
  for (; row.x_step == 1 && n + kGroupElements <= row.count; n += kGroupElements) {
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) {
      largest[i] = max(load(row.x + n + i * kLanes), largest[i]);
    }
  }
  for (; n < row.count; n += kLanes) {
    largest[0] = max(load_row(row.x, row.x_step, n, row.count, -kInfinity), largest[0]);
  }
  float lanes[kLanes];
  store(lanes, max(max(largest[0], largest[1]), max(largest[2], largest[3])));
#pragma GCC unroll 4
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int lane = 0; lane < width; ++lane) {
      lanes[lane] = lanes[lane] > lanes[lane + width] ? lanes[lane] : lanes[lane + width];
    }
  }
  return lanes[0];
}

/// Writes exp(x - largest); returns the sum.
double exponentiate(const SoftmaxRow row, Vec largest) {
  LongSum sum;
  const Vec to_log2 = set1(kLog2E);
  const bool dense = row.x_step == 1 && row.out_step == 1;
  for (Index n = 0; n < row.count; n += kGroupElements) {
    Vec x[kVectors];
    if (dense && n + kGroupElements <= row.count) {
#pragma GCC unroll 4
      for (int i = 0; i < kVectors; ++i) {
        x[i] = mul(sub(load(row.x + n + i * kLanes), largest), to_log2);
      }
      exp2(x);
#pragma GCC unroll 4
      for (int i = 0; i < kVectors; ++i) {
        store(row.out + n + i * kLanes, x[i]);
      }
    } else {
#pragma GCC unroll 4
      for (int i = 0; i < kVectors; ++i) {
        const Index at = n + i * kLanes;
        x[i] = zero();
        if (at < row.count) {
          x[i] = load_row(row.x, row.x_step, at, row.count, -kInfinity);
          x[i] = exp2(mul(sub(x[i], largest), to_log2));
          store_strided(row.out + at * row.out_step, row.out_step, row.count - at, x[i]);
        }
      }
    }
    sum.take(x);
  }
  return sum.total();
}

/// The sum of out[k] d_out[k].
double sum_of_products(const SoftmaxBackwardRow row) {
  LongSum sum;
  const bool dense = row.d_out_step == 1 && row.out_step == 1;
  for (Index n = 0; n < row.count; n += kGroupElements) {
    Vec x[kVectors];
    const bool whole = dense && n + kGroupElements <= row.count;
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) {
      const Index at = n + i * kLanes;
      if (whole) {
        x[i] = mul(load(row.out + at), load(row.d_out + at));
      } else if (at < row.count) {
        x[i] = mul(load_row(row.out, row.out_step, at, row.count, 0),
                   load_row(row.d_out, row.d_out_step, at, row.count, 0));
      } else {
        x[i] = zero();
      }
    }
    sum.take(x);
  }
  return sum.total();
}

}  // namespace

/// The largest element; the exponentials and their sum; the quotients.
void softmax(const SoftmaxRow& row) noexcept {
  const double sum = exponentiate(row, set1(largest_of(row)));
  const Vec factor = set1(static_cast<float>(1 / sum));
  Index n = 0;
  for (; row.out_step == 1 && n + kLanes <= row.count; n += kLanes) {
    store(row.out + n, mul(load(row.out + n), factor));
  }
  for (; n < row.count; n += kLanes) {
    float* const out = row.out + n * row.out_step;
    const Index left = row.count - n;
    store_strided(out, row.out_step, left, mul(load_strided(out, row.out_step, left), factor));
  }
}

/// The mean; the gradients.
void softmax_backward(const SoftmaxBackwardRow& row) noexcept {
  const Vec mean = set1(static_cast<float>(sum_of_products(row)));
  Index n = 0;
  const bool dense = row.d_x_step == 1 && row.d_out_step == 1 && row.out_step == 1;
  for (; dense && n + kLanes <= row.count; n += kLanes) {
    store(row.d_x + n, mul(load(row.out + n), sub(load(row.d_out + n), mean)));
  }
  for (; n < row.count; n += kLanes) {
    const Index left = row.count - n;
    const Vec out = load_strided(row.out + n * row.out_step, row.out_step, left);
    const Vec d_out = load_strided(row.d_out + n * row.d_out_step, row.d_out_step, left);
    store_strided(row.d_x + n * row.d_x_step, row.d_x_step, left, mul(out, sub(d_out, mean)));
  }
}

}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
