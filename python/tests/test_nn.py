"""The modules against float64 NumPy built from their own parameters, and against what PyTorch once gave."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import attention_cpp
from attention_cpp import Generator, MultiHeadAttention, MultiheadAttention, ScaledDotProductAttention

from checks import assert_judged_well, same_bits
from reference import Array, multi_head_attention

GOLDENS = Path(__file__).parents[2] / "tests" / "golden" / "goldens.npz"
SEEDS = [42, 0, 1, 7, 1234, 2026]
NAMES = [f"W_{which}.{part}" for which in "qkvo" for part in ("weight", "bias")]


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


@pytest.fixture(scope="module")
def goldens() -> dict[str, Array]:
    """tests/golden/goldens.npz, written by tests/golden/make_goldens.py."""
    with np.load(GOLDENS) as arrays:
        return dict(arrays)


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


# MultiheadAttention.


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias_kv", [False, True])
@pytest.mark.parametrize("zero_attn", [False, True])
@pytest.mark.parametrize("options", [{}, {"bias": False}, {"kdim": 5, "vdim": 7}], ids=str)
def test_torch_twin(batch_first: bool, bias_kv: bool, zero_attn: bool, options: dict[str, Any]) -> None:
    """Every option of the constructor, with masks in torch's meaning: True is blocked."""
    twin = torch_twin(batch_first=batch_first, add_bias_kv=bias_kv, add_zero_attn=zero_attn, **options)
    assert twin.batch_first is batch_first
    randomise(twin.state_dict())
    query, key, value = (
        normal(2, length, options.get(name, 8), seed=length)
        for length, name in ((4, "E"), (6, "kdim"), (6, "vdim"))
    )
    random = np.random.default_rng(5)
    masks = {
        "attn_mask": random.random((4, 4, 6)) < 0.3,
        "key_padding_mask": np.array([[False] * 6, [False] * 4 + [True] * 2]),
    }
    inputs = [x if batch_first else x.swapaxes(0, 1) for x in (query, key, value)]
    output, weights = twin(*inputs, **masks, average_attn_weights=False)
    by_head = masks | {"attn_mask": masks["attn_mask"].reshape(2, 2, 4, 6)}
    wanted = multi_head_attention(tutorial_names(twin), 2, query, key, value, **by_head, zero_attn=zero_attn)
    assert weights.shape == (2, 2, 4, 6 + bias_kv + zero_attn)
    assert_near((output if batch_first else output.swapaxes(0, 1), weights), wanted)


@pytest.mark.parametrize("mask_dtype", [np.bool_, np.float32, np.float64, np.float16])
@pytest.mark.parametrize("padding_dtype", [None, np.bool_, np.float32])
@pytest.mark.parametrize("rank", [2, 3])
def test_masks_in_the_meaning_of_torch(rank: int, padding_dtype: Any, mask_dtype: Any) -> None:
    twin = torch_twin(batch_first=True)
    query, key = normal(2, 4, 8), normal(2, 6, 8)
    random = np.random.default_rng(rank)
    blocked = random.random((4, 6) if rank == 2 else (4, 4, 6)) < 0.3
    mask = blocked if mask_dtype == np.bool_ else np.where(blocked, -np.inf, 0.5).astype(mask_dtype)
    padding = None
    if padding_dtype is not None:
        padded = np.array([[False] * 6, [True] * 3 + [False] * 3])
        padding = (
            padded if padding_dtype == np.bool_ else np.where(padded, -np.inf, -0.25).astype(padding_dtype)
        )
    found = twin(query, key, key, attn_mask=mask, key_padding_mask=padding, average_attn_weights=False)
    by_head = mask if rank == 2 else mask.reshape(2, 2, 4, 6)
    wanted = multi_head_attention(
        tutorial_names(twin), 2, query, key, key, attn_mask=by_head, key_padding_mask=padding
    )
    assert_near(found, wanted)
    blocked_cells = np.broadcast_to(blocked if rank == 2 else blocked.reshape(2, 2, 4, 6), (2, 2, 4, 6))
    assert (found[1][blocked_cells] == 0).all()


def test_unbatched() -> None:
    """(L, E) in, (L, E) and (L, S) out; a padding mask of (S), a mask of (L, S) or (H, L, S)."""
    twin = torch_twin()
    query, key = normal(4, 8), normal(6, 8)
    padding = np.array([False] * 5 + [True])
    mask = np.random.default_rng(1).random((2, 4, 6)) < 0.3
    output, weights = twin(query, key, key, padding, attn_mask=mask, average_attn_weights=False)
    wanted = multi_head_attention(
        tutorial_names(twin),
        2,
        query[None],
        key[None],
        key[None],
        attn_mask=mask[None],
        key_padding_mask=padding[None],
    )
    assert output.shape == (4, 8) and weights.shape == (2, 4, 6)
    assert_near((output, weights), (wanted[0][0], wanted[1][0]))
    assert twin(query, key, key)[1].shape == (4, 6)


@pytest.mark.parametrize("batch_first", [False, True])
def test_weights_averaged_by_head_or_none(batch_first: bool) -> None:
    """What is asked of the weights changes no bit of the output."""
    twin = torch_twin(batch_first=batch_first)
    x = normal(3, 4, 8)
    batch, length = (3, 4) if batch_first else (4, 3)
    output, mean = twin(x, x, x)
    by_head_output, by_head = twin(x, x, x, average_attn_weights=False)
    without, none = twin(x, x, x, need_weights=False)
    assert mean.shape == (batch, length, length) and by_head.shape == (batch, 2, length, length)
    np.testing.assert_allclose(mean, by_head.mean(axis=1), atol=1e-7)
    assert none is None
    assert same_bits(output, by_head_output) and same_bits(output, without)


def test_is_causal_is_a_hint() -> None:
    """It needs attn_mask, which is applied as it is."""
    twin = torch_twin(batch_first=True)
    x = normal(2, 4, 8)
    causal = ~np.tri(4, dtype=bool)
    with_hint, without = (twin(x, x, x, attn_mask=causal, is_causal=hint) for hint in (True, False))
    assert all(same_bits(a, b) for a, b in zip(with_hint, without, strict=True))
    with pytest.raises(ValueError, match="is_causal must come with attn_mask; found None"):
        twin(x, x, x, is_causal=True)


@pytest.mark.parametrize(
    ("error", "masks", "argument"),
    [
        (TypeError, {"key_padding_mask": np.ones((2, 6), int)}, "key_padding_mask"),
        (TypeError, {"attn_mask": np.ones((4, 6), int)}, "attn_mask"),
        (TypeError, {"attn_mask": [[True]]}, "attn_mask"),
        (TypeError, {"key_padding_mask": "all"}, "key_padding_mask"),
        (ValueError, {"key_padding_mask": np.zeros((2, 5), bool)}, "key_padding_mask"),
        (ValueError, {"key_padding_mask": np.zeros((1, 6), bool)}, "key_padding_mask"),
        (ValueError, {"key_padding_mask": np.zeros((6,), bool)}, "key_padding_mask"),
        (ValueError, {"attn_mask": np.zeros((4, 5), bool)}, "attn_mask"),
        (ValueError, {"attn_mask": np.zeros((3, 4, 6), bool)}, "attn_mask"),
    ],
)
def test_masks_that_do_not_fit(error: type[BaseException], masks: dict[str, Any], argument: str) -> None:
    twin = torch_twin(batch_first=True)
    with pytest.raises(error, match=f"{argument} must.*found"):
        twin(normal(2, 4, 8), normal(2, 6, 8), normal(2, 6, 8), **masks)


@pytest.mark.parametrize(
    "shape", [(2, 4, 6), (1, 4, 6), (6,), (), (1, 6), (2, 2, 4, 6), (2, 1, 4, 6)], ids=str
)
def test_masks_of_shapes_that_torch_refuses(shape: tuple[int, ...]) -> None:
    """attn_mask is (L, S) or (B * H, L, S): another shape is refused, and not guessed at."""
    twin = torch_twin(batch_first=True)
    with pytest.raises(ValueError, match="attn_mask must.*found"):
        twin(normal(2, 4, 8), normal(2, 6, 8), normal(2, 6, 8), attn_mask=np.zeros(shape, bool))


def test_dropout_is_refused() -> None:
    with pytest.raises(ValueError, match="dropout must be 0 .*found 0.1"):
        MultiheadAttention(8, 2, 0.1)


def test_state_dict_has_the_names_and_shapes_of_torch() -> None:
    shapes = {name: array.shape for name, array in torch_twin(add_bias_kv=True).state_dict().items()}
    assert shapes == {
        "in_proj_weight": (24, 8),
        "in_proj_bias": (24,),
        "out_proj.weight": (8, 8),
        "out_proj.bias": (8,),
        "bias_k": (1, 1, 8),
        "bias_v": (1, 1, 8),
    }
    shapes = {
        name: array.shape for name, array in torch_twin(kdim=5, vdim=7, bias=False).state_dict().items()
    }
    assert shapes == {
        "q_proj_weight": (8, 8),
        "k_proj_weight": (8, 5),
        "v_proj_weight": (8, 7),
        "out_proj.weight": (8, 8),
    }


def test_the_twins_inputs_may_have_any_strides() -> None:
    before = attention_cpp.copies()
    twin = torch_twin(batch_first=True)
    x = normal(4, 3, 16)
    view = x.swapaxes(0, 1)[::-1, :, ::2]
    dense = np.ascontiguousarray(view)
    assert same_bits(twin(view, view, view)[0], twin(dense, dense, dense)[0])
    assert attention_cpp.copies() == before


# Parameters.


MODULES: list[tuple[Callable[[], Any], str, str]] = [
    (tutorial_module, "parameters", "load_parameters"),
    (torch_twin, "state_dict", "load_state_dict"),
]
every_module = pytest.mark.parametrize(("make", "parameters", "load"), MODULES, ids=["tutorial", "torch"])


@every_module
def test_parameters_write_into_the_module(make: Callable[[], Any], parameters: str, load: str) -> None:
    """The arrays are the module's own memory, each time they are asked for."""
    module = make()
    x = normal(4, 2, 8)
    before = module(x, x, x)[0]
    arrays = getattr(module, parameters)()
    for array in arrays.values():
        assert array.dtype == np.float32 and array.flags.writeable
        array *= 2
    after = module(x, x, x)[0]
    assert not np.allclose(before, after)
    assert all(same_bits(array, getattr(module, parameters)()[name]) for name, array in arrays.items())
    for array in getattr(module, parameters)().values():
        array /= 2
    assert same_bits(module(x, x, x)[0], before)


@every_module
def test_parameters_keep_the_module_alive(make: Callable[[], Any], parameters: str, load: str) -> None:
    arrays = getattr(make(), parameters)()
    copies = {name: array.copy() for name, array in arrays.items()}
    part = next(iter(arrays.values()))[1:3, ::2]
    part_copy = part.copy()
    for _ in range(3):
        gc.collect()
        np.full(100_000, np.nan, np.float32)
    assert all(same_bits(array, copies[name]) for name, array in arrays.items())
    del arrays
    gc.collect()
    assert same_bits(part, part_copy)


@every_module
@pytest.mark.parametrize(
    "convert", [np.float32, np.float64, np.float16], ids=lambda convert: convert.__name__
)
def test_loading(make: Callable[[], Any], parameters: str, load: str, convert: Any) -> None:
    """Floating-point arrays of any width and any strides are copied."""
    module = make()
    state = {
        n: np.asfortranarray(normal(*a.shape)).astype(convert)
        for n, a in getattr(module, parameters)().items()
    }
    getattr(module, load)(state)
    for name, array in getattr(module, parameters)().items():
        np.testing.assert_array_equal(array, state[name].astype(np.float32))
        assert not np.shares_memory(array, state[name])


@every_module
def test_a_module_loads_what_another_has(make: Callable[[], Any], parameters: str, load: str) -> None:
    module, other = make(), make()
    randomise(getattr(module, parameters)())
    getattr(other, load)(getattr(module, parameters)())
    x = normal(4, 2, 8)
    assert all(same_bits(a, b) for a, b in zip(module(x, x, x), other(x, x, x), strict=True))


def test_a_module_loads_views_of_itself() -> None:
    """Two parameters that change places: each gets what the other was before the call."""
    module = tutorial_module()
    views = module.parameters()
    q, k = views["W_q.weight"].copy(), views["W_k.weight"].copy()
    module.load_parameters(views | {"W_q.weight": views["W_k.weight"], "W_k.weight": views["W_q.weight"]})
    assert same_bits(views["W_q.weight"], k) and same_bits(views["W_k.weight"], q)


@every_module
def test_an_error_while_loading_changes_nothing(make: Callable[[], Any], parameters: str, load: str) -> None:
    """Names, shapes and dtypes are checked before the first number is copied."""
    module = make()
    arrays = getattr(module, parameters)()
    before = {name: array.copy() for name, array in arrays.items()}
    good = {name: np.zeros_like(array) for name, array in arrays.items()}
    last = list(good)[-1]
    missing = {name: array for name, array in good.items() if name != last}
    cases: list[tuple[type[BaseException], Any, str]] = [
        (ValueError, missing, rf"1 missing.*{last}"),
        (ValueError, {}, "missing"),
        (ValueError, good | {"W_x.weight": good[last]}, "1 unknown.*W_x.weight"),
        (ValueError, missing | {last.upper(): good[last]}, "missing.*unknown"),
        (ValueError, good | {last: np.zeros(7, np.float32)}, rf"{last} must have the shape.*found \(7,\)"),
        (ValueError, good | {last: good[last][None]}, f"{last} must have the shape"),
        (
            TypeError,
            good | {last: good[last].astype(int)},
            f"{last} must hold floating-point numbers; found int64",
        ),
        (TypeError, good | {last: good[last].astype(complex)}, f"{last} must hold.*found complex128"),
        (TypeError, good | {last: good[last].astype(object)}, f"{last} must hold.*found object"),
        (ValueError, good | {last: None}, f"{last} must"),
    ]
    for error, state, message in cases:
        with pytest.raises(error, match=message):
            getattr(module, load)(state)
        assert all(same_bits(array, before[name]) for name, array in arrays.items())


@every_module
@pytest.mark.parametrize("state", [None, [1.0], 3], ids=repr)
def test_loading_what_is_no_mapping(make: Callable[[], Any], parameters: str, load: str, state: Any) -> None:
    with pytest.raises(TypeError, match=f"found {type(state).__name__}"):
        getattr(make(), load)(state)


def test_from_linears() -> None:
    """Anything with weight and bias is a layer."""

    class Layer:
        def __init__(self, weight: Array, bias: Array | None) -> None:
            self.weight, self.bias = weight, bias

    layers = [Layer(normal(8, n, seed=n), normal(8, seed=n)) for n in (8, 5, 7, 8)]
    module = MultiHeadAttention.from_linears(2, *layers)
    assert (module.embed_dim, module.num_heads, module.kdim, module.vdim) == (8, 2, 5, 7)
    for name, layer in zip(("W_q", "W_k", "W_v", "W_o"), layers, strict=True):
        assert same_bits(module.parameters()[f"{name}.weight"], layer.weight)
        assert same_bits(module.parameters()[f"{name}.bias"], layer.bias)
    without = [Layer(layer.weight, None) for layer in layers]
    assert list(MultiHeadAttention.from_linears(2, *without).parameters()) == NAMES[::2]
    with pytest.raises(ValueError, match="bias"):
        MultiHeadAttention.from_linears(2, *layers[:3], without[3])


def test_from_linears_draws_nothing() -> None:
    """The generator that other layers draw from is left as it was."""

    class Layer:
        weight, bias = normal(8, 8), None

    attention_cpp.manual_seed(5)
    expected = MultiHeadAttention(8, 2).parameters()["W_q.weight"].copy()
    attention_cpp.manual_seed(5)
    MultiHeadAttention.from_linears(2, Layer, Layer, Layer, Layer)
    assert same_bits(MultiHeadAttention(8, 2).parameters()["W_q.weight"], expected)


# Random numbers.


def flat(parameters: dict[str, Array]) -> Array:
    return np.concatenate([array.ravel() for array in parameters.values()])


@pytest.mark.parametrize("make", [MultiHeadAttention, MultiheadAttention])
def test_the_same_seed_gives_the_same_parameters(make: Callable[..., Any]) -> None:
    """By a generator of one's own, and by manual_seed."""

    def drawn(module: Any) -> Array:
        return flat(module.parameters() if make is MultiHeadAttention else module.state_dict())

    first, second = (drawn(make(8, 2, generator=Generator(9))) for _ in range(2))
    assert same_bits(first, second)
    attention_cpp.manual_seed(9)
    assert same_bits(drawn(make(8, 2)), first)
    assert not same_bits(drawn(make(8, 2)), first), "the default generator goes on"
    assert not same_bits(drawn(make(8, 2, generator=Generator(10))), first)


def test_a_generator_goes_on_and_starts_again() -> None:
    """One stream serves one module after the other; manual_seed returns the generator itself."""
    generator = Generator(4)
    first, second = (flat(MultiHeadAttention(8, 2, generator=generator).parameters()) for _ in range(2))
    assert not same_bits(first, second)
    assert generator.manual_seed(4) is generator
    assert same_bits(flat(MultiHeadAttention(8, 2, generator=generator).parameters()), first)
    attention_cpp.manual_seed(1)
    assert same_bits(flat(MultiHeadAttention(8, 2, generator=generator).parameters()), second)


def test_manual_seed_leaves_other_generators_alone() -> None:
    generator = Generator(4)
    attention_cpp.manual_seed(77)
    expected = flat(MultiHeadAttention(8, 2, generator=Generator(4)).parameters())
    assert same_bits(flat(MultiHeadAttention(8, 2, generator=generator).parameters()), expected)


def test_seeds() -> None:
    """From -2^63 to 2^64 - 1, as torch takes them; the stream depends on the low 32 bits."""
    assert Generator().initial_seed() == 67280421310721
    assert Generator(5).initial_seed() == 5
    assert Generator(-1).initial_seed() == 2**64 - 1
    assert Generator(-(2**63)).initial_seed() == 2**63
    drawn = [
        flat(MultiHeadAttention(8, 2, generator=Generator(seed)).parameters()) for seed in (42, 2**32 + 42)
    ]
    assert same_bits(*drawn)
    for seed in (2**64, -(2**63) - 1):
        for call in (Generator, attention_cpp.manual_seed, Generator(1).manual_seed):
            with pytest.raises(ValueError, match=rf"seed must lie in .*found {seed}"):
                call(seed)


@pytest.mark.parametrize("bad", [1.5, "one", None, [1]], ids=repr)
def test_seeds_of_another_type(bad: Any) -> None:
    for call in (Generator, attention_cpp.manual_seed):
        with pytest.raises(TypeError, match="seed"):
            call(bad)


# What PyTorch gave: tests/golden/make_goldens.py.


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("heads", [1, 2])
def test_golden_parameters_and_weights(goldens: dict[str, Array], seed: int, heads: int) -> None:
    """Parameters bit for bit; weights and outputs within 1e-6."""
    module = MultiHeadAttention(8, heads, generator=Generator(seed))
    assert same_bits(flat(module.parameters()), goldens[f"experiment.{seed}.parameters"])
    for name in ("pattern", "fibonacci", "sequential"):
        tokens = goldens[f"experiment.{name}.tokens"][None]
        output, weights = module(tokens, tokens, tokens)
        golden = f"experiment.{seed}.{heads}.{name}"
        np.testing.assert_allclose(weights[0], goldens[f"{golden}.weights"], rtol=0, atol=1e-6)
        np.testing.assert_allclose(output[0], goldens[f"{golden}.output"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("bias", [True, False])
def test_golden_cross_attention(goldens: dict[str, Array], bias: bool) -> None:
    """Other sizes of keys and values, a padding mask joined with a causal one, with and without bias."""
    case = {
        name: goldens[f"cross.{'bias' if bias else 'no_bias'}.{name}"]
        for name in ("parameters", "query", "key", "value", "mask", "output", "weights")
    }
    module = MultiHeadAttention(12, 3, kdim=5, vdim=7, bias=bias, generator=Generator(11))
    assert same_bits(flat(module.parameters()), case["parameters"])
    output, weights = module(case["query"], case["key"], case["value"], case["mask"])
    np.testing.assert_allclose(weights, case["weights"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(output, case["output"], rtol=0, atol=1e-6)
    assert (weights[np.broadcast_to(case["mask"] == 0, weights.shape)] == 0).all()
