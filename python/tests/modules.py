"""Modules made from a seed, and what the tests of modules share."""

from __future__ import annotations

from typing import Any

import numpy as np

from attention_cpp import Generator, MultiHeadAttention, MultiheadAttention

from reference import Array

NAMES = [f"W_{which}.{part}" for which in "qkvo" for part in ("weight", "bias")]


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def tutorial_module(
    embed_dim: int = 8, num_heads: int = 2, seed: int = 3, **options: Any
) -> MultiHeadAttention:
    return MultiHeadAttention(embed_dim, num_heads, generator=Generator(seed), **options)


def torch_twin(embed_dim: int = 8, num_heads: int = 2, seed: int = 3, **options: Any) -> MultiheadAttention:
    return MultiheadAttention(embed_dim, num_heads, generator=Generator(seed), **options)


def tutorial_names(twin: MultiheadAttention) -> dict[str, Array]:
    """The state of torch's twin under the names of MultiHeadAttention's parameters."""
    state = twin.state_dict()
    names = ("W_q", "W_k", "W_v")
    if "in_proj_weight" in state:
        weights = np.split(state["in_proj_weight"], 3)
    else:
        weights = [state[f"{which}_proj_weight"] for which in "qkv"]
    named = {f"{name}.weight": weight for name, weight in zip(names, weights, strict=True)}
    named["W_o.weight"] = state["out_proj.weight"]
    if "in_proj_bias" in state:
        named |= {
            f"{name}.bias": bias for name, bias in zip(names, np.split(state["in_proj_bias"], 3), strict=True)
        }
        named["W_o.bias"] = state["out_proj.bias"]
    return named | {name: state[name] for name in ("bias_k", "bias_v") if name in state}


def randomise(parameters: dict[str, Array]) -> None:
    """Biases that a module draws as 0 would hide mistakes."""
    for n, array in enumerate(parameters.values()):
        array[...] = 0.5 * normal(*array.shape, seed=n)


def assert_near(found: tuple[Any, Any], wanted: tuple[Array, Array], atol: float = 3e-6) -> None:
    for result, truth in zip(found, wanted, strict=True):
        assert type(result) is np.ndarray and result.dtype == np.float32
        np.testing.assert_allclose(result, truth, rtol=0, atol=atol)


def flat(parameters: dict[str, Array]) -> Array:
    return np.concatenate([array.ravel() for array in parameters.values()])
