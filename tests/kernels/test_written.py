"""Programs that may read what nothing has written: the kernels find the first such place."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsconv.kernels import dispatch

IMAGES = 3
ARRAYS = (24, 24, 12)  # floats of the arena that are used, of the input, of the output
Copy = tuple[tuple[int, ...], tuple[int, ...], int]  # sizes, strides of y and shift of y


def step(op: str, size: int, x: Any, y: Any, layout: Copy | None = None) -> Any:
    """Return a step from a map of `size` floats to another; a copy reads one float again."""
    fields = {"c": size, "oc": size}
    if layout is None:
        return dispatch.kernels.Step(op, fields, x, y)
    sizes, strides, shift = layout
    return dispatch.kernels.Step(op, fields, x, y, layout=(sizes, (0,) * 5, strides, 0, shift))


def gap(*steps: Any) -> str | None:
    return dispatch.kernels.Program(steps, ARRAYS[1:2], ARRAYS[2:]).gap()  # type: ignore[no-any-return]


def really_missing(steps: list[tuple[str, int, Any, Any, Copy | None]]) -> bool:
    """Return true if a float is read that was not written, found with an array for each image."""
    there = [np.zeros(size * IMAGES, bool) for size in ARRAYS]
    there[1][:] = True
    for _, size, x, y, layout in steps:
        reads = there[x[0]][x[1] * IMAGES :][: size * IMAGES]
        if not reads.all():
            return True
        writes = there[y[0]][y[1] * IMAGES :][: size * IMAGES].reshape(IMAGES, size)
        if layout is None:
            writes[:] = True
        else:
            sizes, strides, shift = layout
            for index in np.ndindex(*sizes):
                writes[:, shift + np.dot(index, strides)] = True
    return not there[2].all()


@st.composite
def layouts(draw: Callable[..., Any], size: int) -> Copy:
    """Return the sizes and strides of a copy into a map of `size` floats."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=5, max_size=5))
    strides = draw(st.lists(st.sampled_from((-6, -1, 0, 1, 2, 3, 4, 6)), min_size=5, max_size=5))
    while np.prod(sizes) > size:
        sizes[sizes.index(max(sizes))] //= 2
    spans = [(n - 1) * stride for n, stride in zip(sizes, strides, strict=True)]
    least, most = -sum(min(s, 0) for s in spans), size - 1 - sum(max(s, 0) for s in spans)
    if least > most:
        return draw(layouts(size))  # type: ignore[no-any-return]
    return tuple(sizes), tuple(strides), draw(st.integers(least, most))


@st.composite
def steps(draw: Callable[..., Any]) -> tuple[str, int, Any, Any, Copy | None]:
    size = draw(st.sampled_from((4, 6, 12)))
    places = st.sampled_from([(0, 0), (0, 4), (0, 6), (0, 12)])
    x = draw(st.one_of(places, st.just((1, 0))))
    y = draw(st.one_of(places, st.just((2, 0))))
    layout = draw(layouts(size)) if draw(st.booleans()) else None
    return "activation" if layout is None else "copy", size, x, y, layout


@given(st.lists(steps(), min_size=1, max_size=8))
def test_no_gap_is_missed(chosen: list[tuple[str, int, Any, Any, Copy | None]]) -> None:
    if gap(*(step(*one) for one in chosen)) is None:
        assert not really_missing(chosen)


IN, OUT = (1, 0), (2, 0)
ONES, LAST = (1, 1, 1, 1), (0, 0, 0, 0)


@pytest.mark.parametrize(
    "copies",
    [
        [((*ONES, 12), (*LAST, 1), 0)],  # as it lies
        [((*ONES, 12), (*LAST, -1), 11)],  # from the end
        [((3, 1, 1, 2, 2), (1, 0, 0, 3, 6), 0)],  # a transposition
        [((3, 1, 1, 1, 2), (4, 0, 0, 0, 1), 0), ((3, 1, 1, 1, 2), (4, 0, 0, 0, 1), 2)],  # a concat
        [((3, 1, 1, 2, 1), (4, 0, 0, 2, 0), shift) for shift in (1, 0)],  # channels in turns
        [((*ONES, 5), (*LAST, 1), 7), ((*ONES, 9), (*LAST, 1), 0)],  # two runs that overlap
    ],
)
def test_parts_that_cover_the_map(copies: list[Copy]) -> None:
    made = [step("copy", 12, IN, OUT, layout) for layout in copies]
    assert gap(*made) is None
    missing = "the caller reads floats 0 to 12 of array 2, but the steps before do not write all"
    for i in range(len(made)):
        assert (gap(*made[:i], *made[i + 1 :]) or "").startswith(missing)


def test_parts_of_other_rows_do_not_count() -> None:
    """Let three of four floats of each row be written, and one of two: they cover no row."""
    first = step("copy", 12, IN, OUT, ((3, 1, 1, 1, 3), (4, 0, 0, 0, 1), 0))
    second = step("copy", 12, IN, OUT, ((6, 1, 1, 1, 1), (2, 0, 0, 0, 0), 0))
    assert gap(first, second) is not None


def test_the_first_gap_is_named() -> None:
    fill, use = step("zero", 12, IN, (0, 0)), step("activation", 12, (0, 4), OUT)
    late = step("zero", 12, IN, (0, 12))
    message = "step 1 (activation) reads floats 4 to 16 of the arena, but the steps before do not"
    assert (gap(fill, use, late) or "").startswith(message)
    assert gap(fill, late, use) is None
    assert gap(late, fill, use) is None


def test_a_second_input(isa: ModuleType) -> None:
    add = isa.Step("add", {"c": 12, "oc": 12}, IN, OUT, (0, 0))
    fill = isa.Step("zero", {"c": 12, "oc": 12}, IN, (0, 0))
    assert (
        "step 0 (add) reads floats 0 to 12 of the arena" in isa.Program([add], (24,), (12,)).gap()
    )
    assert isa.Program([fill, add], (24,), (12,)).gap() is None
