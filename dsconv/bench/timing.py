"""Time functions in turn, A B A B ..., so that a slow moment of the machine hits them all."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any

Function = Callable[[], Any]

LEAST = 2e-3  # shortest measurement in seconds


def rounds(
    functions: Sequence[Function], repeats: int, least: float = LEAST
) -> Iterator[tuple[float, ...]]:
    """Find out how often to call the functions, and return a measurement of them in turn.

    A function that is quicker than `least` is called several times in one measurement, and the
    time is divided by the number of calls. One call before each measurement, not timed, brings the
    function's data back into the caches.

    Parameters
    ----------
    functions
        Callables without arguments.
    repeats
        Number of rounds.
    least
        Shortest measurement in seconds.

    Returns
    -------
    iterator of tuple of float
        Seconds per call of each function, once for every round. Each step measures a round, so the
        caller may do other work between the rounds, or stop before the last one.
    """
    calls = [calls_for(function, least) for function in functions]

    def measured() -> tuple[float, ...]:
        times = []
        for function, n in zip(functions, calls, strict=True):
            function()  # brings its data into the caches again
            times.append(seconds(function, n) / n)
        return tuple(times)

    return (measured() for _ in range(repeats))


def calls_for(function: Function, least: float = LEAST) -> int:
    """Return how many calls of `function` last at least `least` seconds; the first one warms up."""
    function()
    calls = 1
    while (time := seconds(function, calls)) < least:
        calls = max(2 * calls, math.ceil(calls * least / max(time, least / 100)))
    return calls


def seconds(function: Function, calls: int = 1) -> float:
    """Return the seconds of `calls` calls together."""
    start = perf_counter()
    for _ in range(calls):
        function()
    return perf_counter() - start
