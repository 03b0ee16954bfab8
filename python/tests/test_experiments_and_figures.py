"""The experiments' results, and the pictures of weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attention_cpp import Figure, experiments, heatmap
from attention_cpp.experiments import ExperimentResult

from checks import same_bits
from reference import Array, attention, multi_head_attention

NAMES = ["pattern", "fibonacci", "sequential", "uniform", "focused"]
VERDICTS = {"proved", "impossible", "chance", "measured", "differs"}
PNG, PDF = b"\x89PNG\r\n\x1a\n", b"%PDF-"
BEGINNINGS = {".png": PNG, ".svg": b"<?xml", ".pdf": PDF}


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def weights_of(*shape: int) -> Array:
    powers = np.exp(normal(*shape))
    return powers / powers.sum(-1, keepdims=True)


# Experiments.


def test_names() -> None:
    """The names that run takes, each of which is a function too."""
    assert experiments.names() == NAMES
    for name in NAMES:
        assert getattr(experiments, name)(seeds=0).name == name


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_fields(name: str, heads: int) -> None:
    """Shapes, dtypes and what must be so of every result."""
    result = experiments.run(name, seed=7, seeds=200, heads=heads)
    assert isinstance(result, ExperimentResult)
    assert result.name == name and result.title and result.seed == 7
    length, features = result.tokens.shape
    assert len(result.labels) == length and all(isinstance(label, str) for label in result.labels)
    for array, shape, dtype in [
        (result.tokens, (length, features), np.float32),
        (result.weights, (heads, length, length), np.float32),
        (result.output, (length, features), np.float32),
        (result.control_weights, (1, length, length), np.float32),
        (result.mean, (length, length), np.float64),
        (result.standard_deviation, (length, length), np.float64),
        (result.largest_share, (length, length), np.float64),
    ]:
        assert type(array) is np.ndarray and array.shape == shape and array.dtype == dtype
    for rows in (result.weights, result.control_weights, result.mean, result.largest_share):
        np.testing.assert_allclose(rows.sum(-1), 1, atol=1e-5)
        assert (rows >= 0).all()
    assert (result.standard_deviation >= 0).all()
    assert list(result.parameters) == [f"W_{which}.{part}" for which in "qkvo" for part in ("weight", "bias")]


@pytest.mark.parametrize("name", NAMES)
def test_weights_follow_from_parameters_and_tokens(name: str) -> None:
    """The one draw and the control are attention over the tokens, nothing else."""
    result = experiments.run(name, seed=3, seeds=0, heads=2)
    x = result.tokens[None]
    output, weights = multi_head_attention(result.parameters, 2, x, x, x)
    np.testing.assert_allclose(result.weights, weights[0], atol=1e-6)
    np.testing.assert_allclose(result.output, output[0], atol=1e-6)
    control = attention(result.tokens, result.tokens, result.tokens).weights
    np.testing.assert_allclose(result.control_weights[0], control, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_claims_and_effects(name: str) -> None:
    """Dictionaries with the fields of docs/experiment-json.md."""
    result = experiments.run(name, seeds=200)
    assert result.claims
    for claim in result.claims:
        assert {"id", "statement", "published", "exact", "proof", "verdict", "events"} <= claim.keys()
        assert claim["verdict"] in VERDICTS and claim["events"]
        for event in claim["events"]:
            fields = {"label", "one_draw", "control", "exact", "count", "probability", "interval"}
            assert fields <= event.keys()
            assert isinstance(event["one_draw"], bool) and isinstance(event["control"], bool)
            low, high = event["interval"]
            assert 0 <= low <= event["probability"] <= high <= 1
            assert event["count"] == pytest.approx(event["probability"] * 200)
            assert event["exact"] is None or 0 <= event["exact"] <= 1
    for effect in result.effects:
        assert {"id", "statement", "one_draw", "control", "exact_mean"} <= effect.keys()


def test_effects_have_the_documented_fields() -> None:
    """Those of docs/experiment-json.md: what was published, the proof, and the moments over the seeds."""
    documented = {"published", "proof", "mean", "standard_error", "standard_deviation", "minimum", "maximum"}
    documented |= {"middle_95_percent", "rank_of_one_draw"}
    for name in NAMES:
        for effect in experiments.run(name, seeds=200).effects:
            assert documented - effect.keys() == set()


def test_effects_over_seeds() -> None:
    effects = experiments.pattern(seeds=150).effects
    assert effects
    for effect in effects:
        assert effect["over_seeds"].shape == (150,) and effect["over_seeds"].dtype == np.float64
    assert experiments.pattern().effects[0]["over_seeds"].shape == (10_000,), "the default"


@pytest.mark.parametrize("name", NAMES)
def test_without_seeds_there_is_no_distribution(name: str) -> None:
    result = experiments.run(name, seeds=0)
    assert result.mean is None and result.standard_deviation is None and result.largest_share is None


def test_without_seeds_no_event_has_a_count() -> None:
    """A probability of 0 that nobody measured would be a wrong one: the fields are absent, or None."""
    for name in NAMES:
        for claim in experiments.run(name, seeds=0).claims:
            for event in claim["events"]:
                assert [event.get(field) for field in ("count", "probability", "interval")] == [None] * 3


def test_settings() -> None:
    """A seed is a draw, the defaults are what they say, and threads change nothing."""
    first, again, other = (experiments.pattern(seed=seed, seeds=100) for seed in (42, 42, 43))
    assert same_bits(first.weights, again.weights) and not same_bits(first.weights, other.weights)
    assert experiments.pattern(seeds=0).seed == 42
    assert same_bits(first.mean, other.mean), "the distribution is over the seeds 0 .. seeds - 1"
    for threads in (1, 2, 3):
        result = experiments.pattern(seeds=1000, threads=threads)
        assert same_bits(result.mean, experiments.pattern(seeds=1000).mean)
    sharper = experiments.pattern(seeds=0, score_factor=50.0)
    assert sharper.weights.max() > first.weights.max()
    flat = experiments.pattern(seeds=0, score_factor=0.0)
    np.testing.assert_allclose(flat.weights, 1 / 6, atol=1e-6)


def test_the_mean_is_over_the_seeds() -> None:
    """Cell by cell the mean of the single draws."""
    draws = [experiments.fibonacci(seed=seed, seeds=0, heads=2).weights for seed in range(5)]
    result = experiments.fibonacci(seeds=5, heads=2)
    np.testing.assert_allclose(result.mean, np.mean(draws, axis=(0, 1), dtype=np.float64), atol=1e-9)
    np.testing.assert_allclose(
        result.standard_deviation, np.std(np.concatenate(draws).astype(np.float64), axis=0, ddof=1), rtol=0.2
    )


@pytest.mark.parametrize("labels", [None, ["first", "second", "third", 4, "fifth"]])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_tokens_of_ones_own(dtype: Any, labels: list[Any] | None) -> None:
    """Any array (L, E) of numbers; labels are texts, "0", "1", ... unless given."""
    tokens = (normal(4, 5) * 3).T.astype(dtype)
    result = experiments.run(tokens, labels=labels, seeds=20, heads=2)
    np.testing.assert_array_equal(result.tokens, tokens.astype(np.float32))
    assert result.labels == [str(label) for label in labels or range(5)]
    assert result.weights.shape == (2, 5, 5) and result.mean is not None
    np.testing.assert_allclose(result.weights.sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("error", "experiment", "settings", "message"),
    [
        (ValueError, "patern", {}, "name must be one of pattern, .*; found 'patern'"),
        (ValueError, "", {}, "name must be one of"),
        (ValueError, "pattern", {"heads": 3}, "heads must divide.*found heads 3"),
        (ValueError, "pattern", {"heads": 0}, "heads must.*found"),
        (ValueError, "pattern", {"seeds": -1}, "seeds must not be negative; found -1"),
        (ValueError, "pattern", {"score_factor": float("nan")}, "score.factor must be finite; found nan"),
        (ValueError, "pattern", {"threads": -1, "seeds": 0}, "threads must be 0 .*found -1"),
        (ValueError, "pattern", {"labels": ["a"]}, "labels.*found both"),
        (ValueError, np.ones((3, 4)), {"labels": ["a"]}, "label.*found 1"),
        (ValueError, np.ones(3), {}, r"tokens must have the shape.*found \(3,\)"),
        (ValueError, np.ones((0, 3)), {}, r"tokens must have the shape.*found \(0, 3\)"),
        (ValueError, np.full((3, 4), np.inf), {}, "tokens must be finite"),
        (TypeError, [[1.0, 2.0]], {}, "tokens must be an array.*found list"),
        (TypeError, None, {}, "tokens must be an array.*found NoneType"),
        (
            TypeError,
            np.ones((3, 4), complex),
            {},
            "tokens must hold numbers.*found ndarray of dtype complex128",
        ),
    ],
)
def test_what_experiments_refuse(
    error: type[BaseException], experiment: Any, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(error, match=message):
        experiments.run(experiment, **({"seeds": 10} | settings))


def test_results_draw_themselves() -> None:
    """One head is one panel; more heads are more panels; options go through."""
    for heads in (1, 2):
        result = experiments.pattern(seeds=0, heads=heads)
        svg = result.heatmap().to_svg()
        assert svg.count("<svg") == 1
        assert result.heatmap(colormap="viridis", title="mine").to_svg() != svg


# Figures.


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 5), (1, 2, 3, 5), (1, 1)], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int64, np.bool_])
def test_pictures_of_every_shape(shape: tuple[int, ...], dtype: Any) -> None:
    """(L, S), (H, L, S) or (1, H, L, S), of any numbers."""
    figure = heatmap(weights_of(*shape).astype(dtype))
    assert isinstance(figure, Figure)
    assert figure.to_svg().startswith("<?xml") and "<svg" in figure.to_svg()
    assert figure.to_png().startswith(PNG)


def test_pictures_of_views() -> None:
    """Strides are no matter."""
    weights = weights_of(4, 6)
    assert heatmap(weights.T[::-1]).to_png() == heatmap(np.ascontiguousarray(weights.T[::-1])).to_png()


def test_a_notebook_shows_it() -> None:
    figure = heatmap(weights_of(3, 3))
    assert figure._repr_svg_() == figure.to_svg()
    assert figure._repr_png_() == figure.to_png()


def size_of_png(png: bytes) -> tuple[int, int]:
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


def test_the_scale_of_a_png() -> None:
    """Pixels per unit: twice the scale, twice the size; the default is 2."""
    figure = heatmap(weights_of(3, 3))
    one, two = (size_of_png(figure.to_png(scale=scale)) for scale in (1, 2))
    assert abs(two[0] - 2 * one[0]) <= 2 and abs(two[1] - 2 * one[1]) <= 2
    assert size_of_png(figure.to_png()) == two
    for scale in (0, -1, 1000, float("nan")):
        with pytest.raises(ValueError, match="scale must.*found"):
            figure.to_png(scale=scale)


@pytest.mark.parametrize("colormap", ["blues", "viridis", "cividis", "diverging"])
@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("shared_scale", [True, False])
def test_looks(colormap: str, scale: str, shared_scale: bool) -> None:
    figure = heatmap(
        weights_of(2, 3, 3),
        labels=["a", "b", "c"],
        title="Title",
        colormap=colormap,
        scale=scale,
        shared_scale=shared_scale,
    )
    if (colormap, scale) == ("diverging", "log"):
        with pytest.raises(ValueError, match="diverging.*linear scale; found"):
            figure.to_png()
    else:
        assert figure.to_png().startswith(PNG)


def test_each_look_is_its_own() -> None:
    """An option that changes nothing would be forgotten on the way."""
    weights = weights_of(2, 3, 3)
    weights[0] *= 0.1
    looks: list[dict[str, Any]] = [
        {},
        {"colormap": "viridis"},
        {"colormap": "cividis"},
        {"colormap": "diverging"},
        {"scale": "log"},
        {"shared_scale": False},
        {"title": "Title"},
        {"labels": ["x", "y", "z"]},
        {"row_labels": ["x", "y", "z"]},
        {"column_labels": ["x", "y", "z"]},
    ]
    pictures = [heatmap(weights, **look).to_png() for look in looks]
    assert len(set(pictures)) == len(pictures)


def test_labels() -> None:
    """One for each position; row and column labels where the two differ; numbers are texts."""
    weights = weights_of(2, 3)
    heatmap(weights, row_labels=["a", "b"], column_labels=[1, 2, 3]).to_svg()
    assert (
        heatmap(weights_of(3, 3), ["a", "b", "c"]).to_png()
        == heatmap(weights_of(3, 3), row_labels=["a", "b", "c"], column_labels=["a", "b", "c"]).to_png()
    )


@pytest.mark.parametrize(
    ("error", "weights", "options", "message"),
    [
        (ValueError, weights_of(3, 3), {"labels": ["a", "b"]}, "labels must be one for each of 3; found 2"),
        (
            ValueError,
            weights_of(2, 3),
            {"labels": ["a", "b"]},
            "column.labels must be one for each of 3; found 2",
        ),
        (
            ValueError,
            weights_of(2, 3),
            {"labels": ["a", "b", "c"]},
            "row.labels must be one for each of 2; found 3",
        ),
        (ValueError, weights_of(2, 3), {"row_labels": []}, "row.labels must be one for each of 2; found 0"),
        (
            ValueError,
            weights_of(2, 3, 3),
            {"column_labels": ["a"]},
            "column.labels must be one for each of 3; found 1",
        ),
        (ValueError, weights_of(3), {}, r"weights must have the shape.*found \(3,\)"),
        (ValueError, np.ones((1, 1, 1, 3, 3)), {}, r"weights must have the shape.*found \(1, 1, 1, 3, 3\)"),
        (ValueError, np.ones((2, 1, 3, 3)), {}, r"weights of a batch.*found \(2, 1, 3, 3\)"),
        (
            ValueError,
            weights_of(3, 3),
            {"colormap": "jet"},
            "colormap must be one of 'blues', .*; found 'jet'",
        ),
        (
            ValueError,
            weights_of(3, 3),
            {"scale": "cubic"},
            "scale must be one of 'linear', 'log'; found 'cubic'",
        ),
        (TypeError, [[1.0]], {}, "weights must be an array.*found list"),
        (TypeError, None, {}, "weights must be an array.*found NoneType"),
        (
            TypeError,
            np.ones((3, 3), complex),
            {},
            "weights must hold numbers.*found ndarray of dtype complex128",
        ),
    ],
)
def test_what_heatmap_refuses(
    error: type[BaseException], weights: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(error, match=message):
        heatmap(weights, **options)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (0, 3, 3)], ids=str)
def test_nothing_to_draw(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="found"):
        heatmap(np.zeros(shape)).to_svg()


# Files.


@pytest.mark.parametrize("name", ["a.png", "a.svg", "a.pdf", "a.b.PNG", "ä ö.svg"])
@pytest.mark.parametrize("kind", [str, Path])
def test_save(tmp_path: Path, name: str, kind: Any) -> None:
    """The format is that of the extension, in whichever case; a path is a str or any path object."""
    path = tmp_path / name
    assert heatmap(weights_of(3, 3), title="Title").save(kind(path)) is None
    assert path.read_bytes().startswith(BEGINNINGS[path.suffix.lower()])
    assert os.listdir(tmp_path) == [name], "nothing else is left in the folder"


def test_save_writes_what_the_methods_return(tmp_path: Path) -> None:
    figure = heatmap(weights_of(3, 3))
    figure.save(tmp_path / "a.png")
    figure.save(tmp_path / "b.png", scale=1.0)
    figure.save(tmp_path / "a.svg")
    assert (tmp_path / "a.png").read_bytes() == figure.to_png()
    assert (tmp_path / "b.png").read_bytes() == figure.to_png(scale=1.0)
    assert (tmp_path / "a.svg").read_text() == figure.to_svg()


def test_save_replaces_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("an older file, and a longer one" * 10_000)
    heatmap(weights_of(3, 3)).save(path)
    assert path.read_bytes() == heatmap(weights_of(3, 3)).to_png()


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.png.txt", ".png"])
def test_an_extension_that_is_no_format(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="extension must be .png, .svg or .pdf; found"):
        heatmap(weights_of(3, 3)).save(tmp_path / name)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["a.png", "a.svg", "a.pdf"])
def test_a_folder_that_cannot_be_written_to(tmp_path: Path, name: str) -> None:
    """The error names the path, and nothing is left behind."""
    (tmp_path / "file").write_text("no folder")
    figure = heatmap(weights_of(3, 3))
    for folder in ("missing", "file"):
        with pytest.raises((OSError, RuntimeError)) as caught:
            figure.save(tmp_path / folder / name)
        assert str(tmp_path / folder / name) in str(caught.value)
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "no folder"


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write to every folder")
def test_a_folder_without_the_right_to_write(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    with pytest.raises((OSError, RuntimeError), match="locked"):
        heatmap(weights_of(3, 3)).save(folder / "a.png")
    assert os.listdir(folder) == []


def test_a_failure_leaves_the_older_file(tmp_path: Path) -> None:
    """Whole or not at all: a figure that cannot be drawn does not touch the file."""
    path = tmp_path / "a.png"
    path.write_text("older")
    with pytest.raises(ValueError, match="scale"):
        heatmap(weights_of(3, 3)).save(path, scale=-1)
    assert path.read_text() == "older" and os.listdir(tmp_path) == ["a.png"]


@pytest.mark.parametrize("path", [3, None, 1.5], ids=repr)
def test_a_path_that_is_none(path: Any) -> None:
    with pytest.raises(TypeError, match="(?i)path") as caught:
        heatmap(weights_of(3, 3)).save(path)
    assert "incompatible function arguments" not in str(caught.value)


def test_a_path_of_bytes(tmp_path: Path) -> None:
    """Either it is a path, as everywhere in Python, or it is a TypeError."""
    path = tmp_path / "a.png"
    try:
        heatmap(weights_of(3, 3)).save(os.fsencode(path))
    except TypeError:
        assert os.listdir(tmp_path) == []
    else:
        assert path.read_bytes().startswith(PNG)
