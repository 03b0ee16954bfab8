"""JAX's arrays across the border."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import attention_cpp
from attention_cpp import Generator, MultiHeadAttention, scaled_dot_product_attention

from checks import same_bits

jax = pytest.importorskip("jax", reason="JAX's arrays are what this is about, and it is not installed")
jnp = pytest.importorskip("jax.numpy", reason="JAX's arrays are what this is about, and it is not installed")


def normal(*shape: int) -> Any:
    return np.random.default_rng(list(shape)).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_read_in_place_and_given_back(dtype: str) -> None:
    """The bits are NumPy's; results are JAX's arrays of the query's dtype."""
    before = attention_cpp.copies()
    query, key, value = (jnp.asarray(normal(2, 3, n, 8)).astype(dtype) for n in (4, 5, 5))
    output, weights = scaled_dot_product_attention(query, key, value, is_causal=True, return_weights=True)
    assert isinstance(output, jax.Array) and isinstance(weights, jax.Array)
    assert output.dtype == dtype and weights.dtype == "float32"
    assert output.shape == (2, 3, 4, 8) and weights.shape == (2, 3, 4, 5)
    if dtype != "bfloat16":
        arrays = (np.asarray(x) for x in (query, key, value))
        assert same_bits(output, scaled_dot_product_attention(*arrays, is_causal=True))
    assert attention_cpp.copies() == before


def test_the_same_as_jax() -> None:
    query, key, value = (jnp.asarray(normal(2, 4, 3, 8)) for _ in range(3))  # (B, L, H, D)
    wanted = jax.nn.dot_product_attention(query, key, value, is_causal=True)
    ours = scaled_dot_product_attention(
        *(np.asarray(x).swapaxes(1, 2) for x in (query, key, value)), is_causal=True
    )
    np.testing.assert_allclose(ours.swapaxes(1, 2), wanted, atol=1e-5)


def test_masks_of_jax() -> None:
    query, key = jnp.asarray(normal(2, 3, 4, 8)), jnp.asarray(normal(2, 3, 5, 8))
    for mask in (jnp.tri(4, 5, dtype=bool), jnp.asarray(normal(4, 5))):
        result = scaled_dot_product_attention(query, key, key, mask)
        wanted = scaled_dot_product_attention(*(np.asarray(x) for x in (query, key, key, mask)))
        assert same_bits(result, wanted)


def test_modules_take_and_give_arrays() -> None:
    x = jnp.asarray(normal(2, 4, 8))
    output, weights = MultiHeadAttention(8, 2, generator=Generator(1))(x, x, x)
    assert isinstance(output, jax.Array) and isinstance(weights, jax.Array)


def test_out_may_not_be_jaxs() -> None:
    """JAX's arrays never change."""
    x = normal(2, 3, 4, 8)
    with pytest.raises(ValueError, match="out must be writable; found a read-only"):
        scaled_dot_product_attention(x, x, x, out=jnp.zeros((2, 3, 4, 8)))
