"""Run random calls on arrays beside pages that must not be touched: an access there is a crash.

    python guarded_memory.py ISA NUMBER_OF_EXAMPLES

Not a test by itself: test_memory.py runs it in a process of its own.
"""

from __future__ import annotations

import ctypes
import mmap
import sys

import calls
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dsconv
from dsconv.kernels import dispatch

PAGE, NO_ACCESS = mmap.PAGESIZE, 0
libc = ctypes.CDLL(None, use_errno=True)


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


def repeatable(examples: int) -> settings:
    """Take the same examples in every run, however long they take."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def check(isa: str, examples: int) -> None:
    with dispatch.use(isa) as kernels:

        @repeatable(examples)
        @given(calls.any_of(kernels, 50_000), st.booleans())
        def nothing_else_is_touched(call: calls.Call, at_end: bool) -> None:
            y = call()
            out = guarded(np.empty_like(y), at_end)
            packed = {}
            for name, kind in calls.KINDS[call.operation].items():
                groups = call.options.get("groups", 1)
                packed[name] = dsconv.pack(call.arrays[name], kind, groups=groups)
                packed[name].data = guarded(packed[name].data, at_end)
            call(x=guarded(call.arrays["x"], at_end), out=out, **packed)
            assert calls.same_bits(out, y)

        nothing_else_is_touched()
        for size in range(1, 2 * kernels.block + 2):
            for at_end in (False, True):
                a = guarded(np.ones((3, 1, size), np.float32), at_end)
                assert (dsconv.add(a, a, out=guarded(a, at_end)) == 2).all()
                assert (dsconv.add(a[0], a[1], out=guarded(a[0], at_end)) == 2).all()
                pooled = dsconv.global_average_pool(a, out=guarded(a[0, 0], at_end))
                assert (pooled == 1).all()
                vectors = [guarded(a[0, 0], at_end) for _ in range(4)]
                assert (dsconv.batch_norm(a, *vectors, epsilon=0) == 1).all()


if __name__ == "__main__":
    check(sys.argv[1], int(sys.argv[2]))
    print("nothing else was touched")
