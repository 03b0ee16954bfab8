"""Attention, from scratch, in C++20: to learn, to look into, to ship.

    >>> import numpy as np, attention_cpp
    >>> x = np.ones((1, 2, 4, 8), np.float32)
    >>> out, weights = attention_cpp.scaled_dot_product_attention(x, x, x, return_weights=True)

Arrays are read in place, whatever their strides: NumPy, PyTorch, JAX, anything on the CPU that has
``__dlpack__`` or the buffer protocol. Results come back in the kind of array of the query.
"""

from . import experiments, nn
from ._core import Figure, Generator, __version__, manual_seed
from .figures import heatmap
from .functional import scaled_dot_product_attention
from .nn import MultiHeadAttention, MultiheadAttention, ScaledDotProductAttention
from .runtime import copies, get_num_threads, info, set_num_threads

__all__ = [
    "Figure",
    "Generator",
    "MultiHeadAttention",
    "MultiheadAttention",
    "ScaledDotProductAttention",
    "__version__",
    "copies",
    "experiments",
    "get_num_threads",
    "heatmap",
    "info",
    "manual_seed",
    "nn",
    "scaled_dot_product_attention",
    "set_num_threads",
]
