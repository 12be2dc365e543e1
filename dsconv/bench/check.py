"""Compare results with a reference in double precision before anything is timed.

A kernel that computes nothing looks fast. The reference is `dsconv.interpreter`, which shares
nothing with the kernels. It computes the first and the last example of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dsconv.interpreter import interpret
from dsconv.interpreter.values import evaluate
from dsconv.layers import Layer

if TYPE_CHECKING:
    from dsconv.graph import Graph

TOLERANCE = 1e-4
"""Largest error that passes, in units of the largest value. Float32 engines are within 1e-5, those
with Winograd's algorithm included; half precision rounds each value by 5e-4 or more."""


class WrongResultError(Exception):
    """A result that is too far from its reference to be timed."""


def checked(batch: int) -> list[int]:
    """Return the indices of the examples that are compared."""
    return sorted({0, batch - 1})


def layers_of(
    x: NDArray[np.float32], *steps: tuple[Layer, NDArray[np.float32]]
) -> NDArray[np.float64]:
    """Return the reference of layers with weights but without bias, one after the other."""
    y = x[checked(len(x))].astype(np.float64)
    for layer, weight in steps:
        (y,) = evaluate(layer, {"weight": weight.astype(np.float64)}, y)
    return y


def graph_of(
    graph: Graph, weights: Mapping[str, NDArray[np.float32]], x: NDArray[np.float32]
) -> tuple[NDArray[np.float64], ...]:
    """Return the reference of every output of a graph."""
    return interpret(graph, weights, x[checked(len(x))])


def error(result: NDArray[Any], expected: NDArray[np.float64], batch: int) -> float | None:
    """Return the largest difference over the largest value; None for a wrong shape or a NaN."""
    if result.shape != (batch, *expected.shape[1:]) or not np.isfinite(result).all():
        return None
    difference = np.abs(result[checked(batch)] - expected).max()
    return float(difference / max(np.abs(expected).max(), np.finfo(np.float64).tiny))


def failure(far: float | None) -> str:
    """Return why an `error` does not pass, or an empty text if it does."""
    if far is None:
        return "the result has a wrong shape, or is not finite"
    return f"error {far:.1e} is above the tolerance {TOLERANCE:.0e}" if far > TOLERANCE else ""


def check(what: str, results: Any, expected: Any, batch: int) -> None:
    """Compare one array, or a tuple of arrays, with its reference.

    Raises
    ------
    WrongResultError
        If one of them is too far off; names `what`, the error and the tolerance.
    """
    pairs = zip(results, expected, strict=True) if isinstance(results, tuple) else [
        (results, expected[0] if isinstance(expected, tuple) else expected)
    ]  # fmt: skip
    for result, reference in pairs:
        why = failure(error(result, reference, batch))
        if why:
            raise WrongResultError(f"{what} computes wrong values and is not timed: {why}")
