"""Attention in NumPy, as docs/semantics.md defines it: what the tests hold the library against.

Nothing here is fast, and nothing is shared with the library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

EPS32 = float(np.finfo(np.float32).eps)
EPS64 = float(np.finfo(np.float64).eps)
ABSORBING = 1e30


@dataclass(frozen=True)
class Attention:
    """What attention over (..., H, L, S) cells is."""

    output: Array
    """(..., H, L, Ev)."""
    weights: Array
    """(..., H, L, S)."""
    lse: Array
    """(..., H, L)."""
    visible: NDArray[np.bool_]
    """(..., H, L, S): whether a query sees a key."""
    largest_term: float
    """The largest sum of |q| |k|, or bias, behind a score that counts: its rounding is relative to it."""

    @property
    def sees_nothing(self) -> NDArray[np.bool_]:
        """(..., H, L): the rows that see no key."""
        return ~self.visible.any(axis=-1)


def _offset(
    query_count: int, key_count: int, alignment: str | None, offset: int | None, key_lengths: Array | None
) -> Array:
    """The key position of query 0, as an array that broadcasts to (..., H, L, S)."""
    if offset is not None:
        return np.array(offset)
    if alignment != "bottom_right":
        return np.array(0)
    ends = np.array([key_count]) if key_lengths is None else np.asarray(key_lengths, np.int64)
    return (ends - query_count).reshape(-1, 1, 1, 1)


def _by_head(values: Array | None, real: type) -> Array | None:
    return None if values is None else np.asarray(values, real).reshape(-1, 1, 1)


def attention(
    query: Array,
    key: Array,
    value: Array,
    attn_mask: Array | None = None,
    *,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    causal_alignment: str | None = None,
    causal_offset: int | None = None,
    window: tuple[int, int] | None = None,
    softcap: float = 0.0,
    alibi_slopes: Array | None = None,
    sinks: Array | None = None,
    key_lengths: Array | None = None,
    real: type = np.float64,
    weights_type: type | None = None,
) -> Attention:
    """Attention in arithmetic of `real`: float64 is the truth, float32 is naive code to measure by.

    The options are those of ``attention_cpp.scaled_dot_product_attention``. `weights_type` rounds the
    weights once more before they multiply the values, as naive code in 16 bits does.
    """
    rank = max(query.ndim, key.ndim, value.ndim)
    q, k, v = (np.asarray(array, real) for array in (query, key, value))
    if enable_gqa:
        k, v = (np.repeat(array, q.shape[-3] // array.shape[-3], axis=-3) for array in (k, v))
    outer = np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    outer = (1,) * (2 - len(outer)) + outer
    queries, keys = q.shape[-2], k.shape[-2]
    cells = (*outer, queries, keys)

    factor = real(scale if scale is not None else 1 / np.sqrt(q.shape[-1]) if q.shape[-1] else 1)
    scores = np.broadcast_to((q * factor) @ np.swapaxes(k, -1, -2), cells)
    if softcap > 0:
        scores = real(softcap) * np.tanh(scores / real(softcap))
    visible = np.ones(cells, bool)
    terms = [np.broadcast_to(np.abs(q * factor) @ np.swapaxes(np.abs(k), -1, -2), cells)]

    offset = _offset(queries, keys, causal_alignment, causal_offset, key_lengths)
    at = np.arange(queries)[:, None] + offset  # each query's key position
    j = np.arange(keys)
    if is_causal:
        visible &= j <= at
    left, right = (-1, -1) if window is None else window
    if left >= 0:
        visible &= j >= at - left
    if right >= 0:
        visible &= j <= at + right
    slopes = _by_head(alibi_slopes, real)
    if slopes is not None:
        bias = -slopes * np.abs(at - j).astype(real)
        scores = scores + bias
        terms.append(np.abs(bias))
    if key_lengths is not None:
        visible &= j < np.asarray(key_lengths).reshape(-1, 1, 1, 1)
    if attn_mask is not None:
        if attn_mask.dtype == bool:
            visible &= attn_mask
        else:
            visible &= attn_mask != -np.inf
            bias = np.where(attn_mask == -np.inf, 0, attn_mask).astype(real)
            scores = scores + bias
            terms.append(np.abs(bias))

    scores = np.where(visible, scores, -np.inf)
    head_sinks = _by_head(sinks, real)
    largest = scores.max(axis=-1, keepdims=True, initial=-np.inf)
    if head_sinks is not None:
        largest = np.maximum(largest, head_sinks)
    largest = np.where(largest == -np.inf, 0, largest)
    powers = np.exp(scores - largest)
    total = powers.sum(axis=-1, keepdims=True)
    if head_sinks is not None:
        total = total + np.exp(head_sinks - largest)
    with np.errstate(divide="ignore"):
        lse = (largest + np.log(total))[..., 0]
    weights = powers / np.where(total == 0, 1, total)
    factors = weights if weights_type is None else weights.astype(weights_type).astype(real)
    if np.isfinite(v).all():
        output = factors @ v
    else:  # 0 times NaN adds nothing
        products = np.where(visible[..., None], factors[..., None] * v[..., None, :, :], 0)
        output = products.sum(axis=-2)

    # Numbers near the lowest absorb whatever they are added to, and their rounding shows nowhere.
    counts = weights > EPS32**2
    sizes = [np.broadcast_to(term, cells)[counts] for term in terms]
    largest_term = max(float(size[size < ABSORBING].max(initial=0)) for size in sizes)
    drop = (0,) * max(0, len(cells) - max(rank, 2))  # dimensions that no argument has
    return Attention(output[drop], weights[drop], lse[drop], visible[drop], largest_term)


def linear(x: Array, weight: Array, bias: Array | None) -> Array:
    """x weight^T + bias in float64."""
    product = np.asarray(x, np.float64) @ np.asarray(weight, np.float64).T
    return product if bias is None else product + np.asarray(bias, np.float64)


def _split(x: Array, heads: int) -> Array:
    return np.swapaxes(x.reshape(*x.shape[:-1], heads, -1), -2, -3)


def _appended(rows: Array, row: Array | None, zero: bool) -> Array:
    """rows (B, S, E) with a learned row and a row of zeros behind them, where there are such."""
    batch, _, features = rows.shape
    parts = [rows]
    if row is not None:
        parts.append(
            np.broadcast_to(np.asarray(row, np.float64).reshape(1, 1, features), (batch, 1, features))
        )
    if zero:
        parts.append(np.zeros((batch, 1, features)))
    return np.concatenate(parts, axis=1)


def _added(mask: Array, blocked_is_true: bool) -> Array:
    """A mask as numbers that are added to the scores."""
    if mask.dtype == bool:
        return np.where(mask == blocked_is_true, -np.inf, 0.0)
    return mask.astype(np.float64)


def multi_head_attention(
    parameters: Mapping[str, Array],
    heads: int,
    query: Array,
    key: Array,
    value: Array,
    *,
    keep: Array | None = None,
    attn_mask: Array | None = None,
    key_padding_mask: Array | None = None,
    zero_attn: bool = False,
) -> tuple[Array, Array]:
    """Multi-head attention in float64: (output (B, L, E), weights (B, H, L, S')).

    `parameters` are named as those of MultiHeadAttention (and bias_k, bias_v). Inputs are (B, L, E).
    `keep` broadcasts to (B, H, L, S), True attends; `attn_mask` likewise and `key_padding_mask` (B, S)
    have torch's meaning: True is blocked, numbers are added.
    """
    q, k, v = (
        linear(x, parameters[f"{name}.weight"], parameters.get(f"{name}.bias"))
        for name, x in (("W_q", query), ("W_k", key), ("W_v", value))
    )
    batch, queries, keys = query.shape[0], query.shape[1], key.shape[1]
    k, v = (_appended(rows, parameters.get(name), zero_attn) for name, rows in (("bias_k", k), ("bias_v", v)))
    bias = np.zeros((batch, heads, queries, keys))
    if keep is not None:
        bias = bias + _added(keep, False)
    if attn_mask is not None:
        bias = bias + _added(attn_mask, True)
    if key_padding_mask is not None:
        bias = bias + _added(key_padding_mask, True)[:, None, None, :]
    bias = np.concatenate([bias, np.zeros((batch, heads, queries, k.shape[1] - keys))], axis=-1)
    q, k, v = (_split(x, heads) for x in (q, k, v))
    result = attention(q, k, v, bias)
    joined = np.swapaxes(result.output, -2, -3).reshape(batch, queries, -1)
    return linear(joined, parameters["W_o.weight"], parameters.get("W_o.bias")), result.weights


def largest_error(found: Array, truth: Array, *, relative: bool = False) -> float:
    """The largest difference; equal infinities differ by 0, and any NaN makes it infinite.

    `relative`: each difference is divided by 1 + |truth|.
    """
    if found.shape != truth.shape:
        raise AssertionError(f"shape {found.shape} instead of {truth.shape}")
    with np.errstate(invalid="ignore"):
        difference = np.abs(np.asarray(found, np.float64) - truth)
        if relative:
            difference = difference / (1 + np.abs(truth))
    difference = np.where(found == truth, 0, np.where(np.isnan(difference), np.inf, difference))
    return float(difference.max(initial=0))


def largest_size(array: Array) -> float:
    """The largest absolute value of a finite element, or 0."""
    sizes = np.abs(np.asarray(array, np.float64))
    return float(sizes[np.isfinite(sizes)].max(initial=0))
