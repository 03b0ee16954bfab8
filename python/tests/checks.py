"""How results are judged: the bar of docs/semantics.md, rule 8, and what must hold exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

import attention_cpp

from reference import EPS32, EPS64, Array, Attention, attention, largest_error, largest_size

SDPA = "scaled_dot_product_attention"


def float64_error(query: Array, value: Array, truth: Attention) -> float:
    """What float64 arithmetic itself may be wrong by, relative to the largest value."""
    lengths = query.shape[-1] + value.shape[-1] + value.shape[-2]
    return EPS64 * (64 + lengths) * (4 + truth.largest_term)


def _naive(
    query: Array, key: Array, value: Array, attn_mask: Array | None, options: dict[str, Any]
) -> Attention:
    half = query.dtype == np.float16
    return attention(
        query, key, value, attn_mask, **options, real=np.float32, weights_type=np.float16 if half else None
    )


def assert_judged_well(
    output: Array,
    weights: Array,
    lse: Array,
    query: Array,
    key: Array,
    value: Array,
    attn_mask: Array | None = None,
    **options: Any,
) -> Attention:
    """Holds results against float64 and returns the truth.

    float64: within the error of float64 arithmetic. float32: at most twice the largest error of naive
    float32 code plus 4 eps max |v|. float16: at most twice that of
    naive code that rounds the weights and the output. Blocked cells have a weight of exactly 0, and rows that see nothing are exactly 0.
    """
    truth = attention(query, key, value, attn_mask, **options)
    dtype = query.dtype
    real = np.float64 if dtype == np.float64 else np.float32
    assert (output.dtype, weights.dtype, lse.dtype) == (dtype, real, real)
    if dtype == np.float64:
        naive = truth
        slack = float64_error(query, value, truth)
        output_slack = slack * largest_size(value)
    else:
        naive = _naive(query, key, value, attn_mask, options)
        slack = 4 * EPS32 * (1 + truth.largest_term)
        output_slack = 4 * EPS32 * largest_size(value)

    def assert_near(name: str, found: Array, by_naive: Array, wanted: Array, slack: float) -> None:
        relative = name == "lse"
        error = largest_error(found, wanted, relative=relative)
        bar = 2 * largest_error(by_naive, wanted, relative=relative) + slack
        assert error <= bar, f"{name}: error {error:.3g}, bar {bar:.3g}"

    assert_near("output", output, naive.output.astype(dtype), truth.output, output_slack)
    assert_near("weights", weights, naive.weights, truth.weights, slack)
    assert_near("lse", lse, naive.lse, truth.lse, slack)
    assert (weights[~truth.visible] == 0).all(), "a blocked cell has a weight"
    assert (output[truth.sees_nothing] == 0).all(), "a row that sees nothing has an output"
    if options.get("sinks") is None:
        assert (lse[truth.sees_nothing] == -np.inf).all(), "a row that sees nothing has an lse"
    return truth


def check(query: Any, key: Any, value: Any, attn_mask: Any = None, **options: Any) -> Attention:
    """Computes with the library, weights and lse included, and judges it. Returns the truth.

    `path` and `threads` may be among the options.
    """
    how = {name: options.pop(name) for name in ("path", "threads") if name in options}
    output, weights, lse = attention_cpp.scaled_dot_product_attention(
        query, key, value, attn_mask, return_weights=True, return_lse=True, **options, **how
    )
    return assert_judged_well(output, weights, lse, query, key, value, attn_mask, **options)


def same_bits(first: Any, second: Any) -> bool:
    """Whether two arrays have one shape, one dtype and the same bits."""
    a, b = np.asarray(first), np.asarray(second)
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def ulps_between(first: Array, second: Array) -> int:
    """The largest distance of two float32 arrays in units of the last place."""

    def ordered(array: Array) -> Array:
        bits = np.ascontiguousarray(array, np.float32).view(np.int32).astype(np.int64)
        return np.where(bits < 0, np.int64(-(2**31)) - bits, bits)

    return int(np.abs(ordered(first) - ordered(second)).max(initial=0))


def judge_all(
    seeds: Iterable[int],
    make: Callable[[int], Any],
    judge: Callable[[Any, Counter[str]], None],
    categories: Counter[str],
) -> None:
    """Judges the problem of each seed; one that fails is counted, and does not hide the others."""
    failures = []
    for seed in seeds:
        problem = make(seed)
        try:
            judge(problem, categories)
        except (AssertionError, ValueError, TypeError, pytest.fail.Exception) as error:
            categories["FAILED"] += 1
            failures.append(f"{problem}\n    {type(error).__name__}: {error}")
    assert not failures, f"{len(failures)} problems fail (ATTENTION_PROBLEM=seed):\n" + "\n".join(failures[:5])
