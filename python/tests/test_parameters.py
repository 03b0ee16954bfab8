"""Parameters that are shared, loaded and drawn."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import attention_cpp
from attention_cpp import Generator, MultiHeadAttention, MultiheadAttention

from checks import same_bits
from modules import NAMES, flat, normal, randomise, torch_twin, tutorial_module
from reference import Array


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
