"""MultiheadAttention against torch.nn.MultiheadAttention, and the parameters that both draw from a seed.

The bar: the largest error against float64 is at most twice torch's own in float32, plus 4 eps times the
largest result (for weights: 4 eps), which grows with the scores where they are beyond 16. Rows that see no
key are judged apart: their weights are exactly 0 here, where torch has NaN or 0.

ATTENTION_PROBLEMS sets how many problems there are, ATTENTION_PROBLEM a seed to run alone.
"""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import numpy as np
import pytest

import attention_cpp
from attention_cpp import Generator, MultiHeadAttention, MultiheadAttention

from checks import judge_all, same_bits, ulps_between
from problems import MhaProblem, blocks_of_seeds, mha_problem
from reference import EPS32, Array, largest_error, largest_size, multi_head_attention

torch = pytest.importorskip("torch", reason="PyTorch is what this is compared with, and it is not installed")

BLOCKS = blocks_of_seeds(first=2017_0612, count=500, size=50)
MOST_REJECTED = 0.01
INIT_SEEDS = [*range(95), 2**31, 2**32 - 1, 2**32 + 42, 2**63, -1]

pytestmark = pytest.mark.filterwarnings("ignore:Support for mismatched")


def torch_module(problem: MhaProblem) -> Any:
    """A module whose biases are not 0, as after training."""
    torch.manual_seed(problem.seed)
    module = torch.nn.MultiheadAttention(**problem.module)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "bias" in name:
                parameter.normal_(0, 0.3)
    return module.train(problem.training)


def arguments(problem: MhaProblem, real: Any = None) -> tuple[list[Any], dict[str, Any]]:
    """The call's tensors: (L, B, E) unless batch_first, and without B where there is no batch."""

    def arranged(array: Array) -> Any:
        tensor = torch.from_numpy(array)
        if not problem.batched:
            tensor = tensor[0]
        elif not problem.module["batch_first"]:
            tensor = tensor.transpose(0, 1)
        return tensor if real is None else tensor.to(real)

    def mask(array: Array | None) -> Any:
        if array is None:
            return None
        tensor = torch.from_numpy(array)
        return tensor.to(real) if real is not None and tensor.is_floating_point() else tensor

    query = arranged(problem.query)
    key = query if problem.self_attention else arranged(problem.key)
    value = query if problem.self_attention else arranged(problem.value)
    padding = mask(problem.key_padding_mask)
    if padding is not None and not problem.batched:
        padding = padding[0]
    return [query, key, value], {
        "key_padding_mask": padding,
        "attn_mask": mask(problem.attn_mask),
        **problem.call,
    }


def as_arrays(problem: MhaProblem, output: Any, weights: Any) -> tuple[Array, Array | None]:
    """Results as (B, L, E) and (B, ..., L, S'), whichever way they came."""
    output = output.detach().numpy()
    weights = None if weights is None else weights.detach().numpy()
    if not problem.batched:
        return output[None], None if weights is None else weights[None]
    return output if problem.module["batch_first"] else output.swapaxes(0, 1), weights


def truth_of(problem: MhaProblem, twin: MultiheadAttention) -> tuple[Array, Array, Array]:
    """Output and weights by head in float64, and which rows (B, H, L) see no key."""
    heads, mask = problem.module["num_heads"], problem.attn_mask
    by_head = mask if mask is None or mask.ndim == 2 else mask.reshape(-1, heads, *mask.shape[-2:])
    output, weights = multi_head_attention(
        tutorial_names(twin),
        heads,
        problem.query,
        problem.key,
        problem.value,
        attn_mask=by_head,
        key_padding_mask=problem.key_padding_mask,
        zero_attn=problem.module["add_zero_attn"],
    )
    return output, weights, (weights == 0).all(axis=-1)


def tutorial_names(twin: MultiheadAttention) -> dict[str, Array]:
    """The twin's parameters, W_q.weight and so on: of the same memory as its state."""
    return dict(super(MultiheadAttention, twin).parameters())


def hint_replaces_the_mask(problem: MhaProblem) -> bool:
    """Whether torch drops the mask for the hint (it does without weights) and blocks appended keys too."""
    appended = problem.module["add_bias_kv"] or problem.module["add_zero_attn"]
    hinted = problem.call["is_causal"] and not problem.call["need_weights"]
    return bool(appended and hinted and problem.key_padding_mask is None)


def largest_score(problem: MhaProblem, twin: MultiheadAttention) -> float:
    """An upper bound of the scores' terms, masks included."""
    parameters = tutorial_names(twin)
    q = problem.query @ parameters["W_q.weight"].T + parameters.get("W_q.bias", 0)
    k = problem.key @ parameters["W_k.weight"].T + parameters.get("W_k.bias", 0)
    head = problem.module["embed_dim"] // problem.module["num_heads"]
    masks = (
        np.zeros(1) if m is None or m.dtype == bool else m
        for m in (problem.attn_mask, problem.key_padding_mask)
    )
    added = (float(np.abs(m[np.abs(m) < 1e30]).max(initial=0)) for m in masks)
    return max(largest_size(q) * largest_size(k) * np.sqrt(head), *added)


def judge(problem: MhaProblem, categories: Counter[str]) -> None:
    """Counts a problem under its categories, and holds it to the bar."""
    categories["all"] += 1
    categories["torch rejects it"] += 0
    categories.update(problem.categories)
    module = torch_module(problem)
    twin = MultiheadAttention.from_torch(module)
    inputs, options = arguments(problem)
    torchs: dict[str, Any] = {}
    if hint_replaces_the_mask(problem):
        categories["torch's hint blocks appended keys: compared with torch's result with weights"] += 1
        torchs["need_weights"] = True
    try:
        with torch.no_grad():
            in_torch = as_arrays(problem, *module(*inputs, **(options | torchs)))
    except (RuntimeError, ValueError, AssertionError, IndexError):
        categories["torch rejects it"] += 1
        with pytest.raises((ValueError, TypeError)):
            twin(*inputs, **options)
        categories["torch rejects it: so do we"] += 1
        return
    result = twin(*inputs, **options)
    assert all(isinstance(r, torch.Tensor) or (r is None and not options["need_weights"]) for r in result)
    output, weights = as_arrays(problem, *result)

    true_output, true_weights, empty = truth_of(problem, twin)
    touched = empty.any(axis=1)  # (B, L): the output rows that torch's NaN of one head spoils
    if touched.any():
        categories["has rows that see no key"] += 1
        categories["rows that see no key"] += int(empty.sum())
        spoiled = np.isnan(in_torch[0][touched]).all(axis=-1)
        categories["outputs of rows that see no key: torch gives NaN"] += int(spoiled.sum())
        categories["outputs of rows that see no key: torch gives numbers"] += int((~spoiled).sum())
    assert np.isfinite(output).all()
    assert np.isfinite(in_torch[0][~touched]).all(), "torch's own result is not finite"

    # The judge is judged: torch's float64 agrees with the truth of these tests.
    doubled, double_options = arguments(problem, torch.float64)
    with torch.no_grad():
        in_float64 = as_arrays(
            problem, *copy.deepcopy(module).double()(*doubled, **(double_options | torchs))
        )
    slack = 1e-12 * (1 + largest_size(true_output))
    assert largest_error(in_float64[0][~touched], true_output[~touched]) <= slack, "torch's float64 disagrees"

    growth = max(1.0, largest_score(problem, twin) / 16)
    bar = 2 * largest_error(in_torch[0][~touched], true_output[~touched])
    bar += 4 * EPS32 * largest_size(true_output) * growth
    assert output.shape == in_torch[0].shape
    error = largest_error(output, true_output)
    assert error <= bar, f"output: error {error:.3g}, bar {bar:.3g}"
    if not options["need_weights"]:
        assert weights is None
        return
    assert weights is not None and in_torch[1] is not None and weights.shape == in_torch[1].shape
    if options["average_attn_weights"]:
        true_weights, known = true_weights.mean(axis=1), ~touched
        none_seen = empty.all(axis=1)
    else:
        known, none_seen = ~empty, empty
    assert (weights[none_seen] == 0).all(), "a row that sees no key has weights"
    assert largest_error(in_float64[1][known], true_weights[known]) <= 1e-12, (
        "torch's float64 weights disagree"
    )
    bar = 2 * largest_error(in_torch[1][known], true_weights[known]) + 4 * EPS32 * growth
    error = largest_error(weights, true_weights)
    assert error <= bar, f"weights: error {error:.3g}, bar {bar:.3g}"


@pytest.mark.parametrize("seeds", BLOCKS, ids=str)
def test_random_problems(seeds: range, categories: Counter[str]) -> None:
    """Every problem is computed as well as torch computes it, through from_torch."""
    judge_all(seeds, mha_problem, judge, categories)


def test_hardly_any_problem_is_rejected_by_torch(categories: Counter[str]) -> None:
    """The problems are torch's: fewer than 1 in 100 of those drawn so far is one that torch does not take."""
    assert categories["all"] > 0, "the problems run first"
    assert categories["torch rejects it"] <= MOST_REJECTED * categories["all"]


# Initialisation.

TWINS: list[dict[str, Any]] = [
    {},
    {"bias": False},
    {"kdim": 5, "vdim": 7},
    {"kdim": 5, "bias": False},
    {"add_bias_kv": True},
    {"add_bias_kv": True, "kdim": 3, "add_zero_attn": True, "batch_first": True},
]


@pytest.mark.parametrize("options", TWINS, ids=str)
def test_the_same_seed_gives_the_parameters_of_torchs_module(options: dict[str, Any]) -> None:
    """For 100 seeds, bit for bit; bias_k and bias_v within 4 ulp."""
    for seed in INIT_SEEDS:
        torch.manual_seed(seed)
        state = torch.nn.MultiheadAttention(12, 3, **options).state_dict()
        ours = MultiheadAttention(12, 3, **options, generator=Generator(seed)).state_dict()
        assert ours.keys() == state.keys()
        attention_cpp.manual_seed(seed)
        by_default = MultiheadAttention(12, 3, **options).state_dict()
        for name, tensor in state.items():
            array = tensor.numpy()
            assert same_bits(by_default[name], ours[name])
            if name in ("bias_k", "bias_v"):
                assert ulps_between(ours[name], array) <= 4, f"seed {seed}: {name}"
            else:
                assert same_bits(ours[name], array), f"seed {seed}: {name}"


@pytest.mark.parametrize("sizes", [{}, {"kdim": 5}, {"kdim": 5, "vdim": 7}], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_the_same_seed_gives_the_parameters_of_four_linear_layers(sizes: dict[str, int], bias: bool) -> None:
    """For 100 seeds, bit for bit, made in the order W_q, W_k, W_v, W_o."""
    for seed in INIT_SEEDS:
        torch.manual_seed(seed)
        inputs = {"W_q": 12, "W_k": sizes.get("kdim", 12), "W_v": sizes.get("vdim", 12), "W_o": 12}
        layers = {name: torch.nn.Linear(size, 12, bias=bias) for name, size in inputs.items()}
        wanted = {
            f"{name}.{part}": parameter.detach().numpy()
            for name, layer in layers.items()
            for part, parameter in layer.named_parameters()
        }
        ours = MultiHeadAttention(12, 3, **sizes, bias=bias, generator=Generator(seed)).parameters()
        assert list(ours) == list(wanted)
        assert all(same_bits(ours[name], array) for name, array in wanted.items()), f"seed {seed}"


def test_initialisation_of_torchs_module_under_the_tutorials_names() -> None:
    """initialisation="torch_mha" draws what torch.nn.MultiheadAttention draws."""
    torch.manual_seed(21)
    state = torch.nn.MultiheadAttention(8, 2).state_dict()
    ours = MultiHeadAttention(8, 2, initialisation="torch_mha", generator=Generator(21)).parameters()
    packed = np.concatenate([ours[f"W_{which}.weight"] for which in "qkv"])
    assert same_bits(packed, state["in_proj_weight"].numpy())
    assert same_bits(ours["W_o.weight"], state["out_proj.weight"].numpy())


def test_modules_made_one_after_the_other() -> None:
    """One stream serves them all, as in torch, normal draws among them."""
    torch.manual_seed(3)
    torch.nn.MultiheadAttention(9, 3, add_bias_kv=True)
    second = torch.nn.Linear(5, 5)
    generator = Generator(3)
    MultiheadAttention(9, 3, add_bias_kv=True, generator=generator)
    MultiHeadAttention(4, 1, generator=Generator(0))
    ours = MultiHeadAttention(5, 1, generator=generator).parameters()
    assert same_bits(ours["W_q.weight"], second.weight.detach().numpy())
    assert same_bits(ours["W_q.bias"], second.bias.detach().numpy())


# State.


def test_state_goes_both_ways() -> None:
    """from_torch, load_state_dict, and torch's load_state_dict of our arrays."""
    module = torch.nn.MultiheadAttention(12, 3, add_bias_kv=True, kdim=5, batch_first=True)
    twin = MultiheadAttention.from_torch(module)
    assert twin.batch_first and (twin.embed_dim, twin.num_heads, twin.kdim, twin.vdim) == (12, 3, 5, 12)
    assert all(same_bits(twin.state_dict()[n], t.numpy()) for n, t in module.state_dict().items())
    other = torch.nn.MultiheadAttention(12, 3, add_bias_kv=True, kdim=5, batch_first=True)
    other.load_state_dict({name: torch.from_numpy(array) for name, array in twin.state_dict().items()})
    assert all(
        torch.equal(a, b)
        for a, b in zip(other.state_dict().values(), module.state_dict().values(), strict=True)
    )
    fresh = MultiheadAttention(12, 3, add_bias_kv=True, kdim=5)
    fresh.load_state_dict(dict(module.named_parameters()))
    assert all(
        same_bits(a, b) for a, b in zip(fresh.state_dict().values(), twin.state_dict().values(), strict=True)
    )


def test_from_torch_copies() -> None:
    """The twin has parameters of its own, and draws none from the default generator."""
    module = torch.nn.MultiheadAttention(8, 2)
    attention_cpp.manual_seed(1)
    expected = MultiHeadAttention(8, 2).parameters()["W_q.weight"].copy()
    attention_cpp.manual_seed(1)
    twin = MultiheadAttention.from_torch(module)
    assert same_bits(MultiHeadAttention(8, 2).parameters()["W_q.weight"], expected)
    before = module.in_proj_weight.detach().clone()
    twin.state_dict()["in_proj_weight"][...] = 0
    assert torch.equal(module.in_proj_weight, before)


def test_loading_a_wider_or_narrower_module() -> None:
    """Parameters of any floating-point type become float32."""
    for dtype in (torch.float64, torch.float16, torch.bfloat16):
        module = torch.nn.MultiheadAttention(8, 2).to(dtype)
        twin = MultiheadAttention.from_torch(module)
        for name, tensor in module.state_dict().items():
            np.testing.assert_array_equal(twin.state_dict()[name], tensor.float().numpy())


def test_loading_another_module_changes_nothing() -> None:
    twin = MultiheadAttention.from_torch(torch.nn.MultiheadAttention(8, 2))
    before = {name: array.copy() for name, array in twin.state_dict().items()}
    for module, message in [
        (torch.nn.MultiheadAttention(12, 3), "must have the shape"),
        (torch.nn.MultiheadAttention(8, 2, bias=False), "missing"),
        (torch.nn.MultiheadAttention(8, 2, add_bias_kv=True), "unknown.*bias_k"),
        (torch.nn.MultiheadAttention(8, 2, kdim=5), "unknown.*k_proj_weight"),
    ]:
        with pytest.raises(ValueError, match=message):
            twin.load_state_dict(module.state_dict())
        assert all(same_bits(array, before[name]) for name, array in twin.state_dict().items())
