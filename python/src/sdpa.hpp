#pragma once

#include <nanobind/nanobind.h>

#include <attention/ops/sdpa.hpp>

namespace attention::python {

/// What a call of sdpa asks for, apart from its arrays.
struct SdpaRequest {
  SdpaOptions options;
  bool enable_gqa = false;
  bool return_weights = false;
  bool return_lse = false;
};

/// sdpa for arrays of any rank: the last three dimensions are (H, L, D), those before them are
/// broadcast as torch does. Returns (out, weights, lse) in the library of `query`; None for what
/// was not asked for, or was written into `out`.
nanobind::tuple sdpa(nanobind::handle query, nanobind::handle key, nanobind::handle value,
                     nanobind::handle attn_mask, nanobind::handle alibi_slopes,
                     nanobind::handle sinks, nanobind::handle key_lengths, nanobind::handle out,
                     const SdpaRequest& request);

}  // namespace attention::python
