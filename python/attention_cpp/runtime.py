"""Threads, and what this machine and this build are."""

from __future__ import annotations

from . import _core


def info() -> dict[str, str | int]:
    """The version, the processor, the best instruction set that it has, and the number of threads."""
    return {
        "version": _core.__version__,
        "cpu": _core.cpu(),
        "isa": _core.isa(),
        "threads": _core.num_threads(),
    }


def get_num_threads() -> int:
    """How many threads a call takes unless it says otherwise."""
    return _core.num_threads()


def set_num_threads(threads: int) -> None:
    """Sets how many threads a call takes unless it says otherwise: 1 or more, else ValueError.

    Results do not depend on it, not in one bit.
    """
    _core.set_num_threads(threads)


def copies() -> int:
    """How many arrays were read from another address than their own since the module was loaded.

    Arrays are read in place, so this stays 0 unless an array's own library copies on export.
    """
    return _core.copies()
