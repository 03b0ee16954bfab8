#pragma once

/// The attention modules.
#include <attention/nn/multi_head_attention.hpp>
#include <attention/nn/scaled_dot_product_attention.hpp>
