"""Arrays across the border: read in place, owned by their results, and refused with a message that helps."""

from __future__ import annotations

import array
import gc
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import attention_cpp
from attention_cpp import scaled_dot_product_attention

from checks import SDPA, check, same_bits
from problems import laid_out
from reference import Array

Raises = type[BaseException]


def normal(*shape: int, seed: int = 0, dtype: Any = np.float32) -> Array:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


QUERY, KEY, VALUE = normal(2, 3, 4, 8), normal(2, 3, 5, 8), normal(2, 3, 5, 6)


@pytest.fixture(autouse=True)
def read_in_place() -> Any:
    """No test of this file may make the library copy an array."""
    before = attention_cpp.copies()
    yield
    assert attention_cpp.copies() == before == 0


class OnlyDlpack:
    """An array of a library that has __dlpack__ and nothing else."""

    def __init__(self, owner: Array) -> None:
        self._owner = owner

    def __dlpack__(self, **options: Any) -> Any:
        return self._owner.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._owner.__dlpack_device__()


class OldDlpack(OnlyDlpack):
    """The same, of a library from before DLPack 1.0: without max_version."""

    def __dlpack__(self, stream: Any = None) -> Any:  # type: ignore[override]
        return self._owner.__dlpack__()


class OnCuda:
    """An array that says that it lies on another device, and must not be asked for its elements."""

    dtype, shape, device = "float32", (2, 3), "cuda:0"

    def __dlpack__(self, **options: Any) -> Any:
        raise AssertionError("asked for elements on another device")

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)


# Strides and kinds of memory.


@pytest.mark.parametrize("layout", ["dense", "transposed", "packed", "sliced", "reversed", "expanded"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_any_strides_are_read_in_place(layout: str, dtype: Any) -> None:
    """The bits are those of dense arrays, for masks too."""
    arrays = [laid_out(a.astype(dtype), layout) for a in (QUERY, KEY, VALUE)]
    mask = laid_out(normal(2, 3, 4, 5) > 0, layout)
    check(*arrays, mask)
    dense = [np.ascontiguousarray(a) for a in (*arrays, mask)]
    assert same_bits(scaled_dot_product_attention(*arrays, mask), scaled_dot_product_attention(*dense))


def test_expanded_by_broadcast_to() -> None:
    """np.broadcast_to gives strides of 0, and read-only arrays."""
    query, key = np.broadcast_to(QUERY[:1], QUERY.shape), np.broadcast_to(KEY[:, :1], KEY.shape)
    mask = np.broadcast_to(normal(1, 5) > 0, (2, 3, 4, 5))
    slopes = np.broadcast_to(np.float32(0.1), (3,))
    check(query, key, VALUE, mask, alibi_slopes=slopes, causal_offset=0)


def test_lists_of_any_strides() -> None:
    """Slopes, sinks and lengths are views too."""
    slopes, sinks = normal(6)[::-2], normal(3, 2)[:, 1]
    lengths = np.array([[5, 9], [2, 9]])[:, 0]
    check(
        QUERY,
        KEY,
        VALUE,
        alibi_slopes=np.abs(slopes),
        sinks=sinks,
        key_lengths=lengths,
        causal_alignment="bottom_right",
    )


@pytest.mark.parametrize("layout", ["dense", "transposed", "packed", "sliced", "reversed"])
def test_no_copy_is_made_on_the_way_either(layout: str) -> None:
    """The Python half of the package takes no memory of the size of an input."""
    query, key, value = (laid_out(normal(1, 8, 500, 64, seed=n), layout) for n in range(3))
    out = np.zeros((1, 8, 500, 64), np.float32)
    tracemalloc.start()
    scaled_dot_product_attention(query, key, value, out=out)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < query.size * query.itemsize / 10


def test_one_array_three_times() -> None:
    check(QUERY, QUERY, QUERY, is_causal=True)


def test_read_only_inputs() -> None:
    arrays = [a.copy() for a in (QUERY, KEY, VALUE)]
    for a in arrays:
        a.flags.writeable = False
    check(*arrays)


def test_memory_that_is_not_aligned() -> None:
    """An array at an odd address, as np.frombuffer makes it from a file."""
    buffer = np.zeros(QUERY.nbytes + 1, np.uint8)
    odd = buffer[1:].view(np.float32).reshape(QUERY.shape)
    odd[...] = QUERY
    assert same_bits(
        scaled_dot_product_attention(odd, KEY, VALUE), scaled_dot_product_attention(QUERY, KEY, VALUE)
    )


def test_inputs_are_never_written() -> None:
    arrays = [a.copy() for a in (QUERY, KEY, VALUE)]
    mask = normal(4, 5)
    scaled_dot_product_attention(*arrays, mask)
    assert all(same_bits(a, b) for a, b in zip(arrays, (QUERY, KEY, VALUE), strict=True))
    assert same_bits(mask, normal(4, 5))


# Other libraries' arrays.


@pytest.mark.parametrize("wrap", [memoryview, OnlyDlpack, OldDlpack])
def test_arrays_of_other_libraries(wrap: Callable[[Array], Any]) -> None:
    """Anything with __dlpack__ or the buffer protocol is read, and NumPy comes back."""
    expected = scaled_dot_product_attention(QUERY, KEY, VALUE, normal(4, 5))
    result = scaled_dot_product_attention(*(wrap(a) for a in (QUERY, KEY, VALUE, normal(4, 5))))
    assert type(result) is np.ndarray
    assert same_bits(result, expected)


def test_memoryview_of_an_array_array() -> None:
    """The standard library's arrays, shaped by memoryview.cast."""
    elements = array.array("f", range(24))
    view = memoryview(elements).cast("B").cast("f", (4, 6))
    expected = np.arange(24, dtype=np.float32).reshape(4, 6)
    assert same_bits(
        scaled_dot_product_attention(view, view, view),
        scaled_dot_product_attention(expected, expected, expected),
    )


def test_out_of_another_library() -> None:
    """`out` is returned as it came, whatever kind of array it is."""
    place = np.zeros((2, 3, 4, 6), np.float32)
    out = memoryview(place)
    assert scaled_dot_product_attention(QUERY, KEY, VALUE, out=out) is out
    assert same_bits(place, scaled_dot_product_attention(QUERY, KEY, VALUE))


def test_subclasses_of_numpy_arrays() -> None:
    query, key, value = (np.asmatrix(a[0, 0]) for a in (QUERY, KEY, VALUE))
    result = scaled_dot_product_attention(query, key, value)
    assert type(result) is np.ndarray
    assert same_bits(result, scaled_dot_product_attention(QUERY[0, 0], KEY[0, 0], VALUE[0, 0]))


# Results.


def test_results_are_numpy_arrays_of_their_own() -> None:
    """Writable, dense, and in the shape of the call."""
    for result in scaled_dot_product_attention(QUERY, KEY, VALUE, return_weights=True, return_lse=True):
        assert type(result) is np.ndarray
        assert result.flags.writeable and result.flags.c_contiguous
        result[...] = 1


def test_results_outlive_everything_else() -> None:
    """Results own their memory: inputs and other results may go."""
    expected = scaled_dot_product_attention(QUERY, KEY, VALUE, return_weights=True, return_lse=True)
    copies = [a.copy() for a in expected]
    inputs = [a.copy() for a in (QUERY, KEY, VALUE)]
    results = scaled_dot_product_attention(*inputs, return_weights=True, return_lse=True)
    del inputs
    for _ in range(3):
        gc.collect()
        np.full(1_000_000, np.nan, np.float32)  # takes the memory that was given back
    part = results[0][1:, :, ::2]
    wanted = copies[0][1:, :, ::2]
    assert all(same_bits(a, b) for a, b in zip(results, copies, strict=True))
    del results
    gc.collect()
    assert same_bits(part, wanted)


def test_memory_is_given_back() -> None:
    """Calls leave nothing behind: neither results nor references to the inputs."""
    big = normal(1, 1, 512, 64)
    references = sys.getrefcount(big)
    for _ in range(20):
        scaled_dot_product_attention(big, big, big, return_weights=True)
        with pytest.raises(TypeError):
            scaled_dot_product_attention(big, big, big, attn_mask=3)
        with pytest.raises(ValueError):
            scaled_dot_product_attention(big, big, big[:, :, :1])
    assert sys.getrefcount(big) == references


# What is refused. A message names the argument, what was expected and what was found.


def refused(error: Raises, argument: str, expected: str, found: str, *args: Any, **options: Any) -> str:
    """Calls with the arguments, and holds the message to name the argument, what is expected and found."""
    with pytest.raises(error) as caught:
        scaled_dot_product_attention(*args, **options)
    message = str(caught.value)
    assert caught.type is error
    for part in (argument, expected, f"found {found}" if found else "found "):
        assert part in message, f"{part!r} is not in {message!r}"
    assert "incompatible function arguments" not in message, "the message is that of the binding"
    return message


NO_ARRAYS: list[tuple[Any, str]] = [
    ([[1.0, 2.0]], "list"),
    ((1.0, 2.0), "tuple"),
    (None, "NoneType"),
    (3, "int"),
    (1.5, "float"),
    ("abc", "str"),
    ({}, "dict"),
    (QUERY.__dlpack__(), "PyCapsule"),
]


@pytest.mark.parametrize(
    ("argument", "value", "found"),
    [
        pytest.param(argument, value, found, id=f"{argument}-{found}")
        for argument in ("query", "key", "value", "attn_mask", "sinks", "out")
        for value, found in NO_ARRAYS
        if value is not None or argument in ("query", "key", "value")
    ],
)
def test_no_array(argument: str, value: Any, found: str) -> None:
    arguments = {"query": QUERY, "key": KEY, "value": VALUE, argument: value}
    refused(TypeError, argument, "must be an array", found, **arguments)


@pytest.mark.parametrize(
    ("convert", "found"),
    [
        (lambda a: a.astype(np.complex64), "ndarray of dtype complex64"),
        (lambda a: a.astype(np.complex128), "ndarray of dtype complex128"),
        (lambda a: a.astype(object), "ndarray of dtype object"),
        (lambda a: a.astype(">f4"), "ndarray of dtype >f4"),
        (lambda a: a.astype(np.longdouble), "ndarray of dtype "),
        (lambda a: a.astype("M8[s]"), "ndarray of dtype datetime64[s]"),
        (lambda a: a.astype("U3"), "ndarray of dtype <U3"),
    ],
)
@pytest.mark.parametrize("argument", ["query", "key", "value", "attn_mask"])
def test_elements_that_are_no_numbers_of_the_library(
    argument: str, convert: Callable[[Array], Array], found: str
) -> None:
    arrays = {"query": QUERY, "key": KEY, "value": VALUE, "attn_mask": np.ones((4, 5))}
    arrays[argument] = convert(arrays[argument])
    refused(TypeError, argument, "", found, **arrays)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.bool_])
def test_query_of_integers(dtype: Any) -> None:
    query, key, value = (np.ones_like(a, dtype) for a in (QUERY, KEY, VALUE))
    refused(TypeError, "query", "floating-point", f"ndarray of dtype {np.dtype(dtype)}", query, key, value)


@pytest.mark.parametrize("argument", ["key", "value", "out"])
def test_one_dtype_for_all(argument: str) -> None:
    arrays = {"query": QUERY, "key": KEY, "value": VALUE, "out": np.zeros((2, 3, 4, 6), np.float32)}
    arrays[argument] = arrays[argument].astype(np.float64)
    refused(TypeError, argument, "dtype of query, float32", "ndarray of dtype float64", **arrays)


def test_strides_that_are_no_multiple_of_the_element() -> None:
    records = np.zeros((4, 8), np.dtype([("x", "f4"), ("flag", "u1")]))
    refused(TypeError, "query", "strides", "ndarray of dtype float32", records["x"], KEY, VALUE)


def test_an_array_of_another_device() -> None:
    """Refused by its device, before anything is read."""
    refused(TypeError, "value", "memory of the CPU", "device cuda:0", QUERY, KEY, OnCuda())
    refused(TypeError, "out", "memory of the CPU", "device cuda:0", QUERY, KEY, VALUE, out=OnCuda())


def test_an_array_whose_export_fails() -> None:
    class Broken(OnlyDlpack):
        def __dlpack__(self, **options: Any) -> Any:
            raise RuntimeError("no export today")

    refused(TypeError, "key", "cannot be read", "Broken", QUERY, Broken(KEY), VALUE)


SHAPES: list[tuple[str, tuple[int, ...], tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ("query", (3,), (3,), (3,), {}),
    ("query", (), (5, 8), (5, 6), {}),
    ("key", (4, 8), (5, 7), (5, 6), {}),
    ("value", (4, 8), (5, 8), (6, 6), {}),
    ("key", (2, 3, 4, 8), (3, 3, 5, 8), (2, 3, 5, 6), {}),
    ("value", (2, 3, 4, 8), (2, 3, 5, 8), (4, 3, 5, 6), {}),
    ("heads", (2, 4, 4, 8), (2, 2, 5, 8), (2, 2, 5, 6), {}),
    ("heads", (2, 3, 4, 8), (2, 2, 5, 8), (2, 2, 5, 6), {"enable_gqa": True}),
    ("heads", (2, 2, 4, 8), (2, 4, 5, 8), (2, 4, 5, 6), {"enable_gqa": True}),
    ("heads", (2, 4, 4, 8), (2, 2, 5, 8), (2, 1, 5, 6), {"enable_gqa": True}),
    ("key", (0, 1, 1, 3, 4), (0, 1, 1, 3, 5), (0, 1, 1, 3, 5), {}),
]


@pytest.mark.parametrize(("argument", "query", "key", "value", "options"), SHAPES)
def test_shapes_that_do_not_fit(
    argument: str,
    query: tuple[int, ...],
    key: tuple[int, ...],
    value: tuple[int, ...],
    options: dict[str, Any],
) -> None:
    """The message holds the shapes as they were given."""
    message = refused(ValueError, argument, "", "", normal(*query), normal(*key), normal(*value), **options)
    for name, shape in (("query", query), ("key", key), ("value", value)):
        assert f"{name} {shape}" in message


def test_seven_dimensions() -> None:
    x = normal(1, 1, 1, 1, 1, 2, 3)
    refused(ValueError, "query", "at most 6 dimensions", "ndarray of dtype float32 and shape", x, x, x)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int8])
def test_mask_of_integers(dtype: Any) -> None:
    """0 and 1 could mean either kind of mask, so they mean neither."""
    mask = np.ones((4, 5), dtype)
    refused(TypeError, "attn_mask", "bools", f"ndarray of dtype {mask.dtype}", QUERY, KEY, VALUE, mask)


@pytest.mark.parametrize(
    "shape", [(4, 6), (5, 5), (3, 1, 4, 5), (2, 2, 4, 5), (0, 5), (1, 2, 3, 4, 5)], ids=str
)
@pytest.mark.parametrize("dtype", [np.bool_, np.float32])
def test_mask_of_another_shape(shape: tuple[int, ...], dtype: Any) -> None:
    """The message holds the mask's shape as it was given, and the scores'."""
    message = refused(ValueError, "attn_mask", "must broadcast", "", QUERY, KEY, VALUE, np.ones(shape, dtype))
    assert str(shape) in message and "(2, 3, 4, 5)" in message


def test_mask_and_causal() -> None:
    refused(
        ValueError, "attn_mask", "is_causal", "both", QUERY, KEY, VALUE, np.ones((4, 5), bool), is_causal=True
    )


@pytest.mark.parametrize("dropout_p", [0.1, 1.0, -0.5, float("nan"), None, "half"])
def test_dropout(dropout_p: Any) -> None:
    """An error, and never a silent 0."""
    refused(ValueError, "dropout_p", "must be 0", str(dropout_p), QUERY, KEY, VALUE, dropout_p=dropout_p)


OPTIONS: list[tuple[Raises, str, str, str, dict[str, Any]]] = [
    (
        ValueError,
        "causal_alignment",
        "'top_left' or 'bottom_right'",
        "'topleft'",
        {"causal_alignment": "topleft"},
    ),
    (
        ValueError,
        "causal_alignment",
        "causal_offset",
        "both",
        {"causal_alignment": "top_left", "causal_offset": 1},
    ),
    (ValueError, "path", "'automatic', 'fused' or 'reference'", "'fast'", {"path": "fast"}),
    (ValueError, "threads", "0", "-1", {"threads": -1}),
    (ValueError, "scale", "finite", "nan", {"scale": float("nan")}),
    (ValueError, "scale", "finite", "inf", {"scale": float("inf")}),
    (ValueError, "softcap", "positive", "-1", {"softcap": -1.0}),
    (ValueError, "softcap", "positive", "nan", {"softcap": float("nan")}),
    (ValueError, "window", "-1", "-2", {"window": (-2, 0), "causal_offset": 0}),
    (ValueError, "window", "-1", "-7", {"window": (0, -7), "causal_offset": 0}),
    (ValueError, "window", "L != S", "", {"window": (1, 1)}),
    (ValueError, "alibi_slopes", "L != S", "", {"alibi_slopes": normal(3)}),
    (ValueError, "offset", "2^40", "", {"is_causal": True, "causal_offset": 2**50}),
    (ValueError, "alibi_slopes", "(H)", "(2,)", {"alibi_slopes": normal(2), "causal_offset": 0}),
    (ValueError, "sinks", "(H)", "(3, 1)", {"sinks": normal(3, 1)}),
    (ValueError, "key_lengths", "(B)", "(3,)", {"key_lengths": np.array([1, 2, 3])}),
    (ValueError, "key_lengths", "[0, S]", "6", {"key_lengths": np.array([1, 6])}),
    (ValueError, "key_lengths", "[0, S]", "-1", {"key_lengths": np.array([-1, 5])}),
    (
        TypeError,
        "alibi_slopes",
        "float32 or float64",
        "",
        {"alibi_slopes": np.ones(3, int), "causal_offset": 0},
    ),
    (TypeError, "sinks", "float32 or float64", "", {"sinks": np.ones(3, np.float16)}),
    (TypeError, "key_lengths", "int32 or int64", "", {"key_lengths": np.ones(2, np.float32)}),
    (TypeError, "key_lengths", "int32 or int64", "", {"key_lengths": np.ones(2, np.uint8)}),
]


@pytest.mark.parametrize(("error", "argument", "expected", "found", "options"), OPTIONS)
def test_options_that_break_a_rule(
    error: Raises, argument: str, expected: str, found: str, options: dict[str, Any]
) -> None:
    refused(error, argument, expected, found, QUERY, KEY, VALUE, **options)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("scale", "half"),
        ("softcap", None),
        ("window", 3),
        ("window", (1, 2, 3)),
        ("window", (1.5, 2)),
        ("threads", 1.5),
        ("threads", None),
        ("path", 3),
        ("path", None),
        ("causal_alignment", 3),
        ("causal_offset", 1.5),
        ("is_causal", "yes"),
    ],
)
def test_options_of_another_type(argument: str, value: Any) -> None:
    """A TypeError that names the option and the type that was found, not the signature of the binding."""
    found = type(value).__name__
    with pytest.raises(TypeError) as caught:
        scaled_dot_product_attention(QUERY, KEY, VALUE, **{argument: value})
    message = str(caught.value)
    assert argument in message and "incompatible function arguments" not in message, message
    assert "found" in message and (found in message or repr(value) in message or str(value) in message), (
        message
    )


@pytest.mark.parametrize(
    "options",
    [
        {"attn_mask": np.ones((4, 6), bool)},
        {"softcap": -1.0},
        {"key_lengths": np.array([0, 9])},
        {"threads": -1},
        {"alibi_slopes": normal(3)},
        {"out": QUERY[..., :6]},
    ],
    ids=lambda options: next(iter(options)),
)
def test_messages_speak_of_the_function_that_was_called(options: dict[str, Any]) -> None:
    """They begin with its name, and not with that of a function of the C++ library."""
    with pytest.raises(ValueError, match=f"^{SDPA}: .*{next(iter(options))}"):
        scaled_dot_product_attention(QUERY, KEY, VALUE, **options)


def test_key_lengths_need_one_batch_dimension() -> None:
    x = QUERY[None]
    refused(ValueError, "key_lengths", "at most 4 dimensions", "", x, x, x, key_lengths=np.array([1, 2]))


def test_unknown_option() -> None:
    with pytest.raises(TypeError, match="casual"):
        scaled_dot_product_attention(QUERY, KEY, VALUE, casual=True)


# `out` that cannot be.


def test_out_that_is_read_only() -> None:
    out = np.zeros((2, 3, 4, 6), np.float32)
    out.flags.writeable = False
    refused(ValueError, "out", "must be writable", "a read-only ndarray", QUERY, KEY, VALUE, out=out)
    refused(ValueError, "out", "must be writable", "a read-only bytes", QUERY, KEY, VALUE, out=out.tobytes())
    assert (out == 0).all()


@pytest.mark.parametrize("shape", [(2, 3, 4, 7), (2, 3, 4), (3, 4, 6), (1, 2, 3, 4, 6), (6, 4, 6)], ids=str)
def test_out_of_another_shape(shape: tuple[int, ...]) -> None:
    message = refused(ValueError, "out", "shape", "", QUERY, KEY, VALUE, out=np.zeros(shape, np.float32))
    assert str(shape) in message and "(2, 3, 4, 6)" in message


@pytest.mark.parametrize("rank", range(2, 7))
def test_out_that_overlaps_an_input(rank: int) -> None:
    """Refused at every rank, and nothing has been written."""
    x = normal(*(2,) * (rank - 2), 4, 8)
    before = x.copy()
    overlapping = {
        "the query": lambda: x,
        "backwards": lambda: x[::-1],
        "rows": lambda: x[..., ::-1, :],
    }
    for out in overlapping.values():
        refused(ValueError, "out", "overlap", "", x, x, x, out=out())
        assert same_bits(x, before)


@pytest.mark.parametrize("rank", range(2, 7))
def test_out_that_overlaps_itself(rank: int) -> None:
    """A stride of 0, in whichever dimension, is refused."""
    shape = (*(2,) * (rank - 2), 4, 8)
    x = normal(*shape)
    for dim in range(rank):
        buffer = np.zeros(shape, np.float32)
        strides = tuple(0 if n == dim else stride for n, stride in enumerate(buffer.strides))
        out = np.lib.stride_tricks.as_strided(buffer, shape, strides)
        refused(ValueError, "out", "overlap", "", x, x, x, out=out)
        assert (buffer == 0).all()


def test_out_that_overlaps_a_mask_or_a_list() -> None:
    x, mask = normal(5, 5), normal(5, 5)
    refused(ValueError, "out", "overlap", "", x, x, x, mask, out=mask)
    buffer = normal(5, 8)
    refused(ValueError, "out", "overlap", "", x, x, x, sinks=buffer[4, 7:], out=buffer[:, 3:])


def test_an_error_leaves_out_untouched() -> None:
    out = np.full((2, 3, 4, 6), 7, np.float32)
    for options in ({"softcap": -1.0}, {"key_lengths": np.array([0, 9])}, {"path": "fast"}, {"threads": -1}):
        with pytest.raises(ValueError):
            scaled_dot_product_attention(QUERY, KEY, VALUE, out=out, **options)
        assert (out == 7).all()


def test_options_are_checked_where_there_is_nothing_to_compute() -> None:
    """An empty batch does not hide a mistake, at any rank."""
    for rank in (4, 5):
        x = np.zeros((0,) * (rank - 3) + (1, 3, 4), np.float32)
        refused(ValueError, "softcap", "positive", "-1", x, x, x, softcap=-1.0)
