"""The experiments on untrained attention: one draw, the distribution over seeds, and the proofs.

    >>> result = attention_cpp.experiments.pattern(seed=42)
    >>> result.heatmap().save("pattern.png")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from .figures import heatmap


@dataclass(frozen=True)
class ExperimentResult:
    """What an experiment found. L tokens of E features, H heads.

    ``claims`` and ``effects`` are dictionaries with the fields of docs/experiment-json.md.
    """

    name: str
    title: str
    labels: list[str]
    tokens: NDArray[np.float32]
    """(L, E)."""
    seed: int
    parameters: dict[str, NDArray[np.float32]]
    weights: NDArray[np.float32]
    """(H, L, L): the one draw."""
    output: NDArray[np.float32]
    """(L, E)."""
    control_weights: NDArray[np.float32]
    """(1, L, L): without projections, q = k = v = tokens."""
    mean: NDArray[np.float64] | None
    """(L, L), over seeds and heads; None if ``seeds`` is 0, and so are the next two."""
    standard_deviation: NDArray[np.float64] | None
    largest_share: NDArray[np.float64] | None
    claims: list[dict[str, Any]] = field(repr=False)
    effects: list[dict[str, Any]] = field(repr=False)

    def heatmap(self, **options: Any) -> _core.Figure:
        """The weights of the one draw; options as of ``attention_cpp.heatmap``."""
        weights = self.weights if len(self.weights) > 1 else self.weights[0]
        options.setdefault("labels", self.labels)
        options.setdefault("title", f"{self.title}: untrained, seed {self.seed}")
        return heatmap(weights, **options)


def names() -> list[str]:
    """The names that ``run`` takes."""
    return _core.experiment_names()


def run(
    experiment: str | Any,
    *,
    labels: Sequence[str] | None = None,
    seed: int = 42,
    seeds: int = 10_000,
    heads: int = 1,
    score_factor: float = 1.0,
    threads: int = 0,
) -> ExperimentResult:
    """Runs an experiment by name, or on tokens (L, E) of one's own.

    Args:
        experiment: one of ``names()``, or an array (L, E).
        labels: one for each token, for tokens of one's own.
        seed: of the draw that is shown.
        seeds: 0 .. seeds - 1 make the distribution; 0 leaves it out.
        heads: must divide E.
        score_factor: multiplies all scores.
        threads: 0 takes the default.

    Raises:
        ValueError: an unknown name, or a setting that makes no sense.
    """
    settings = {"seed": seed, "seeds": seeds, "heads": heads, "score_factor": score_factor, "threads": threads}
    if isinstance(experiment, str):
        if labels is not None:
            raise ValueError("experiment: labels are for tokens of one's own; found both a name and labels")
        return ExperimentResult(**_core.run_experiment(experiment, **settings))
    texts = None if labels is None else [str(label) for label in labels]
    return ExperimentResult(**_core.run_experiment_on_tokens(experiment, texts, **settings))


def pattern(**settings: Any) -> ExperimentResult:
    """Repeated patterns, A B C A B C; settings as of ``run``."""
    return run("pattern", **settings)


def fibonacci(**settings: Any) -> ExperimentResult:
    """The Fibonacci sequence, 1 1 2 3 5 8; settings as of ``run``."""
    return run("fibonacci", **settings)


def sequential(**settings: Any) -> ExperimentResult:
    """Sequential dependencies; settings as of ``run``."""
    return run("sequential", **settings)


def uniform(**settings: Any) -> ExperimentResult:
    """The uniform limit: equal tokens; settings as of ``run``."""
    return run("uniform", **settings)


def focused(**settings: Any) -> ExperimentResult:
    """The focused limit: one large token; settings as of ``run``."""
    return run("focused", **settings)
