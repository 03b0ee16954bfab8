#include <attention/kernels/isa/activation.hpp>
#include <attention/kernels/isa/elements.hpp>
#include <attention/kernels/isa/functions.hpp>

/// Activations and their way back, on elements of any step.
namespace attention::kernels::ATTENTION_KERNEL_ISA {
namespace {

/// f(x), for any x.
template <Activation kActivation>
ATTENTION_INLINE Vec value_at(Vec x) {
  const Vec value = activated<kActivation>(x);
  if constexpr (kActivation == Activation::silu || kActivation == Activation::gelu_tanh) {
    // times_sigmoid() divides by 2^127 at most, which would show in an x of 1e38. The exact value
    // rounds to -0 here; NaN for -inf, as -inf times 0.
    return select(less(x, set1(-128.0F)), mul(x, zero()), value);
  }
  return value;
}

/// (By value: a store to `out` might change what a reference names, for all that the compiler
/// knows.)
template <Activation kActivation, bool kForward>
void run_of(const ActivationRun run) {
  const auto result = [&](Vec x, Vec d_out) __attribute__((always_inline)) {
    return kForward ? value_at<kActivation>(x) : mul(d_out, activation_slope<kActivation>(x));
  };
  Index n = 0;
  if (run.out_step == 1 && run.x_step == 1 && (kForward || run.d_out_step == 1)) {
    for (; n + kLanes <= run.count; n += kLanes) {
      const Vec d_out = kForward ? zero() : load(run.d_out + n);
      store(run.out + n, result(load(run.x + n), d_out));
    }
  }
  for (; n < run.count; n += kLanes) {
    const Index count = run.count - n;
    const Vec x = load_strided(run.x + n * run.x_step, run.x_step, count);
    const Vec d_out =
        kForward ? zero() : load_strided(run.d_out + n * run.d_out_step, run.d_out_step, count);
    store_strided(run.out + n * run.out_step, run.out_step, count, result(x, d_out));
  }
}

template <bool kForward>
void run_of(const ActivationRun& run) {
  switch (run.activation) {
    case Activation::relu:
      return run_of<Activation::relu, kForward>(run);
    case Activation::gelu:
      return run_of<Activation::gelu, kForward>(run);
    case Activation::gelu_tanh:
      return run_of<Activation::gelu_tanh, kForward>(run);
    case Activation::silu:
      return run_of<Activation::silu, kForward>(run);
    default:
      return run_of<Activation::none, kForward>(run);
  }
}

}  // namespace

void activation(const ActivationRun& run) noexcept {
  if (run.d_out == nullptr) {
    run_of<true>(run);
  } else {
    run_of<false>(run);
  }
}

}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
