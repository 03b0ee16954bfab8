"""Random problems from a seed: the same seed gives the same problem, whatever else is drawn."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reference import Array

Shape = tuple[int, ...]

LAYOUTS = ("dense", "transposed", "packed", "sliced", "expanded")


def blocks_of_seeds(first: int, count: int, size: int) -> list[range]:
    """Seeds in blocks, each for one test.

    The environment has the last word: ATTENTION_PROBLEMS says how many problems there are, ATTENTION_PROBLEM
    names the seed of the only one.
    """
    if "ATTENTION_PROBLEM" in os.environ:
        seed = int(os.environ["ATTENTION_PROBLEM"])
        return [range(seed, seed + 1)]
    end = first + int(os.environ.get("ATTENTION_PROBLEMS", count))
    return [range(begin, min(begin + size, end)) for begin in range(first, end, size)]


def laid_out(array: Array, layout: str) -> Array:
    """The same elements behind other strides.

    transposed: the two dimensions before the last change places in memory, (B, L, H, D).
    packed: the last dimension is a part of a longer one, as in a packed QKV.
    sliced: every second element of every dimension but the last.
    reversed: all strides are negative.
    expanded: the first dimension repeats its first entry with a stride of 0.
    """
    if layout == "transposed" and array.ndim >= 3:
        return np.ascontiguousarray(np.swapaxes(array, -2, -3)).swapaxes(-2, -3)
    if layout == "packed" and array.ndim >= 1:
        features = array.shape[-1]
        buffer = np.full((*array.shape[:-1], features + 5), 7, array.dtype)
        view = buffer[..., 2 : 2 + features]
        view[...] = array
        return view
    if layout == "sliced" and array.ndim >= 2:
        buffer = np.full((*(2 * extent for extent in array.shape[:-1]), array.shape[-1]), 7, array.dtype)
        view = buffer[tuple([slice(None, None, 2)] * (array.ndim - 1))]
        view[...] = array
        return view
    if layout == "reversed":
        backwards = tuple([slice(None, None, -1)] * array.ndim)
        return np.ascontiguousarray(array[backwards])[backwards]
    if layout == "expanded" and array.ndim >= 2 and array.shape[0] > 0:
        first = np.ascontiguousarray(array[0])
        return np.lib.stride_tricks.as_strided(first, array.shape, (0, *first.strides))
    return np.ascontiguousarray(array)


@dataclass(frozen=True)
class SdpaProblem:
    """Arguments for attention, and the names of what is special about them."""

    seed: int
    query: Array
    key: Array
    value: Array
    attn_mask: Array | None = None
    options: dict[str, Any] = field(default_factory=dict)
    categories: tuple[str, ...] = ()

    def __str__(self) -> str:
        mask = None if self.attn_mask is None else f"{self.attn_mask.dtype} {self.attn_mask.shape}"
        return (
            f"problem {self.seed}: query {self.query.shape}, key {self.key.shape}, value {self.value.shape}, "
            f"mask {mask}, {self.options}, {', '.join(self.categories)}"
        )


class _Draws:
    """Small choices from one stream."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def chance(self, probability: float) -> bool:
        return bool(self.random.random() < probability)

    def choice(self, choices: Any) -> Any:
        return choices[int(self.random.integers(len(choices)))]

    def between(self, low: int, high: int) -> int:
        return int(self.random.integers(low, high + 1))

    def length(self) -> int:
        """Mostly small and odd, now and then past the blocks of a kernel."""
        return self.choice([1, 2, 3, 5, 7, 8, 13, 16, 17, 31, 33, 64, 65, 100, 129])

    def normal(self, shape: Shape, size: float = 1.0) -> Array:
        return (self.random.standard_normal(shape) * size).astype(np.float32)

    def kept(self, shape: Shape) -> Array:
        """A mask of bools; in one of four there are rows without a key."""
        keep = self.random.random(shape) < self.choice([0.3, 0.6, 0.9])
        if keep.ndim >= 2 and self.chance(0.25) and keep.size:
            keep[..., self.between(0, keep.shape[-2] - 1), :] = False
        return keep

    def mask(self, shape: Shape, kind: str) -> Array:
        if kind == "bool":
            return self.kept(shape)
        numbers = self.normal(shape, self.choice([1.0, 5.0]))
        if self.chance(0.5):
            numbers[~self.kept(shape)] = self.choice([-np.inf, -np.inf, np.finfo(np.float32).min])
        return numbers


def _some_ones(draws: _Draws, shape: Shape) -> Shape:
    """The shape with some of its extents as 1."""
    return tuple(1 if draws.chance(0.3) else extent for extent in shape)


def torch_problem(seed: int) -> SdpaProblem:
    """A problem over what ``torch.nn.functional.scaled_dot_product_attention`` takes, in float32."""
    draws = _Draws(seed)
    names: list[str] = []
    rank = draws.choice([2, 3, 4, 4, 4, 5])
    names.append(f"rank {rank}")
    outer = tuple(draws.between(1, 3) for _ in range(rank - 2))
    queries, features = draws.length(), draws.choice([1, 2, 3, 4, 8, 16, 17, 33, 64])
    keys = queries if draws.chance(0.3) else draws.length()
    value_features = features
    if draws.chance(0.4):
        value_features = draws.choice([1, 3, 5, 8, 24, 65])
    if draws.chance(0.03):
        names.append("empty")
        queries, keys = draws.choice([(0, keys), (queries, 0), (0, 0)])
    query_outer = key_outer = outer
    options: dict[str, Any] = {}
    if rank >= 3 and draws.chance(0.25):
        names.append("grouped heads")
        options["enable_gqa"] = True
        query_outer = (*outer[:-1], outer[-1] * draws.between(1, 4))
    elif rank >= 3 and draws.chance(0.1):
        names.append("keys broadcast over the batch")
        key_outer = _some_ones(draws, outer)
    size = draws.choice([1.0, 1.0, 1.0, 3.0])
    if size > 1:
        names.append("large scores")
    query = draws.normal((*query_outer, queries, features), size)
    key = draws.normal((*key_outer, keys, features), size)
    value = draws.normal((*key_outer, keys, value_features))
    if value_features != features:
        names.append("Ev differs from E")
    if queries != keys:
        names.append("L differs from S")

    attn_mask = None
    kind = draws.choice(["no mask", "causal", "bool mask", "bool mask", "float mask", "float mask"])
    names.append(kind)
    if kind == "causal":
        options["is_causal"] = True
    elif kind != "no mask":
        cells = (*query_outer, queries, keys)
        mask_rank = draws.between(2, rank)
        names.append(f"mask of rank {mask_rank}")
        shape = cells[len(cells) - mask_rank :]
        if draws.chance(0.5):
            shape = _some_ones(draws, shape)
            names.append("mask broadcasts")
        attn_mask = draws.mask(shape, kind.split()[0])
    if draws.chance(0.3):
        options["scale"] = draws.choice([0.0, 0.05, 0.3, 1.0, 2.5, -0.7])
        names.append("scale given")
    arrays = []
    for array in (query, key, value, attn_mask):
        layout = draws.choice(LAYOUTS) if draws.chance(0.5) else "dense"
        if array is not None and layout != "dense":
            names.append("strided")
            array = laid_out(array, layout)
        arrays.append(array)
    query, key, value, attn_mask = arrays
    return SdpaProblem(seed, query, key, value, attn_mask, options, tuple(dict.fromkeys(names)))


def library_problem(seed: int) -> SdpaProblem:
    """A problem over all options of the library, in float32, float64 or float16."""
    draws = _Draws(seed)
    rank = draws.choice([2, 3, 4, 4, 4, 5, 6])
    dtype = draws.choice([np.float32, np.float32, np.float64, np.float16])
    outer = tuple(draws.between(1, 3) for _ in range(rank - 2))
    queries = draws.length()
    keys = queries if draws.chance(0.3) else draws.length()
    features, value_features = draws.choice([1, 3, 8, 16, 33, 64]), draws.choice([1, 5, 8, 16, 40])
    query_outer = key_outer = outer
    options: dict[str, Any] = {}
    if rank >= 3 and draws.chance(0.3):
        options["enable_gqa"] = True
        query_outer = (*outer[:-1], outer[-1] * draws.between(1, 4))
    elif rank >= 3 and draws.chance(0.3):
        key_outer = _some_ones(draws, outer)
    query = draws.normal((*query_outer, queries, features)).astype(dtype)
    key = draws.normal((*key_outer, keys, features)).astype(dtype)
    value = draws.normal((*key_outer, keys, value_features)).astype(dtype)
    heads = query_outer[-1] if query_outer else 1
    batch = query_outer[-2] if len(query_outer) >= 2 else 1

    positions = False
    attn_mask = None
    if draws.chance(0.4):
        options["is_causal"] = positions = True
    elif draws.chance(0.5):
        cells = (*query_outer, queries, keys)
        shape = _some_ones(draws, cells[len(cells) - draws.between(1, rank) :])
        attn_mask = draws.mask(shape, draws.choice(["bool", "float"]))
        if attn_mask.dtype != bool and draws.chance(0.3):
            attn_mask = attn_mask.astype(np.float64)
    if draws.chance(0.3):
        options["window"] = (draws.choice([-1, 0, 2, 9]), draws.choice([-1, 0, 3]))
        positions = True
    if draws.chance(0.25):
        options["alibi_slopes"] = np.abs(draws.normal((heads,), 0.3)).astype(
            draws.choice([np.float32, np.float64])
        )
        positions = True
    if positions:
        options |= draws.choice(
            [
                {"causal_alignment": "top_left"},
                {"causal_alignment": "bottom_right"},
                {"causal_offset": draws.between(-5, 40)},
            ]
        )
    if draws.chance(0.2):
        options["softcap"] = draws.choice([0.5, 3.0, 30.0])
    if draws.chance(0.25):
        options["sinks"] = draws.normal((heads,)).astype(draws.choice([np.float32, np.float64]))
    if rank <= 4 and draws.chance(0.25):
        lengths = draws.random.integers(0, keys + 1, batch)
        options["key_lengths"] = lengths.astype(draws.choice([np.int32, np.int64]))
    if draws.chance(0.2):
        options["scale"] = draws.choice([0.0, 0.2, 1.0, -0.5])
    layouts = (*LAYOUTS, "reversed", "dense", "dense")
    query, key, value = (laid_out(array, draws.choice(layouts)) for array in (query, key, value))
    if attn_mask is not None:
        attn_mask = laid_out(attn_mask, draws.choice(layouts))
    options["path"] = draws.choice(["automatic", "reference"] + ["fused"] * (dtype != np.float64))
    options["threads"] = draws.choice([0, 1, 2, 3])
    return SdpaProblem(seed, query, key, value, attn_mask, options)


@dataclass(frozen=True)
class MhaProblem:
    """A ``torch.nn.MultiheadAttention`` and a call of it."""

    seed: int
    module: dict[str, Any]
    """What its constructor takes."""
    query: Array
    key: Array
    value: Array
    """(B, L, E), (B, S, kdim), (B, S, vdim); B is 1 where there is no batch."""
    batched: bool
    attn_mask: Array | None
    """(L, S) or (B * H, L, S)."""
    key_padding_mask: Array | None
    """(B, S)."""
    call: dict[str, Any]
    """need_weights, average_attn_weights and is_causal."""
    training: bool
    self_attention: bool
    categories: tuple[str, ...] = ()

    def __str__(self) -> str:
        mask = None if self.attn_mask is None else f"{self.attn_mask.dtype} {self.attn_mask.shape}"
        padding = None if self.key_padding_mask is None else self.key_padding_mask.dtype
        return (
            f"problem {self.seed}: {self.module}, query {self.query.shape}, key {self.key.shape}, "
            f"mask {mask}, padding {padding}, {self.call}, {', '.join(self.categories)}"
        )


def mha_problem(seed: int) -> MhaProblem:
    """A problem over what ``torch.nn.MultiheadAttention`` takes, without dropout."""
    draws = _Draws(seed)
    names: list[str] = []

    def option(probability: float, name: str) -> bool:
        chosen = draws.chance(probability)
        if chosen:
            names.append(name)
        return chosen

    heads = draws.choice([1, 2, 3, 4])
    embed_dim = heads * draws.choice([1, 2, 4, 5, 8])
    batched = not option(0.2, "unbatched")
    batch = draws.between(1, 3) if batched else 1
    self_attention = option(0.4, "self-attention")
    queries = draws.choice([1, 2, 3, 5, 8, 17, 33])
    keys = queries if self_attention else draws.choice([1, 2, 4, 7, 16, 31])
    module: dict[str, Any] = {"embed_dim": embed_dim, "num_heads": heads}
    module["bias"] = not option(0.2, "bias=False")
    module["add_bias_kv"] = option(0.2, "add_bias_kv")
    module["add_zero_attn"] = option(0.2, "add_zero_attn")
    module["batch_first"] = option(0.5, "batch_first")
    kdim = vdim = embed_dim
    if not self_attention and option(0.5, "kdim, vdim"):
        kdim, vdim = draws.choice([1, 3, 8]), draws.choice([2, 5, 8])
        module |= {"kdim": kdim, "vdim": vdim}
    training = draws.chance(0.5)
    names.append("training mode" if training else "evaluation mode")

    call: dict[str, Any] = {
        "need_weights": not option(0.3, "need_weights=False"),
        "average_attn_weights": not option(0.5, "average_attn_weights=False"),
        "is_causal": False,
    }
    attn_mask = None
    kind = draws.choice(["no mask", "bool mask", "float mask", "causal mask and hint"])
    names.append(kind)
    if kind == "causal mask and hint":
        blocked = np.triu(np.ones((queries, keys), bool), 1)
        numbers = np.where(blocked, np.float32(-np.inf), np.float32(0))
        attn_mask = blocked if draws.chance(0.5) else numbers
        call["is_causal"] = True
    elif kind != "no mask":
        shape: Shape = (queries, keys)
        if draws.chance(0.5):
            shape = (batch * heads, queries, keys)
        names.append(f"mask of rank {len(shape)}")
        attn_mask = draws.mask(shape, kind.split()[0])
        if attn_mask.dtype == bool:
            attn_mask = ~attn_mask
    key_padding_mask = None
    if draws.chance(0.35):
        names.append("padding")
        padded = ~draws.kept((batch, keys))
        numbers = draws.normal((batch, keys))
        numbers[padded] = -np.inf
        key_padding_mask = draws.choice([padded, numbers])
        names.append(f"{'bool' if key_padding_mask is padded else 'float'} padding")
    query = draws.normal((batch, queries, embed_dim))
    key = query if self_attention else draws.normal((batch, keys, kdim))
    value = query if self_attention else draws.normal((batch, keys, vdim))
    return MhaProblem(
        seed,
        module,
        query,
        key,
        value,
        batched,
        attn_mask,
        key_padding_mask,
        call,
        training,
        self_attention,
        tuple(dict.fromkeys(names)),
    )
