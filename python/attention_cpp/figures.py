"""Pictures of attention weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import _core


def heatmap(
    weights: Any,
    labels: Sequence[str] | None = None,
    *,
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
    title: str = "",
    colormap: str = "blues",
    scale: str = "linear",
    shared_scale: bool = True,
) -> _core.Figure:
    """Draws attention weights: one row for each query, one column for each key.

    Args:
        weights: (L, S), or (H, L, S) or (1, H, L, S) for one panel to a head.
        labels: one for each position of queries and keys alike.
        row_labels, column_labels: where the two differ.
        title: above the figure.
        colormap: ``"blues"``, ``"viridis"``, ``"cividis"`` or ``"diverging"``.
        scale: ``"linear"`` or ``"log"``.
        shared_scale: whether the panels have one colour scale.

    Returns:
        A figure that a notebook shows; ``.save(path)`` writes PNG, SVG or PDF.

    Raises:
        ValueError: the shape is another one, or there is not one label to a row and column.
    """
    rows = labels if row_labels is None else row_labels
    columns = labels if column_labels is None else column_labels
    return _core.heatmap(
        weights,
        row_labels=None if rows is None else [str(label) for label in rows],
        column_labels=None if columns is None else [str(label) for label in columns],
        title=title,
        colormap=colormap,
        scale=scale,
        shared_scale=shared_scale,
    )
