"""The tutorials' modules against float64 NumPy built from their own parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import attention_cpp
from attention_cpp import MultiHeadAttention, MultiheadAttention, ScaledDotProductAttention

from checks import assert_judged_well, same_bits
from modules import NAMES, assert_near, normal, randomise, torch_twin, tutorial_module
from reference import multi_head_attention


# ScaledDotProductAttention.


@pytest.mark.parametrize("outer", [(), (2,), (2, 3)], ids=str)
@pytest.mark.parametrize("scale", [None, 0.7])
def test_attention_of_every_rank(outer: tuple[int, ...], scale: float | None) -> None:
    """(L, D), (B, L, D) and (B, H, L, D); output and weights have the shapes of the inputs."""
    query, key, value = normal(*outer, 4, 8), normal(*outer, 5, 8, seed=1), normal(*outer, 5, 6, seed=2)
    module = ScaledDotProductAttention()
    output, weights = module(query, key, value, scale=scale)
    assert output.shape == (*outer, 4, 6) and weights.shape == (*outer, 4, 5)
    again, _, lse = attention_cpp.scaled_dot_product_attention(
        query, key, value, scale=scale, return_weights=True, return_lse=True
    )
    assert_judged_well(output, weights, lse, query, key, value, scale=scale)
    assert same_bits(output, again)
    assert same_bits(module.forward(query, key, value, scale=scale)[0], output)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int64, np.uint8, np.bool_])
@pytest.mark.parametrize(
    "shape", [(4, 5), (1, 5), (2, 4, 5), (2, 1, 5), (2, 3, 4, 5), (1, 3, 1, 5), (2, 1, 4, 1)]
)
def test_mask_of_zeros_and_ones(shape: tuple[int, ...], dtype: Any) -> None:
    """The same in every dtype: 0 blocks and 1 keeps; (B, L, S) is one for all heads."""
    query, key, value = normal(2, 3, 4, 8), normal(2, 3, 5, 8, seed=1), normal(2, 3, 5, 6, seed=2)
    keep = np.random.default_rng(len(shape)).random(shape) < 0.6
    by_head = keep[:, None] if keep.ndim == 3 else keep
    output, weights = ScaledDotProductAttention()(query, key, value, keep.astype(dtype))
    wanted = attention_cpp.scaled_dot_product_attention(query, key, value, by_head, return_weights=True)
    assert same_bits(output, wanted[0]) and same_bits(weights, wanted[1])


@pytest.mark.parametrize("bad", [2, -1, 0.5, -np.inf, np.nan])
@pytest.mark.parametrize("module", [ScaledDotProductAttention(), tutorial_module()])
def test_mask_of_other_values(module: Any, bad: float) -> None:
    """An additive mask would mean the opposite: the error names the first value, and where it is."""
    x = normal(2, 4, 8)
    mask = np.tri(4)
    mask[2, 1] = bad
    mask[3, 3] = bad
    with pytest.raises(ValueError, match=r"mask must hold only 0 .* and 1 .*found .* at \(2, 1\)"):
        module(x, x, x, mask)


def test_mask_of_twos() -> None:
    with pytest.raises(ValueError, match="found 2 at"):
        tutorial_module()(normal(2, 4, 8), normal(2, 4, 8), normal(2, 4, 8), 2 * np.tri(4, dtype=np.int64))


@pytest.mark.parametrize(
    ("query", "key", "value", "mask"),
    [
        ((3,), (3,), (3,), None),
        ((1, 1, 2, 4, 8), (1, 1, 2, 4, 8), (1, 1, 2, 4, 8), None),
        ((2, 4, 8), (4, 8), (4, 8), None),
        ((2, 4, 8), (3, 4, 8), (3, 4, 8), None),
        ((2, 4, 8), (2, 4, 7), (2, 4, 8), None),
        ((2, 4, 8), (2, 5, 8), (2, 4, 8), None),
        ((2, 4, 8), (2, 4, 8), (2, 4, 8), (3, 4)),
        ((2, 4, 8), (2, 4, 8), (2, 4, 8), (4,)),
        ((2, 4, 8), (2, 4, 8), (2, 4, 8), (3, 4, 4)),
        ((2, 4, 8), (2, 4, 8), (2, 4, 8), (1, 1, 1, 4, 4)),
    ],
)
@pytest.mark.parametrize("module", [ScaledDotProductAttention(), tutorial_module()])
def test_shapes_that_do_not_fit(
    module: Any,
    query: tuple[int, ...],
    key: tuple[int, ...],
    value: tuple[int, ...],
    mask: tuple[int, ...] | None,
) -> None:
    with pytest.raises(ValueError, match="(query|key|value|mask).*found"):
        module(normal(*query), normal(*key), normal(*value), None if mask is None else np.ones(mask))


@pytest.mark.parametrize(
    "module", [ScaledDotProductAttention(), tutorial_module(), torch_twin(batch_first=True)]
)
@pytest.mark.parametrize("argument", ["query", "key", "value"])
@pytest.mark.parametrize(
    "bad", [None, [[1.0]], 3, np.ones((2, 4, 8)), np.ones((2, 4, 8), np.int32)], ids=repr
)
def test_inputs_that_are_no_float32_arrays(module: Any, argument: str, bad: Any) -> None:
    arrays = dict.fromkeys(("query", "key", "value"), normal(2, 4, 8)) | {argument: bad}
    with pytest.raises(TypeError) as caught:
        module(**arrays)
    message = str(caught.value)
    assert argument in message and "must" in message and f"found {type(bad).__name__}" in message


# MultiHeadAttention.


@pytest.mark.parametrize(
    "options", [{}, {"bias": False}, {"kdim": 5, "vdim": 7}, {"kdim": 5}, {"vdim": 7}], ids=str
)
@pytest.mark.parametrize("initialisation", ["torch_linear", "torch_mha"])
@pytest.mark.parametrize("num_heads", [1, 2, 8])
def test_multi_head_attention(options: dict[str, Any], initialisation: str, num_heads: int) -> None:
    """What NumPy makes of the module's own parameters."""
    module = tutorial_module(8, num_heads, initialisation=initialisation, **options)
    kdim, vdim = options.get("kdim", 8), options.get("vdim", 8)
    query, key, value = normal(2, 4, 8), normal(2, 6, kdim, seed=1), normal(2, 6, vdim, seed=2)
    keep = np.random.default_rng(1).random((2, 1, 4, 6)) < 0.7
    parameters = module.parameters()
    assert list(parameters) == [name for name in NAMES if options.get("bias", True) or "bias" not in name]
    assert_near(module(query, key, value), multi_head_attention(parameters, num_heads, query, key, value))
    randomise(parameters)
    assert_near(
        module.forward(query, key, value, mask=keep),
        multi_head_attention(parameters, num_heads, query, key, value, keep=keep),
    )


def test_the_sizes_of_the_tutorial() -> None:
    """B = 2, L = 4, E = 8, H = 2: the shapes that the tutorials print."""
    module = tutorial_module(embed_dim=8, num_heads=2)
    x = normal(2, 4, 8)
    output, weights = module(x, x, x)
    assert output.shape == (2, 4, 8) and weights.shape == (2, 2, 4, 4)
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)
    assert (module.embed_dim, module.num_heads, module.kdim, module.vdim) == (8, 2, 8, 8)
    shapes = {name: array.shape for name, array in module.parameters().items()}
    assert shapes == {name: (8, 8) if "weight" in name else (8,) for name in NAMES}


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_])
def test_a_lower_triangular_mask_is_exactly_zero_above_the_diagonal(dtype: Any) -> None:
    x = normal(2, 4, 8)
    _, weights = tutorial_module()(x, x, x, np.tri(4).astype(dtype))
    above = ~np.tri(4, dtype=bool)
    assert (weights[..., above] == 0).all()
    assert (weights[..., ~above] > 0).all()
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)


def test_a_query_without_keys_gives_the_bias() -> None:
    """Weights 0, and the output is W_o's bias, bit for bit."""
    module = tutorial_module()
    x = normal(2, 4, 8)
    mask = np.ones((4, 4))
    mask[1] = 0
    output, weights = module(x, x, x, mask)
    assert (weights[:, :, 1] == 0).all()
    np.testing.assert_array_equal(output[:, 1], np.broadcast_to(module.parameters()["W_o.bias"], (2, 8)))


@pytest.mark.parametrize(
    ("sizes", "found"),
    [((8, 3), "8.*3"), ((0, 1), "0"), ((8, 0), "0"), ((-8, 2), "-8"), ((8, -2), "-2"), ((4, 8), "4.*8")],
)
@pytest.mark.parametrize("make", [MultiHeadAttention, MultiheadAttention])
def test_sizes_that_make_no_sense(make: Callable[..., Any], sizes: tuple[int, int], found: str) -> None:
    with pytest.raises(ValueError, match=f"(embed_dim|num_heads).*found.*{found}"):
        make(*sizes)


@pytest.mark.parametrize("options", [{"kdim": 0}, {"vdim": -1}])
@pytest.mark.parametrize("make", [MultiHeadAttention, MultiheadAttention])
def test_feature_sizes_that_make_no_sense(make: Callable[..., Any], options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))}.*found"):
        make(8, 2, **options)


def test_unknown_initialisation() -> None:
    with pytest.raises(
        ValueError, match="initialisation must be 'torch_linear' or 'torch_mha'; found 'xavier'"
    ):
        MultiHeadAttention(8, 2, initialisation="xavier")


def test_features_that_do_not_fit() -> None:
    module = tutorial_module(kdim=5, vdim=7)
    with pytest.raises(ValueError, match="key must have the shape.*found"):
        module(normal(2, 4, 8), normal(2, 6, 8), normal(2, 6, 7))
    with pytest.raises(ValueError, match="value must have the shape.*found"):
        module(normal(2, 4, 8), normal(2, 6, 5), normal(2, 6, 8))
