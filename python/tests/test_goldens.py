"""The modules against what PyTorch once gave."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from attention_cpp import Generator, MultiHeadAttention

from checks import same_bits
from modules import flat
from reference import Array


GOLDENS = Path(__file__).parents[2] / "tests" / "golden" / "goldens.npz"
SEEDS = [42, 0, 1, 7, 1234, 2026]


@pytest.fixture(scope="module")
def goldens() -> dict[str, Array]:
    """tests/golden/goldens.npz, written by tests/golden/make_goldens.py."""
    with np.load(GOLDENS) as arrays:
        return dict(arrays)


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
