"""Check numbers out of arguments or files: errors name them and say what is allowed."""

from __future__ import annotations

import operator
from numbers import Real
from typing import Any

Pair = int | tuple[int, int]
LARGEST = 2**31 - 1  # kernel, stride, dilation, padding: sums and products stay within 64 bits


def integer(value: Any, name: str, minimum: int = 1) -> int:
    """Return `value` as an int of at least `minimum`; bool and float are refused."""
    if type(value) is not int:  # nearly always it is, and each operation asks a dozen times
        if isinstance(value, bool):
            raise TypeError(f"{name} must be an integer, got {value!r}")
        try:
            value = operator.index(value)
        except TypeError:
            raise TypeError(f"{name} must be an integer, got {value!r}") from None
    number: int = value
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {number}")
    return number


def pixels(value: Any, name: str, minimum: int = 1) -> int:
    """Return `value` as an int from `minimum` to LARGEST."""
    if type(value) is int and minimum <= value <= LARGEST:  # nearly always
        return value
    number = integer(value, name, minimum)
    if number > LARGEST:
        raise ValueError(f"{name} must be at most {LARGEST}, got {number}")
    return number


def pair(value: Any, name: str, minimum: int = 1) -> tuple[int, int]:
    """Return an int or a (rows, columns) pair as a pair of ints of at least `minimum`."""
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ValueError(f"{name} must be an int or a pair (rows, columns), got {value!r}")
        return pixels(value[0], name, minimum), pixels(value[1], name, minimum)
    number = pixels(value, name, minimum)
    return number, number


def real(value: Any, name: str) -> float:
    """Return `value` as a float; bool and text are refused."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} is too large for a float") from None


def bounds(value: Any, name: str) -> tuple[float, float]:
    """Return a pair (low, high) of floats with low <= high; either may be infinite."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{name} must be a pair (low, high), got {value!r}")
    low, high = real(value[0], name), real(value[1], name)
    if not low <= high:
        raise ValueError(f"{name} must be low <= high, neither NaN, got {(low, high)}")
    return low, high
