"""Run random steps on arrays beside pages that must not be touched: an access there is a crash.

    python guarded_steps.py ISA EXAMPLES_OF_EACH_OP

Every array has the smallest size that the kernels take. Not a test by itself: test_step_checks.py
runs it in a process of its own.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from types import ModuleType
from typing import Any

import numpy as np
import step_cases
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dsconv.kernels import dispatch

PAGE, NO_ACCESS = mmap.PAGESIZE, 0
libc = ctypes.CDLL(None, use_errno=True)
MOST = 1 << 18  # floats of an array; steps with larger ones are made but not run
ran: set[str] = set()


def guarded(a: np.ndarray, at_end: bool) -> np.ndarray:
    """Return a copy that begins right behind a forbidden page, or ends right before one."""
    room = max(1, -(-a.nbytes // PAGE)) * PAGE
    pages = mmap.mmap(-1, room + 2 * PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    for forbidden in (address, address + PAGE + room):
        if libc.mprotect(ctypes.c_void_p(forbidden), ctypes.c_size_t(PAGE), NO_ACCESS):
            raise OSError(ctypes.get_errno(), "mprotect")
    start = PAGE + (room - a.nbytes if at_end else 0)
    copy = np.frombuffer(pages, np.float32, a.size, start).reshape(a.shape)
    copy[...] = a
    return copy


def fresh(floats: int, at_end: bool) -> np.ndarray:
    return guarded(np.full(floats, 0.5, np.float32), at_end)


def step_of(kernels: ModuleType, case: step_cases.Case, places: tuple[Any, ...], end: bool) -> Any:
    """Return the step with the smallest weights, or None if it is refused or too large."""
    weights: dict[str, np.ndarray] = {}
    while True:
        try:
            return kernels.Step(case.op, case.geometry, *places, weights, case.layout)
        except (ValueError, OverflowError) as error:
            name, floats = step_cases.missing(error) or ("", 0)
            if not name or floats > MOST:
                return None
            assert name not in weights, error
            weights[name] = fresh(floats, end)


def run(kernels: ModuleType, case: step_cases.Case, end: bool) -> None:
    g = case.geometry
    if case.shared:
        places = (3, 0), (3, 0), (3, 0) if case.second else None
    else:
        places = (1, 0), (3, 0), (2, 0) if case.second else None
    step = step_of(kernels, case, places, end)
    if step is None:
        return
    x, y = step_cases.floats(g, "h", "w", "c"), step_cases.floats(g, "oh", "ow", "oc")
    second = g["c"] if case.op == "mul" and g["mode"] == 1 else y
    sizes = (1, 1, max(x, y, second)) if case.shared else (x, second if case.second else 1, y)
    if max(sizes) * max(case.n, 1) > MOST:
        return
    arrays = tuple(fresh(case.n * size, end) for size in sizes)
    program = kernels.Program([step], sizes[:2], sizes[2:])
    try:
        program.run(arrays, case.n, case.threads)
    except MemoryError:
        return
    ran.add(case.op)


def check(kernels: ModuleType, op: str, examples: int) -> None:
    @settings(  # the same examples in every run, however long they take
        max_examples=examples, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(step_cases.cases(op), st.booleans())
    def refused_or_run(case: step_cases.Case, at_end: bool) -> None:
        run(kernels, case, at_end)

    refused_or_run()


if __name__ == "__main__":
    for name in step_cases.GOOD:
        check(dispatch.kernel_module(sys.argv[1]), name, int(sys.argv[2]))
    print(f"nothing else was touched by {len(ran)} ops")
