"""scaled_dot_product_attention against float64 NumPy, rule by rule of docs/semantics.md."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import attention_cpp
from attention_cpp import scaled_dot_product_attention

from checks import check, same_bits
from problems import blocks_of_seeds, library_problem
from reference import Array, attention

BLOCKS = blocks_of_seeds(first=2017_0612, count=600, size=100)
DTYPES = [np.float32, np.float64, np.float16]
PATHS = ["automatic", "fused", "reference"]
SERVED = [(d, p) for d in DTYPES for p in PATHS if (d, p) != (np.float64, "fused")]
on_every_path = pytest.mark.parametrize(("dtype", "path"), SERVED)


def normal(*shape: int, seed: int = 0, dtype: Any = np.float32) -> Array:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def inputs(
    batch: int = 2,
    heads: int = 3,
    queries: int = 5,
    keys: int = 7,
    features: int = 8,
    value_features: int = 6,
    dtype: Any = np.float32,
) -> tuple[Array, Array, Array]:
    return (
        normal(batch, heads, queries, features, seed=1, dtype=dtype),
        normal(batch, heads, keys, features, seed=2, dtype=dtype),
        normal(batch, heads, keys, value_features, seed=3, dtype=dtype),
    )


@pytest.mark.parametrize("seeds", BLOCKS, ids=str)
def test_random_problems_over_all_options(seeds: range) -> None:
    """Any combination of options meets the bar against float64."""
    failures = []
    for seed in seeds:
        problem = library_problem(seed)
        try:
            check(problem.query, problem.key, problem.value, problem.attn_mask, **problem.options)
        except (AssertionError, ValueError, TypeError) as error:
            failures.append(f"{problem}\n    {type(error).__name__}: {error}")
    assert not failures, f"{len(failures)} problems fail (ATTENTION_PROBLEM=seed):\n" + "\n".join(
        failures[:5]
    )


@on_every_path
def test_plain(dtype: Any, path: str) -> None:
    check(*inputs(dtype=dtype), path=path)


def test_a_path_that_cannot_serve_is_an_error() -> None:
    """Never a silent fallback: the fused path has no float64."""
    with pytest.raises(ValueError, match="path.*float64.*fused"):
        scaled_dot_product_attention(*inputs(dtype=np.float64), path="fused")


@pytest.mark.parametrize("rank", range(2, 7))
def test_ranks(rank: int) -> None:
    """(..., H, L, E) of 2 to 6 dimensions; results have the rank of the inputs."""
    outer = (2, 1, 3, 2)[6 - rank :]
    query, key, value = normal(*outer, 5, 8), normal(*outer, 7, 8, seed=1), normal(*outer, 7, 6, seed=2)
    check(query, key, value)
    output, weights, lse = scaled_dot_product_attention(
        query, key, value, return_weights=True, return_lse=True
    )
    assert output.shape == (*outer, 5, 6)
    assert weights.shape == (*outer, 5, 7)
    assert lse.shape == (*outer, 5)


@pytest.mark.parametrize(
    ("query_outer", "key_outer", "value_outer"),
    [
        ((2, 3), (1, 3), (1, 3)),
        ((1, 3), (2, 3), (2, 3)),
        ((2, 3), (2, 1), (2, 1)),
        ((2, 1), (2, 3), (2, 3)),
        ((2, 3), (3,), (3,)),
        ((2, 3), (), ()),
        ((), (2, 3), (2, 3)),
        ((2, 3), (2, 3), (1, 1)),
        ((2, 3), (1, 1), (2, 3)),
        ((2, 1, 3), (1, 4, 3), (1, 1, 1)),
        ((2, 1, 1, 3), (1, 4, 1, 1), (1, 1, 5, 3)),
    ],
)
def test_batches_broadcast(
    query_outer: tuple[int, ...], key_outer: tuple[int, ...], value_outer: tuple[int, ...]
) -> None:
    """Dimensions before the last two are broadcast, as NumPy broadcasts."""
    check(normal(*query_outer, 4, 8), normal(*key_outer, 6, 8, seed=1), normal(*value_outer, 6, 5, seed=2))


@pytest.mark.parametrize(
    "sizes", list(itertools.product([1, 3, 17, 65], [1, 7, 64, 129], [1, 5, 33], [1, 6, 40]))
)
def test_odd_sizes(sizes: tuple[int, int, int, int]) -> None:
    """No size is special, and Ev need not be E."""
    queries, keys, features, value_features = sizes
    check(*inputs(1, 2, queries, keys, features, value_features))


def every_mask_shape() -> list[tuple[int, ...]]:
    whole = (2, 3, 5, 7)
    shapes: list[tuple[int, ...]] = [()]
    for rank in range(1, 5):
        tail = whole[4 - rank :]
        shapes += [
            tuple(extent if kept else 1 for extent, kept in zip(tail, keep, strict=True))
            for keep in itertools.product([False, True], repeat=rank)
        ]
    return shapes


@pytest.mark.parametrize("shape", every_mask_shape(), ids=str)
@pytest.mark.parametrize("kind", ["bool", "float32", "float64", "float16"])
def test_masks_of_every_rank_and_broadcast(kind: str, shape: tuple[int, ...]) -> None:
    """Bools keep where True, numbers are added, minus infinity blocks, and extents of 1 repeat."""
    random = np.random.default_rng(len(shape) + sum(shape))
    keep = random.random(shape) < 0.6
    if kind == "bool":
        mask = np.asarray(keep)
    else:
        mask = np.asarray(np.where(keep, random.standard_normal(shape), -np.inf)).astype(kind)
    check(*inputs(), mask)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mask_dtype", ["bool", "float16", "float32", "float64"])
def test_masks_go_with_every_dtype(dtype: Any, mask_dtype: str) -> None:
    mask = (np.tri(5, 7) > 0) if mask_dtype == "bool" else normal(5, 7).astype(mask_dtype)
    check(*inputs(dtype=dtype), mask)


def test_masks_of_more_than_four_dimensions() -> None:
    """A mask has a part in every dimension before the last four too."""
    query, key, value = normal(2, 3, 1, 2, 4, 8), normal(2, 3, 1, 2, 5, 8), normal(2, 3, 1, 2, 5, 6)
    for shape in [(2, 3, 1, 2, 4, 5), (2, 1, 1, 1, 1, 5), (3, 1, 1, 4, 1), (1, 3, 1, 2, 4, 5), (4, 5)]:
        mask = np.random.default_rng(1).random(shape) < 0.6
        check(query, key, value, mask)


def test_the_lowest_finite_number_does_not_block() -> None:
    """Only minus infinity blocks: a row of the lowest numbers is not an empty one."""
    mask = np.full((5, 7), np.finfo(np.float32).min, np.float32)
    query, key, value = inputs()
    output, weights = scaled_dot_product_attention(query, key, value, mask, return_weights=True)
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)
    assert (output != 0).all()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("queries", "keys"), [(5, 5), (4, 9), (9, 4), (1, 8), (8, 1), (70, 65)])
@pytest.mark.parametrize(
    "where",
    [
        {},
        {"causal_alignment": "top_left"},
        {"causal_alignment": "bottom_right"},
        {"causal_offset": 0},
        {"causal_offset": 3},
        {"causal_offset": -2},
        {"causal_offset": 10**9},
        {"causal_offset": -(10**9)},
    ],
    ids=str,
)
def test_causal(queries: int, keys: int, where: dict[str, Any], path: str) -> None:
    """Key j is visible to query i if j <= i + offset."""
    query, key, value = inputs(queries=queries, keys=keys)
    check(query, key, value, is_causal=True, **where, path=path)


def test_causal_weights_are_exactly_zero_above_the_diagonal() -> None:
    query, key, value = inputs(queries=6, keys=6)
    _, weights = scaled_dot_product_attention(query, key, value, is_causal=True, return_weights=True)
    assert (weights[..., ~np.tri(6, dtype=bool)] == 0).all()
    assert (weights[..., np.tri(6, dtype=bool)] > 0).all()


def test_the_default_alignment_of_causal_is_top_left() -> None:
    """torch's meaning, and not FlashAttention's."""
    query, key, value = inputs(queries=3, keys=7)
    plain = scaled_dot_product_attention(query, key, value, is_causal=True)
    named = {
        name: scaled_dot_product_attention(query, key, value, is_causal=True, causal_alignment=name)
        for name in ("top_left", "bottom_right")
    }
    assert same_bits(plain, named["top_left"])
    assert not np.allclose(plain, named["bottom_right"])


@pytest.mark.parametrize("window", [(-1, -1), (0, 0), (2, 0), (0, 2), (-1, 1), (1, -1), (3, 4), (100, 100)])
@pytest.mark.parametrize(
    "where", [{"causal_alignment": "top_left"}, {"causal_alignment": "bottom_right"}], ids=str
)
@pytest.mark.parametrize("is_causal", [False, True])
def test_window(window: tuple[int, int], where: dict[str, Any], is_causal: bool) -> None:
    """A query at position p sees keys p - left to p + right; -1 is no bound."""
    query, key, value = inputs(queries=6, keys=9)
    check(query, key, value, is_causal=is_causal, window=window, **where)


@pytest.mark.parametrize("softcap", [0.0, 0.3, 5.0, 50])
@pytest.mark.parametrize("dtype", DTYPES)
def test_softcap_comes_before_the_mask(softcap: float, dtype: Any) -> None:
    query, key, value = inputs(dtype=dtype)
    check(query, key, value, normal(5, 7) * 4, softcap=softcap, scale=2.0)


@pytest.mark.parametrize("slope_dtype", [np.float32, np.float64])
@pytest.mark.parametrize("where", [{"causal_alignment": "bottom_right"}, {"causal_offset": 2}], ids=str)
def test_alibi(slope_dtype: Any, where: dict[str, Any]) -> None:
    """-slope * |i + offset - j| is added."""
    slopes = np.array([0.5, 0.25, 0.125], slope_dtype)
    check(*inputs(), alibi_slopes=slopes, **where)
    check(*inputs(), alibi_slopes=slopes, is_causal=True, **where)


@pytest.mark.parametrize("sink_dtype", [np.float32, np.float64])
def test_sinks(sink_dtype: Any) -> None:
    """A sink takes its share of every softmax, and the lse of a row that sees nothing is the sink."""
    sinks = np.array([0.5, -1.0, 3.0], sink_dtype)
    mask = np.ones((5, 7), bool)
    mask[2] = False
    query, key, value = inputs()
    check(query, key, value, mask, sinks=sinks, softcap=2.0)
    output, weights, lse = scaled_dot_product_attention(
        query, key, value, mask, sinks=sinks, return_weights=True, return_lse=True
    )
    np.testing.assert_allclose(weights.sum(-1), 1 - np.exp(sinks[:, None] - lse), atol=2e-6)
    assert (output[:, :, 2] == 0).all() and (weights[:, :, 2] == 0).all()
    np.testing.assert_array_equal(lse[:, :, 2], np.broadcast_to(sinks.astype(np.float32), (2, 3)))


@pytest.mark.parametrize("length_dtype", [np.int32, np.int64])
@pytest.mark.parametrize(
    "positions",
    [
        {},
        {"is_causal": True},
        {"is_causal": True, "causal_alignment": "bottom_right"},
        {"window": (1, 0), "causal_alignment": "bottom_right"},
    ],
    ids=str,
)
def test_key_lengths(length_dtype: Any, positions: dict[str, Any]) -> None:
    """Keys at or past a length are blocked, and bottom_right counts from each length."""
    check(*inputs(batch=3), key_lengths=np.array([7, 3, 0], length_dtype), **positions)


def test_keys_past_the_length_reach_nothing() -> None:
    """Not one bit depends on what lies past a key length."""
    query, key, value = inputs()
    lengths = np.array([4, 2])
    clean = scaled_dot_product_attention(query, key, value, key_lengths=lengths, return_weights=True)
    for b, length in enumerate(lengths):
        key[b, :, length:] = np.nan
        value[b, :, length:] = np.inf
    dirty = scaled_dot_product_attention(query, key, value, key_lengths=lengths, return_weights=True)
    assert all(same_bits(a, b) for a, b in zip(clean, dirty, strict=True))


@pytest.mark.parametrize("path", PATHS)
def test_blocked_keys_reach_nothing(path: str) -> None:
    """A NaN in a blocked key or value touches no row, and one in a visible key exactly those that see it."""
    query, key, value = inputs()
    mask = np.ones((5, 7), bool)
    mask[:, 3] = False
    mask[1, 3] = True
    clean = scaled_dot_product_attention(query, key, value, mask, path=path)
    key[:, :, 3], value[:, :, 3] = np.nan, np.nan
    dirty = scaled_dot_product_attention(query, key, value, mask, path=path)
    assert np.isnan(dirty[:, :, 1]).all()
    others = [0, 2, 3, 4]
    assert same_bits(clean[:, :, others], dirty[:, :, others])


@on_every_path
@pytest.mark.parametrize(
    "blocking",
    [
        {"attn_mask": np.zeros((5, 7), bool)},
        {"attn_mask": np.full((5, 7), -np.inf, np.float32)},
        {"is_causal": True, "causal_offset": -9},
        {"window": (0, 0), "causal_offset": 50},
        {"key_lengths": np.array([0, 0])},
    ],
    ids=["bool", "additive", "causal", "window", "key_lengths"],
)
def test_fully_masked_rows_are_zero(blocking: dict[str, Any], path: str, dtype: Any) -> None:
    """Output 0, weights 0, lse -inf: never NaN, whatever masks the row."""
    output, weights, lse = scaled_dot_product_attention(
        *inputs(dtype=dtype), **blocking, path=path, return_weights=True, return_lse=True
    )
    assert (output == 0).all() and (weights == 0).all() and (lse == -np.inf).all()


@pytest.mark.parametrize(("heads", "key_heads"), [(6, 6), (6, 3), (6, 2), (6, 1)])
@pytest.mark.parametrize("rank", [3, 4, 5])
def test_grouped_heads(heads: int, key_heads: int, rank: int) -> None:
    """Query head h uses key head h / (H / Hkv); the bits are those of repeated heads."""
    outer = (2, 2)[: rank - 3]
    query, key = normal(*outer, heads, 5, 8), normal(*outer, key_heads, 7, 8, seed=1)
    value = normal(*outer, key_heads, 7, 6, seed=2)
    check(query, key, value, enable_gqa=True)
    repeated = [np.repeat(array, heads // key_heads, axis=-3) for array in (key, value)]
    assert same_bits(
        scaled_dot_product_attention(query, key, value, enable_gqa=True),
        scaled_dot_product_attention(query, *repeated),
    )


@pytest.mark.parametrize("scale", [None, 0.0, 1, 0.125, -2.0, np.float32(0.3)])
def test_scale(scale: float | None) -> None:
    """1 / sqrt(E) unless given."""
    check(*inputs(), scale=scale)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shapes",
    [
        ((2, 3, 0, 8), (2, 3, 7, 8), (2, 3, 7, 6)),
        ((2, 3, 5, 8), (2, 3, 0, 8), (2, 3, 0, 6)),
        ((2, 3, 5, 0), (2, 3, 7, 0), (2, 3, 7, 6)),
        ((2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 0)),
        ((0, 3, 5, 8), (0, 3, 7, 8), (0, 3, 7, 6)),
        ((2, 0, 3, 5, 8), (2, 0, 3, 7, 8), (2, 0, 3, 7, 6)),
        ((0, 8), (0, 8), (0, 6)),
        ((5, 0), (0, 0), (0, 0)),
    ],
    ids=str,
)
def test_empty_dimensions(shapes: tuple[tuple[int, ...], ...], dtype: Any) -> None:
    """Empty is legal: no keys give 0 and -inf, no features make every score 0."""
    query, key, value = (normal(*shape, dtype=dtype) for shape in shapes)
    check(query, key, value)


def test_no_features_make_every_score_zero_whatever_the_scale() -> None:
    query, key, value = np.zeros((5, 0), np.float32), np.zeros((4, 0), np.float32), normal(4, 3)
    output, weights = scaled_dot_product_attention(query, key, value, scale=1e30, return_weights=True)
    assert (weights == 0.25).all()
    np.testing.assert_allclose(output, np.broadcast_to(value.mean(0), (5, 3)), atol=1e-6)


@on_every_path
def test_asking_for_more_changes_no_bit(dtype: Any, path: str) -> None:
    """Weights and lse come beside the same output, in the order (output, weights, lse)."""
    query, key, value = inputs(queries=33, keys=70, dtype=dtype)

    def attend(**wanted: bool) -> Any:
        return scaled_dot_product_attention(query, key, value, is_causal=True, path=path, **wanted)

    output = attend()
    with_weights, weights = attend(return_weights=True)
    with_lse, lse = attend(return_lse=True)
    with_both, both_weights, both_lse = attend(return_weights=True, return_lse=True)
    assert all(same_bits(output, other) for other in (with_weights, with_lse, with_both))
    assert same_bits(weights, both_weights) and same_bits(lse, both_lse)
    real = np.float64 if dtype == np.float64 else np.float32
    assert weights.dtype == lse.dtype == real


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(2, 3, 5, 6), (5, 6), (2, 1, 2, 3, 5, 6)], ids=str)
def test_out(shape: tuple[int, ...], dtype: Any) -> None:
    """The output goes into `out`, with the same bits, and the very object is returned."""
    *outer, queries, value_features = shape
    query, key = normal(*outer, queries, 8, dtype=dtype), normal(*outer, 7, 8, dtype=dtype)
    value = normal(*outer, 7, value_features, dtype=dtype)
    out = np.full(shape, 7, dtype)
    output, weights = scaled_dot_product_attention(query, key, value, out=out, return_weights=True)
    assert output is out
    assert same_bits(out, scaled_dot_product_attention(query, key, value))
    assert weights.shape == (*outer, queries, 7)


@pytest.mark.parametrize("layout", ["transposed", "sliced", "reversed"])
def test_out_of_any_strides(layout: str) -> None:
    """An `out` of other strides is written in place, and nothing beside it."""
    query, key, value = inputs()
    buffer = np.full((4, 6, 10, 12), 7, np.float32)
    view = {
        "transposed": buffer[:2, :5, :3, :6].swapaxes(1, 2),
        "sliced": buffer[::2, ::2, ::2, ::2],
        "reversed": buffer[1::-1, 2::-1, 4::-1, 5::-1],
    }[layout]
    assert scaled_dot_product_attention(query, key, value, out=view) is view
    np.testing.assert_array_equal(view, scaled_dot_product_attention(query, key, value))
    written = view.copy()
    view[...] = 7
    assert (buffer == 7).all(), "written outside of out"
    assert (written != 7).all()


def test_out_between_the_rows_of_an_input_is_no_overlap() -> None:
    """A slot of the packed buffer of its inputs is a place of its own."""
    packed = normal(2, 5, 4, 3, 8)
    query, key, value, slot = (packed[:, :, n].swapaxes(1, 2) for n in range(4))
    expected = scaled_dot_product_attention(query, key, value)
    scaled_dot_product_attention(query, key, value, out=slot)
    np.testing.assert_array_equal(slot, expected)


@on_every_path
def test_threads_change_no_bit(dtype: Any, path: str) -> None:
    query, key, value = inputs(queries=150, keys=130, features=33, dtype=dtype)

    def attend(threads: int) -> Any:
        return scaled_dot_product_attention(
            query,
            key,
            value,
            is_causal=True,
            path=path,
            threads=threads,
            return_weights=True,
            return_lse=True,
        )

    one = attend(1)
    for threads in (0, 2, 3, 7):
        assert all(same_bits(a, b) for a, b in zip(one, attend(threads), strict=True))


def test_the_default_number_of_threads_changes_no_bit() -> None:
    before = attention_cpp.get_num_threads()
    query, key, value = inputs(queries=150, keys=130)
    try:
        results = []
        for threads in (1, 2, 5):
            attention_cpp.set_num_threads(threads)
            assert attention_cpp.get_num_threads() == attention_cpp.info()["threads"] == threads
            results.append(scaled_dot_product_attention(query, key, value))
    finally:
        attention_cpp.set_num_threads(before)
    assert same_bits(results[0], results[1]) and same_bits(results[0], results[2])


@pytest.mark.parametrize("path", ["fused", "reference"])
def test_the_batch_changes_no_bit(path: str) -> None:
    """A result does not depend on what else is in the batch, nor on the rank it came in."""
    query, key, value = inputs(batch=3, queries=40, keys=50)
    whole = scaled_dot_product_attention(query, key, value, is_causal=True, path=path)
    for b in range(3):
        alone = scaled_dot_product_attention(query[b], key[b], value[b], is_causal=True, path=path)
        assert same_bits(whole[b], alone)
    deeper = scaled_dot_product_attention(
        query[:, None], key[:, None], value[:, None], is_causal=True, path=path
    )
    assert same_bits(whole, deeper[:, 0])


@pytest.mark.parametrize("path", ["fused", "reference"])
def test_a_prefill_in_chunks_gives_the_bits_of_the_whole(path: str) -> None:
    query, key, value = inputs(queries=40, keys=40)
    whole = scaled_dot_product_attention(query, key, value, is_causal=True, path=path)
    chunks = [
        scaled_dot_product_attention(
            query[:, :, at : at + 16], key, value, is_causal=True, causal_offset=at, path=path
        )
        for at in range(0, 40, 16)
    ]
    assert same_bits(whole, np.concatenate(chunks, axis=2))


def test_the_reference_of_these_tests_by_hand() -> None:
    """The judge is judged: two keys, one query, numbers that can be checked on paper."""
    query, key, value = np.array([[2.0]]), np.array([[0.0], [1.0]]), np.array([[10.0], [20.0]])
    result = attention(query, key, value, scale=0.5)
    share = np.e / (1 + np.e)
    np.testing.assert_allclose(result.weights, [[1 - share, share]], rtol=1e-15)
    np.testing.assert_allclose(result.output, [[10 + 10 * share]], rtol=1e-15)
    np.testing.assert_allclose(result.lse, [np.log(1 + np.e)], rtol=1e-15)
