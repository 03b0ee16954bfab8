"""Checks of the types of options, so that a message names the option."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np


# What options are most often: asking an abstract base class takes longer than a small problem.
_PLAIN_NUMBERS = (float, int)


def _refuse(function: str, name: str, expected: str, value: Any) -> None:
    raise TypeError(f"{function}: {name} must be {expected}; found {type(value).__name__} {value!r}")


def check_number(function: str, name: str, value: Any, *, optional: bool = False) -> None:
    """Raises TypeError unless `value` is a real number, or None if that is allowed."""
    if type(value) not in _PLAIN_NUMBERS and not ((optional and value is None) or isinstance(value, Real)):
        _refuse(function, name, "a number" + (" or None" if optional else ""), value)


def check_integer(function: str, name: str, value: Any, *, optional: bool = False) -> None:
    """Raises TypeError unless `value` is an integer, or None if that is allowed."""
    if type(value) is not int and not ((optional and value is None) or isinstance(value, Integral)):
        _refuse(function, name, "an integer" + (" or None" if optional else ""), value)


def check_flag(function: str, name: str, value: Any) -> None:
    """Raises TypeError unless `value` is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        _refuse(function, name, "True or False", value)


def check_text(function: str, name: str, value: Any, *, optional: bool = False) -> None:
    """Raises TypeError unless `value` is a string, or None if that is allowed."""
    if not (isinstance(value, str) or (optional and value is None)):
        _refuse(function, name, "a string" + (" or None" if optional else ""), value)


def check_pair(function: str, name: str, value: Any) -> None:
    """Raises TypeError unless `value` is a sequence of two integers, or None."""
    if value is None:
        return
    pair = isinstance(value, Sequence) and len(value) == 2 and all(isinstance(n, Integral) for n in value)
    if not pair:
        _refuse(function, name, "a pair of integers or None", value)
