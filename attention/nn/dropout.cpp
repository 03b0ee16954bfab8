#include <attention/autograd/functions.hpp>
#include <attention/nn/dropout.hpp>

namespace attention::nn {

template <class T>
autograd::Variable<T> dropout(const autograd::Variable<T>& x, double probability,
                              DropoutCalls* calls, const Execution& execution) {
  if (calls == nullptr || probability == 0) {
    return x;
  }
  return autograd::dropout(x, calls->take(probability, execution));
}

template autograd::Variable<float> dropout(const autograd::Variable<float>&, double, DropoutCalls*,
                                           const Execution&);
template autograd::Variable<double> dropout(const autograd::Variable<double>&, double,
                                            DropoutCalls*, const Execution&);

}  // namespace attention::nn
