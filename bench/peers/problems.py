"""The problems that are timed: their arrays, their operations, and the float64 reference that judges them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

# Far above the error of float32 (about 1e-6 on these inputs), far below that of a 16-bit product.
TOLERANCE = 2e-5
# Rows that are checked where a reference of the whole would take long.
SAMPLED_ROWS = 64
WHOLE_UP_TO = 512


class Arrays(NamedTuple):
    """Queries (B, H, L, D), keys (B, H, S, D) and values (B, H, S, D), float32."""

    q: np.ndarray
    k: np.ndarray
    v: np.ndarray


@dataclass(frozen=True)
class Problem:
    """One attention: B = 1, H heads, L queries, S keys, D features of queries, keys and values."""

    group: str
    H: int
    L: int
    S: int
    D: int
    causal: bool = False

    @property
    def label(self) -> str:
        """The problem in words, as in 'prefill H8 D64 L512 causal'."""
        lengths = f"L{self.L}" if self.L == self.S else f"L{self.L} S{self.S}"
        return f"{self.group} H{self.H} D{self.D} {lengths} {'causal' if self.causal else 'full'}"

    @property
    def visible_cells(self) -> int:
        """Pairs of a query and a key that it sees, in all heads."""
        return self.H * (self.L * (self.L + 1) // 2 if self.causal else self.L * self.S)

    @property
    def operations(self) -> int:
        """Operations of both products: for each visible cell, a multiplication and an addition a feature."""
        return 2 * self.visible_cells * (self.D + self.D)

    @property
    def key_value_bytes(self) -> int:
        """Bytes of the keys and values."""
        return 2 * 4 * self.H * self.S * self.D

    def arrays(self) -> Arrays:
        """Standard normal numbers, the same in every run."""
        random = np.random.default_rng(0)
        shapes = [(1, self.H, length, self.D) for length in (self.L, self.S, self.S)]
        return Arrays(*(aligned(random.standard_normal(shape, dtype=np.float32)) for shape in shapes))


def aligned(array: np.ndarray) -> np.ndarray:
    """A contiguous copy that begins at a cache line: some peers copy every other array, at each call."""
    memory = np.empty(array.nbytes + 64, np.uint8)
    offset = -memory.ctypes.data % 64
    copy = memory[offset : offset + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def problems(scale: str) -> list[Problem]:
    """All problems of one scale: 'small', or 'full' with the longer sequences too."""
    lengths = [128, 512, 1024, 2048] + ([4096] if scale == "full" else [])
    found = [Problem("tutorial", 2, 6, 6, 4, causal) for causal in (False, True)]
    for D in (64, 128):
        found += [Problem("prefill", 8, L, L, D, causal) for L in lengths for causal in (False, True)]
    found += [Problem("decode", 8, 1, S, D) for D in (64, 128) for S in (4096, 32768)]
    return found


def checked_rows(problem: Problem) -> np.ndarray:
    """The queries whose results are checked: all of a short sequence, else some with first and last."""
    if problem.L <= WHOLE_UP_TO:
        return np.arange(problem.L)
    return np.linspace(0, problem.L - 1, SAMPLED_ROWS).astype(np.int64)


def reference(arrays: Arrays, causal: bool, rows: np.ndarray) -> np.ndarray:
    """The attention of some queries in float64, straight from the definition: (B, H, rows, D)."""
    q, k, v = (array.astype(np.float64) for array in arrays)
    scores = q[:, :, rows] @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1])
    if causal:
        scores = np.where(np.arange(k.shape[2]) <= rows[:, None], scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights @ v / weights.sum(axis=-1, keepdims=True)
