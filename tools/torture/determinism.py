"""Compare the bits of random calls and graphs for threads, batches and instruction sets.

    python -m tools.torture.determinism SECONDS SEED

Instruction sets with fused multiply-adds must agree with each other.
"""

from __future__ import annotations

import sys
from typing import Any

import calls
import numpy as np
from hypothesis import strategies as st
from random_graphs import RandomGraph, random_graphs

from dsconv.kernels import dispatch
from tools.torture.examples import try_for

BUDGET = 100_000  # multiply-adds of a call


def bits(y: Any) -> tuple[bytes, ...]:
    return tuple(a.tobytes() for a in (y if isinstance(y, tuple) else (y,)))


def check_call(call: calls.Call) -> bytes:
    """Return the bits of a call, the same on any number of threads and for each image alone."""
    y = call(threads=1)
    for threads in (2, 3, 5):
        assert call(threads=threads).tobytes() == y.tobytes(), f"{threads} threads: {call}"
    x = call.arrays["x"]
    assert x is not None
    if x.ndim == (2 if call.operation == "dense" else 4):
        for i in range(len(x)):
            assert call(x=x[i]).tobytes() == y[i].tobytes(), f"image {i} alone: {call}"
    return y.tobytes()


def check_graph(case: RandomGraph) -> tuple[bytes, ...]:
    """Return the bits of a graph's outputs, with the same checks."""
    model = case.graph.compile(case.weights, threads=1)
    y = model(case.x)
    for threads in (2, 5):
        other = case.graph.compile(case.weights, threads=threads)
        assert bits(other(case.x)) == bits(y), f"{threads} threads: {case}"
    outputs = y if isinstance(y, tuple) else (y,)
    for i in range(len(case.x[0])):
        alone = model(tuple(a[i : i + 1] for a in case.x))
        expected = tuple(np.ascontiguousarray(a[i : i + 1]) for a in outputs)
        assert bits(alone) == bits(expected), f"image {i} alone: {case}"
    return bits(y)


def check(case: Any) -> None:
    """Check on all instruction sets, and compare those that fuse."""
    found = {}
    for isa in dispatch.available():
        with dispatch.use(isa) as kernels:
            result = check_graph(case) if isinstance(case, RandomGraph) else check_call(case)
            if kernels.has_fma:
                found[isa] = result
    assert len(set(found.values())) <= 1, f"{', '.join(found)} differ: {case}"


if __name__ == "__main__":
    cases: st.SearchStrategy[Any] = calls.any_of(dispatch.kernels, BUDGET) | random_graphs()
    print(try_for(float(sys.argv[1]), int(sys.argv[2]), cases, check))
