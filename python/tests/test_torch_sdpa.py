"""scaled_dot_product_attention against torch's, on random problems over all that torch's takes.

The bar: the largest error against float64 is at most twice torch's own in float32, plus 4 eps max |v|.
Rows that see no key are judged apart: they are exactly 0 here, whatever torch makes of them.

ATTENTION_PROBLEMS sets how many problems there are, ATTENTION_PROBLEM a seed to run alone.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

import attention_cpp

from checks import SDPA, float64_error, judge_all
from problems import SdpaProblem, blocks_of_seeds, torch_problem
from reference import EPS32, Array, attention, largest_error, largest_size

torch = pytest.importorskip("torch", reason="PyTorch is what this is compared with, and it is not installed")

BLOCKS = blocks_of_seeds(first=1706_03762, count=2000, size=100)
MOST_REJECTED = 0.01


def as_tensor(array: Array | None) -> Any:
    """The array's own memory as a tensor of the same strides."""
    return None if array is None else torch.from_numpy(array)


def torch_result(problem: SdpaProblem, dtype: Any = None) -> Array:
    """What torch computes, in float32 or in the dtype given. Raises what torch raises."""
    query, key, value, mask = (
        as_tensor(array) for array in (problem.query, problem.key, problem.value, problem.attn_mask)
    )
    if dtype is not None:
        query, key, value = (tensor.to(dtype) for tensor in (query, key, value))
        mask = mask.to(dtype) if mask is not None and mask.dtype != torch.bool else mask
    with torch.no_grad():
        result = torch.nn.functional.scaled_dot_product_attention(query, key, value, mask, **problem.options)
    return np.asarray(result.numpy())


def our_result(problem: SdpaProblem) -> Array:
    tensors = (as_tensor(a) for a in (problem.query, problem.key, problem.value, problem.attn_mask))
    result = attention_cpp.scaled_dot_product_attention(*tensors, **problem.options)
    assert isinstance(result, torch.Tensor) and result.dtype == torch.float32
    return np.asarray(result.numpy())


def judge(problem: SdpaProblem, categories: Counter[str]) -> None:
    """Counts a problem under its categories, and holds it to the bar."""
    categories["all"] += 1
    categories["torch rejects it"] += 0
    categories.update(problem.categories)
    try:
        from_torch = torch_result(problem)
    except (RuntimeError, IndexError, ValueError) as error:
        categories["torch rejects it"] += 1
        try:
            our_result(problem)
        except ValueError as ours:
            categories["torch rejects it: so do we"] += 1
            assert SDPA in str(ours), f"we say {ours}, torch says {error}"
        else:
            categories["torch rejects it: we compute it"] += 1
        return
    ours = our_result(problem)
    truth = attention(problem.query, problem.key, problem.value, problem.attn_mask, **problem.options)
    empty = truth.sees_nothing
    if empty.any():
        categories["has rows that see no key"] += 1
        categories["rows that see no key"] += int(empty.sum())
        with_nan = np.isnan(from_torch[empty]).all(axis=-1)
        categories["rows that see no key: torch gives NaN"] += int(with_nan.sum())
        categories["rows that see no key: torch gives 0"] += int((from_torch[empty] == 0).all(axis=-1).sum())
        assert (ours[empty] == 0).all(), "a row that sees no key is not 0"
    seen = ~empty

    # The judge is judged: torch's float64 agrees with the truth of these tests.
    in_float64 = torch_result(problem, torch.float64)
    slack = float64_error(problem.query, problem.value, truth) * largest_size(problem.value)
    if np.isfinite(from_torch[seen]).all():
        assert largest_error(in_float64[seen], truth.output[seen]) <= slack, "torch's float64 disagrees"
    else:  # torch multiplies the minus infinity of its causal mask by the scale
        assert problem.options["is_causal"] and problem.options["scale"] <= 0, "torch's result is not finite"
        categories["torch gives NaN for rows that see keys (causal, scale <= 0)"] += 1
        from_torch = attention(
            problem.query, problem.key, problem.value, problem.attn_mask, **problem.options, real=np.float32
        ).output

    assert ours.shape == from_torch.shape
    torch_error = largest_error(from_torch[seen], truth.output[seen])
    error = largest_error(ours[seen], truth.output[seen])
    slack = 4 * EPS32 * largest_size(problem.value)
    if torch_error > 2 * error + slack:
        categories["torch's error is above the same bar by ours"] += 1
    bar = 2 * torch_error + slack
    assert error <= bar, f"error {error:.3g}, bar {bar:.3g}, largest term of a score {truth.largest_term:.3g}"


@pytest.mark.parametrize("seeds", BLOCKS, ids=str)
def test_random_problems(seeds: range, categories: Counter[str]) -> None:
    """Every problem is computed as well as torch computes it, or counted among those that torch rejects."""
    judge_all(seeds, torch_problem, judge, categories)


def test_hardly_any_problem_is_rejected_by_torch(categories: Counter[str]) -> None:
    """The problems are torch's: fewer than 1 in 100 of those drawn so far is one that torch does not take."""
    assert categories["all"] > 0, "the problems run first"
    assert categories["torch rejects it"] <= MOST_REJECTED * categories["all"]


def test_the_same_names_and_defaults_as_torch() -> None:
    """What torch takes by position and by name goes through unchanged."""
    x = torch.randn(2, 3, 4, 8, generator=torch.Generator().manual_seed(1))
    mask = torch.ones(4, 4).tril().bool()
    torch_sdpa = torch.nn.functional.scaled_dot_product_attention
    ours = attention_cpp.scaled_dot_product_attention
    for args, kwargs in [
        ((x, x, x), {}),
        ((x, x, x, mask, 0.0, False), {}),
        ((x, x, x, None, 0.0, True), {}),
        ((x, x, x), {"attn_mask": mask, "dropout_p": 0.0, "is_causal": False, "scale": 0.3}),
        ((), {"query": x, "key": x[:, :1], "value": x[:, :1], "enable_gqa": True}),
    ]:
        torch.testing.assert_close(ours(*args, **kwargs), torch_sdpa(*args, **kwargs))
