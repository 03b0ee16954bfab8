"""MultiheadAttention against float64 NumPy built from its own parameters, without PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import attention_cpp
from attention_cpp import MultiheadAttention

from checks import same_bits
from modules import assert_near, normal, randomise, torch_twin, tutorial_names
from reference import multi_head_attention


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
