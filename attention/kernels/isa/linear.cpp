#include <attention/kernels/isa/activation.hpp>
#include <attention/kernels/isa/elements.hpp>
#include <attention/kernels/isa/functions.hpp>
#include <attention/kernels/isa/product_tile.hpp>
#include <attention/kernels/isa/scratch.hpp>

/// The affine map, as scores are computed: rows of x in lanes, the rows of the weight read in
/// place, each element broadcast to all lanes. Every output is one sum in the order of i, whatever
/// the blocks and the other rows.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

constexpr Index kInputs = 256;  // i in a block: a panel's part of x stays in the innermost cache
constexpr Index kOutputs = 96;  // o in a block: its part of the weight stays in the next one

struct Work {
  float* x;      // for each panel, I lane rows: x^T
  float* sums;   // for each panel, kOutputs lane rows
  float* block;  // a block of a 16-bit weight as float
};

Work lay_out(Element element, Index I, Index panels, Scratch& scratch) {
  Work work = {};
  work.x = scratch.take<float>(panels * I * kPanel);
  work.sums = scratch.take<float>(panels * kOutputs * kPanel);
  work.block = element == Element::f32 ? nullptr : scratch.take<float>(kOutputs * kInputs);
  return work;
}

Index panels_of(int rows) {
  return (rows + kPanel - 1) / kPanel;
}

/// Reads the rows of x, transposed in registers; lanes without a row copy the last.
template <class T>
void pack_rows(const LinearTask& task, float* place) {
  const Index I = task.I;
  const Index stride = task.x_feature;
  const int padded = (task.rows + kGroup * kLanes - 1) / (kGroup * kLanes) * (kGroup * kLanes);
  for (int row = 0; row < padded; row += kLanes) {
    float* const panel = place + row / kPanel * I * kPanel + row % kPanel;
    const T* x[kLanes];
    for (int r = 0; r < kLanes; ++r) {
      x[r] = static_cast<const T*>(task.x[least(row + r, task.rows - 1)]);
    }
    for (Index i = 0; i < I; i += kLanes) {
      Vec tile[kLanes];
      load_transposed(x, i, stride, I - i, tile);
      for (int r = 0; r < least(kLanes, I - i); ++r) {
        store(panel + (i + r) * kPanel, tile[r]);
      }
    }
  }
}

/// sums[o] += sum over `inputs` elements of x[i] * weight[o][i], for kCount outputs and the vectors
/// of a group; from 0 if it is the first block of inputs.
template <int kCount>
ATTENTION_INLINE void add_to_sums(const float* x, Index inputs, Matrix weight, bool first,
                                  float* sums) {
  Vec sum[kCount][kGroup];
#pragma GCC unroll 8
  for (int o = 0; o < kCount; ++o) {
#pragma GCC unroll 8
    for (int w = 0; w < kGroup; ++w) {
      sum[o][w] = first ? zero() : load(sums + o * kPanel + w * kLanes);
    }
  }
  add_products<0>(sum, x, weight, inputs);
#pragma GCC unroll 8
  for (int o = 0; o < kCount; ++o) {
#pragma GCC unroll 8
    for (int w = 0; w < kGroup; ++w) {
      store(sums + o * kPanel + w * kLanes, sum[o][w]);
    }
  }
}

/// One block of the weight, `outputs` rows by `inputs` columns, for the first `lanes` lanes.
__attribute__((noinline)) void add_block(const float* x, KeyRange inputs, Matrix weight,
                                         Index outputs, Index lanes, float* sums) {
  for_each_tile(0, outputs, [&]<int kCount>(Index o) __attribute__((always_inline)) {
    for (Index lane = 0; lane < lanes; lane += Index{kGroup} * kLanes) {
      add_to_sums<kCount>(x + lane, inputs.end - inputs.begin, weight.from(o, 0), inputs.begin == 0,
                          sums + o * kPanel + lane);
    }
  });
}

/// Adds the bias, applies the activation and writes the outputs [begin, begin + count) of all rows.
template <Activation kActivation, class T>
void store_outputs(const LinearTask& task, Index begin, Index count, const float* sums) {
  float bias[kOutputs];
  for (Index o = 0; o < count; o += kLanes) {
    const Index step = task.bias_feature;
    const Vec x =
        task.bias == nullptr
            ? zero()
            : load_strided(static_cast<const T*>(task.bias) + (begin + o) * step, step, count - o);
    store_strided(bias + o, 1, kOutputs - o, x);
  }
  const Index stride = task.out_feature;
  for (int row = 0; row < task.rows; row += kLanes) {
    const float* const from = sums + row / kPanel * kOutputs * kPanel + row % kPanel;
    const int row_count = static_cast<int>(least(kLanes, task.rows - row));
    T* out[kLanes] = {};
    for (int r = 0; r < row_count; ++r) {
      out[r] = static_cast<T*>(task.out[row + r]);
    }
    for (Index o = 0; o < count; o += kLanes) {
      Vec tile[kLanes];
      for (int r = 0; r < kLanes; ++r) {
        tile[r] =
            o + r < count
                ? activated<kActivation>(add(load(from + (o + r) * kPanel), set1(bias[o + r])))
                : zero();
      }
      store_transposed(out, row_count, begin + o, stride, count - o, tile);
    }
  }
}

template <class T>
void store_outputs(const LinearTask& task, Index begin, Index count, const float* sums) {
  switch (task.activation) {
    case Activation::relu:
      return store_outputs<Activation::relu, T>(task, begin, count, sums);
    case Activation::gelu:
      return store_outputs<Activation::gelu, T>(task, begin, count, sums);
    case Activation::gelu_tanh:
      return store_outputs<Activation::gelu_tanh, T>(task, begin, count, sums);
    case Activation::silu:
      return store_outputs<Activation::silu, T>(task, begin, count, sums);
    default:
      return store_outputs<Activation::none, T>(task, begin, count, sums);
  }
}

template <class T>
void run(const LinearTask& task, const Work& work) {
  pack_rows<T>(task, work.x);
  const Index panels = panels_of(task.rows);
  for (Index o = task.begin; o < task.end; o += kOutputs) {
    const Index outputs = least(kOutputs, task.end - o);
    Index i = 0;
    do {  // once even if there is no input: the sums become 0
      const KeyRange inputs = {.begin = i, .end = least(i + kInputs, task.I)};
      const Index offset = o * task.weight_row + i * task.weight_feature;
      const Matrix weight =
          as_floats(at_element(task.weight, task.element, offset), task.element,
                    {.data = nullptr, .row = task.weight_row, .column = task.weight_feature},
                    {.begin = 0, .end = outputs}, inputs.end - inputs.begin, work.block);
      for (Index p = 0; p < panels; ++p) {
        add_block(work.x + (p * task.I + i) * kPanel, inputs, weight, outputs,
                  least(kPanel, task.rows - p * kPanel), work.sums + p * kOutputs * kPanel);
      }
      i += kInputs;
    } while (i < task.I);
    store_outputs<T>(task, o, outputs, work.sums);
  }
}

}  // namespace

std::size_t linear_scratch(Element element, std::int64_t I, int rows) noexcept {
  Scratch scratch(nullptr);
  lay_out(element, I, panels_of(rows), scratch);
  return static_cast<std::size_t>(scratch.used());
}

void linear(const LinearTask& task, std::byte* base) noexcept {
  Scratch scratch(base);
  const Work work = lay_out(task.element, task.I, panels_of(task.rows), scratch);
  switch (task.element) {
    case Element::bf16:
      run<Bfloat16>(task, work);
      break;
    case Element::f16:
      run<Float16>(task, work);
      break;
    default:
      run<float>(task, work);
      break;
  }
}

}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
