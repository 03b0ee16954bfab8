#include <attention/kernels/isa/functions.hpp>
#include <attention/kernels/isa/panel_shape.hpp>

namespace attention::kernels::ATTENTION_KERNEL_ISA {

extern const IsaFunctions kFunctions;
const IsaFunctions kFunctions = {.panel_rows = kPanel,
                                 .row_step = kStep * kLanes,
                                 .block_keys = kBlock,
                                 .activation = activation,
                                 .sdpa_forward = sdpa_forward,
                                 .sdpa_forward_scratch = sdpa_forward_scratch,
                                 .sdpa_decode = sdpa_decode,
                                 .sdpa_decode_finish = sdpa_decode_finish,
                                 .sdpa_decode_part = sdpa_decode_part,
                                 .sdpa_decode_scratch = sdpa_decode_scratch,
                                 .sdpa_backward = sdpa_backward,
                                 .sdpa_backward_scratch = sdpa_backward_scratch,
                                 .dropout = dropout,
                                 .linear = linear,
                                 .linear_scratch = linear_scratch,
                                 .softmax = softmax,
                                 .softmax_backward = softmax_backward,
                                 .linear_backward = linear_backward,
                                 .linear_backward_scratch = linear_backward_scratch,
                                 .sum_logits = sum_logits,
                                 .logits_gradient = logits_gradient,
                                 .norm_forward = norm_forward,
                                 .norm_backward = norm_backward,
                                 .norm_backward_scratch = norm_backward_scratch};

}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
