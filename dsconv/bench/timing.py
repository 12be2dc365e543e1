"""Interleaved timing: functions in turn, A B A B ..., so that a slow moment hits them all."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any

Function = Callable[[], Any]

LEAST = 2e-3  # seconds that one measurement takes at least


def rounds(
    functions: Sequence[Function], repeats: int, least: float = LEAST
) -> Iterator[tuple[float, ...]]:
    """Time the functions in turn, `repeats` times.

    A function that is quicker than `least` is called as often as it takes to last that long, and
    the time is divided by the number of calls, which is found before the first round. One more
    call before each measurement, not timed, brings the function's data back into the caches.

    Parameters
    ----------
    functions
        They take no arguments.
    repeats
        Number of rounds.
    least
        In seconds.

    Yields
    ------
    tuple of float
        Seconds per call of each function, once for every round. A caller that leaves early keeps
        what it has got, and may do other work between the rounds.
    """
    calls = [calls_for(function, least) for function in functions]
    for _ in range(repeats):
        times = []
        for function, n in zip(functions, calls, strict=True):
            function()  # its data are in the caches again, after the others' turns
            times.append(seconds(function, n) / n)
        yield tuple(times)


def calls_for(function: Function, least: float = LEAST) -> int:
    """How many calls of `function` last at least `least` seconds; the first one warms up."""
    function()
    calls = 1
    while (time := seconds(function, calls)) < least:
        calls = max(2 * calls, math.ceil(calls * least / max(time, least / 100)))
    return calls


def seconds(function: Function, calls: int = 1) -> float:
    """Seconds that so many calls take together."""
    start = perf_counter()
    for _ in range(calls):
        function()
    return perf_counter() - start
