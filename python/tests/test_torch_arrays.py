"""PyTorch's tensors across the border: read in place, and given back as tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import attention_cpp
from attention_cpp import (
    Generator,
    MultiHeadAttention,
    MultiheadAttention,
    ScaledDotProductAttention,
    scaled_dot_product_attention,
)

from checks import same_bits
from reference import attention, largest_error

torch = pytest.importorskip(
    "torch", reason="PyTorch's tensors are what this is about, and it is not installed"
)


@pytest.fixture(autouse=True)
def read_in_place() -> Any:
    """No test of this file may make the library copy an array."""
    before = attention_cpp.copies()
    yield
    assert attention_cpp.copies() == before == 0


def randn(*shape: int, seed: int = 0) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def laid_out(layout: str) -> Any:
    """A tensor (2, 3, 6, 8) of the named strides."""
    return {
        "dense": lambda: randn(2, 3, 6, 8),
        "transposed": lambda: randn(2, 6, 3, 8).transpose(1, 2),
        "permuted": lambda: randn(8, 6, 3, 2).permute(3, 2, 1, 0),
        "sliced": lambda: randn(2, 3, 12, 16)[:, :, ::2, 3:11],
        "packed": lambda: randn(2, 6, 3, 3, 8)[:, :, 1].transpose(1, 2),
        "expanded": lambda: randn(1, 3, 1, 8).expand(2, 3, 6, 8),
        "unbound": lambda: randn(3, 2, 3, 6, 8).unbind(0)[1],
        "offset": lambda: randn(2 * 3 * 6 * 8 + 1)[1:].view(2, 3, 6, 8),
        "channels_last": lambda: randn(2, 3, 6, 8).contiguous(memory_format=torch.channels_last),
    }[layout]()


LAYOUTS = [
    "dense",
    "transposed",
    "permuted",
    "sliced",
    "packed",
    "expanded",
    "unbound",
    "offset",
    "channels_last",
]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_any_strides_are_read_in_place(layout: str, dtype: Any) -> None:
    """The bits are those of contiguous tensors; results are contiguous tensors of the query's dtype."""
    tensor = laid_out(layout)
    if dtype != torch.float32:
        tensor = torch.empty_like(tensor, dtype=dtype, memory_format=torch.preserve_format).copy_(tensor)
    result = scaled_dot_product_attention(tensor, tensor, tensor, is_causal=True)
    dense = tensor.contiguous()
    expected = scaled_dot_product_attention(dense, dense, dense, is_causal=True)
    assert isinstance(result, torch.Tensor) and result.dtype == dtype
    assert result.shape == (2, 3, 6, 8) and result.is_contiguous() and not result.requires_grad
    assert torch.equal(result, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_every_result_is_a_tensor(dtype: Any) -> None:
    """Weights and lse too: of float64 for float64, else of float32."""
    query, key, value = (randn(2, 3, n, 8, seed=n).to(dtype) for n in (4, 5, 5))
    output, weights, lse = scaled_dot_product_attention(
        query, key, value, return_weights=True, return_lse=True
    )
    real = torch.float64 if dtype == torch.float64 else torch.float32
    assert (output.dtype, weights.dtype, lse.dtype) == (dtype, real, real)
    assert (output.shape, weights.shape, lse.shape) == ((2, 3, 4, 8), (2, 3, 4, 5), (2, 3, 4))
    for result in (output, weights, lse):
        assert isinstance(result, torch.Tensor)
        result.zero_()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("is_causal", [False, True])
def test_sixteen_bits(dtype: Any, is_causal: bool) -> None:
    """At most twice the error of naive code that rounds the weights and the output to the type."""
    for seed in range(20):
        query, key, value = (randn(2, 2, n, 16, seed=n + seed).to(dtype) for n in (13, 17, 17))
        output, weights = scaled_dot_product_attention(
            query, key, value, is_causal=is_causal, return_weights=True
        )
        arrays = [t.float().numpy() for t in (query, key, value)]
        truth = attention(*arrays, is_causal=is_causal)
        naive = attention(*arrays, is_causal=is_causal, real=np.float32)
        rounded = torch.from_numpy(naive.weights).to(dtype).float() @ torch.from_numpy(arrays[2])
        bar = 2 * largest_error(rounded.to(dtype).float().numpy(), truth.output)
        assert largest_error(output.float().numpy(), truth.output) <= bar
        assert largest_error(weights.numpy(), truth.weights) <= 2e-6


@pytest.mark.parametrize("dtype", [torch.bool, torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_masks_of_torch(dtype: Any) -> None:
    query, key, value = (randn(2, 3, n, 8, seed=n) for n in (4, 5, 5))
    mask = (randn(4, 5) > 0) if dtype == torch.bool else randn(4, 5).to(dtype)
    result = scaled_dot_product_attention(query, key, value, mask.t().contiguous().t())
    wanted = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, mask if dtype == torch.bool else mask.float()
    )
    torch.testing.assert_close(result, wanted)


def test_lists_of_torch() -> None:
    query, key, value = (randn(2, 3, n, 8, seed=n) for n in (4, 5, 5))
    options = {"alibi_slopes": randn(6).abs()[::2], "sinks": randn(3), "key_lengths": torch.tensor([5, 2])}
    result = scaled_dot_product_attention(query, key, value, **options, causal_alignment="bottom_right")
    arrays = {name: tensor.numpy() for name, tensor in options.items()}
    wanted = attention(query.numpy(), key.numpy(), value.numpy(), **arrays, causal_alignment="bottom_right")
    assert largest_error(result.numpy(), wanted.output) < 1e-5


def test_results_come_in_the_querys_kind() -> None:
    """Kinds may be mixed: the query's decides."""
    tensor, array = randn(1, 2, 4, 8), randn(1, 2, 4, 8).numpy()
    assert isinstance(scaled_dot_product_attention(tensor, array, array), torch.Tensor)
    assert type(scaled_dot_product_attention(array, tensor, tensor)) is np.ndarray


def test_out() -> None:
    """A tensor of any strides is written in place and returned; its neighbours are left alone."""
    x = randn(2, 3, 6, 8)
    buffer = torch.full((2, 6, 3, 16), 7.0)
    out = buffer[..., 4:12].transpose(1, 2)
    assert scaled_dot_product_attention(x, x, x, out=out) is out
    assert torch.equal(out, scaled_dot_product_attention(x, x, x))
    out.fill_(7)
    assert (buffer == 7).all()
    with pytest.raises(ValueError, match="out.*overlap|overlap.*out"):
        scaled_dot_product_attention(x, x, x, out=x)
    with pytest.raises(ValueError, match="overlap"):
        scaled_dot_product_attention(x, x, x, out=torch.zeros(1, 3, 6, 8).expand(2, 3, 6, 8))


def test_results_outlive_the_inputs() -> None:
    x = randn(2, 3, 6, 8)
    expected = scaled_dot_product_attention(x, x, x).clone()
    result = scaled_dot_product_attention(*(t.clone() for t in (x, x, x)))
    row = result[1, 2]
    del result
    torch.full((1_000_000,), float("nan"))
    assert torch.equal(row, expected[1, 2])


@pytest.mark.parametrize("argument", ["query", "key", "value", "attn_mask", "sinks", "out"])
def test_tensors_that_require_a_gradient(argument: str) -> None:
    """There is no backward pass: refused with the way out, and never a silent constant."""
    arguments = {"query": randn(2, 3, 4, 8), "key": randn(2, 3, 5, 8), "value": randn(2, 3, 5, 8)}
    shapes = {"attn_mask": (4, 5), "sinks": (3,), "out": (2, 3, 4, 8)}
    shape = shapes.get(argument) or arguments[argument].shape
    leaf = randn(*shape).requires_grad_()
    for tensor in (leaf, torch.nn.Parameter(leaf.detach()), leaf * 2):
        with pytest.raises(TypeError, match=f"{argument} must not require a gradient.*detach.*found"):
            scaled_dot_product_attention(**(arguments | {argument: tensor}))
    result = scaled_dot_product_attention(**(arguments | {argument: leaf.detach()}))
    assert not result.requires_grad


@pytest.mark.parametrize("argument", ["query", "key", "value"])
def test_modules_refuse_tensors_that_require_a_gradient(argument: str) -> None:
    arguments = dict.fromkeys(("query", "key", "value"), randn(2, 4, 8))
    arguments[argument] = randn(2, 4, 8).requires_grad_()
    for module in (
        ScaledDotProductAttention(),
        MultiHeadAttention(8, 2, generator=Generator(1)),
        MultiheadAttention(8, 2, generator=Generator(1)),
    ):
        with pytest.raises(TypeError, match=f"{argument} must not require a gradient"):
            module(**arguments)


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda: torch.ones(2, 3, 5, 8, device="meta"), "meta"),
        (lambda: torch.ones(2, 3, 5, 8).to_sparse(), ""),
        (lambda: torch.ones(2, 3, 5, 8, dtype=torch.complex64), "complex64"),
        (lambda: torch.ones(2, 3, 5, 8, dtype=torch.float8_e4m3fn), "float8"),
        (lambda: torch.ones(2, 3, 5, 8, dtype=torch.bfloat16), "bfloat16"),
        (lambda: torch.ones(2, 3, 5, 8, dtype=torch.int64), "int64"),
    ],
    ids=["meta", "sparse", "complex", "float8", "another dtype", "integers"],
)
def test_tensors_that_cannot_be_read(make: Any, found: str) -> None:
    """A TypeError that names the argument, whatever torch itself says when it is asked to export them."""
    x = randn(2, 3, 4, 8)
    with pytest.raises(TypeError, match=f"key.*found.*{found}"):
        scaled_dot_product_attention(x, make(), randn(2, 3, 5, 8))


def test_a_conjugated_or_negated_view_is_not_read_wrongly() -> None:
    """Lazy negation is not in the memory: either the right numbers, or an error."""
    x = torch.randn(2, 3, 4, 8, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    negated = x.conj().imag
    assert negated.is_neg()
    dense = negated.resolve_neg().contiguous()
    try:
        result = scaled_dot_product_attention(negated, dense, dense)
    except TypeError as error:
        assert "query" in str(error)
    else:
        torch.testing.assert_close(result, scaled_dot_product_attention(dense, dense, dense))


def test_bfloat16_of_a_library_that_numpy_does_not_know() -> None:
    """An exporter of bfloat16 that is not torch: a result, or a TypeError that names the query."""

    class OnlyDlpack:
        def __init__(self, owner: Any) -> None:
            self.owner = owner

        def __dlpack__(self, **options: Any) -> Any:
            return self.owner.__dlpack__(**options)

        def __dlpack_device__(self) -> Any:
            return self.owner.__dlpack_device__()

    x = randn(1, 2, 3, 8).bfloat16()
    try:
        scaled_dot_product_attention(*(OnlyDlpack(t) for t in (x, x, x)))
    except TypeError as error:
        assert "query" in str(error)


def test_modules_take_and_give_tensors() -> None:
    x = randn(2, 4, 8)
    for module in (
        ScaledDotProductAttention(),
        MultiHeadAttention(8, 2, generator=Generator(1)),
        MultiheadAttention(8, 2, generator=Generator(1)),
    ):
        results = module(x, x, x)
        arrays = module(x.numpy(), x.numpy(), x.numpy())
        for tensor, array in zip(results, arrays, strict=True):
            assert isinstance(tensor, torch.Tensor) and type(array) is np.ndarray
            assert same_bits(tensor.numpy(), array)


@pytest.mark.parametrize("bias", [True, False])
def test_from_linears(bias: bool) -> None:
    """Four nn.Linear, as they are: their parameters require gradients, and are copied."""
    layers = [torch.nn.Linear(size, 8, bias=bias) for size in (8, 5, 7, 8)]
    module = MultiHeadAttention.from_linears(2, *layers)
    for name, layer in zip(("W_q", "W_k", "W_v", "W_o"), layers, strict=True):
        for part, parameter in layer.named_parameters():
            array = module.parameters()[f"{name}.{part}"]
            assert same_bits(array, parameter.detach().numpy())
            assert array.ctypes.data != parameter.data_ptr()
    query, key, value = randn(2, 4, 8), randn(2, 6, 5), randn(2, 6, 7)
    with torch.no_grad():
        q, k, v = (
            layer(x).unflatten(-1, (2, 4)).transpose(1, 2)
            for layer, x in zip(layers, (query, key, value), strict=False)
        )
        joined = torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        wanted = layers[3](joined)
    torch.testing.assert_close(module(query, key, value)[0], wanted)


def test_load_parameters_from_linears_state() -> None:
    """A state of tensors that require gradients is loaded like any other."""
    layers = torch.nn.ModuleDict({f"W_{which}": torch.nn.Linear(8, 8) for which in "qkvo"})
    module = MultiHeadAttention(8, 2, generator=Generator(1))
    module.load_parameters(dict(layers.named_parameters()))
    assert all(same_bits(module.parameters()[n], p.detach().numpy()) for n, p in layers.named_parameters())
