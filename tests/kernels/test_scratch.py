"""Memory that is used again: never while an array, or a view of it, is still there."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dsconv.weights.scratch import Scratch

SIZES = st.sampled_from([0, 100, (1 << 17) - 1, 1 << 17, 1 << 20, (4 << 20) + 4])


@given(st.lists(st.tuples(SIZES, st.sampled_from(["drop", "array", "view"])), max_size=8))
def test_what_is_held_is_never_written_over(asked: list[tuple[int, str]]) -> None:
    scratch, held = Scratch(), []
    for number, (size, keep) in enumerate(asked):
        array = scratch(size)
        assert array.shape == (size,) and array.dtype == np.uint8 and array.flags.writeable
        array[:] = number
        if keep == "array":
            held.append((number, array))
        elif keep == "view":
            held.append((number, array[size // 2 :].view(np.int8).reshape(-1, 1).T))
        del array
    for number, array in held:
        assert (array == number).all()


def test_dropped_memory_is_used_again() -> None:
    scratch = Scratch()
    first = scratch(1 << 20)
    address = first.ctypes.data
    assert scratch(1 << 20).ctypes.data != address  # while the first is held
    del first
    scratch(1 << 20)  # what was in between is gone as well
    assert scratch(1 << 19).ctypes.data == address
