#include <attention/kernels/isa/functions.hpp>
#include <attention/kernels/isa/panel_shape.hpp>

namespace attention::kernels::ATTENTION_KERNEL_ISA {

extern const IsaFunctions kFunctions;
const IsaFunctions kFunctions = {.panel_rows = kPanel,
                                 .row_step = kStep * kLanes,
                                 .block_keys = kBlock,
                                 .sdpa_forward = sdpa_forward,
                                 .sdpa_forward_scratch = sdpa_forward_scratch,
                                 .sdpa_decode = sdpa_decode,
                                 .sdpa_decode_finish = sdpa_decode_finish,
                                 .sdpa_decode_part = sdpa_decode_part,
                                 .sdpa_decode_scratch = sdpa_decode_scratch,
                                 .sdpa_backward = sdpa_backward,
                                 .sdpa_backward_scratch = sdpa_backward_scratch,
                                 .linear = linear,
                                 .linear_scratch = linear_scratch};

}  // namespace attention::kernels::ATTENTION_KERNEL_ISA
