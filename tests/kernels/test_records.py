"""The record of each op refuses what does not fit it, with both numbers, and says when it did."""

from __future__ import annotations

import re
import time
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dsconv.kernels.dispatch import kernel_module

MAP = {"h": 7, "w": 5, "c": 6, "oh": 7, "ow": 5, "oc": 6}
SAME = MAP | {"kh": 3, "kw": 3, "top": 1, "bottom": 1, "left": 1, "right": 1}
HALF = {"kh": 3, "sh": 2, "top": 1, "bottom": 1, "oh": 5}
ROWS = "height 7, kernel 3, stride 2, padding (1, 1) give 4 output rows, got 5"
POOL = MAP | {"kh": 2, "kw": 2, "sh": 2, "sw": 2, "oh": 3, "ow": 2}
OUTSIDE = "padding 0 in front give windows outside of the map for 5 outputs"
FIELDS: list[tuple[str, dict[str, Any], str]] = [
    ("pointwise", MAP | {"kw": 2}, "the kernel must be 1 x 1, got 1 x 2"),
    ("pointwise", MAP | {"top": 1}, "padding must be 0, got (1, 0) and (0, 0)"),
    ("pointwise", MAP | {"groups": 2}, "groups must be 1, got 2"),
    ("pointwise", MAP | {"sw": 2},
     "width 5, kernel 1, stride 2, padding (0, 0) give 3 output columns, got 5"),
    ("standard", SAME | {"groups": 4}, "4 groups must divide the input channels, got 6"),
    ("standard", SAME | {"groups": 3, "oc": 7}, "3 groups must divide the output channels, got 7"),
    ("winograd", SAME | {"groups": 2, "tile": 2}, "groups must be 1, got 2"),
    ("winograd", SAME | {"tile": 3}, "tile must be 2 or 4, got 3"),
    ("winograd", SAME | {"sh": 2, "tile": 2}, "kernel, stride and dilation must be 3 x 3, (1, 1) "
     "and (1, 1), got 3 x 3, (2, 1) and (1, 1)"),
    ("depthwise", SAME | {"multiplier": 2},
     "6 input channels times multiplier 2 must be the output channels, got 6"),
    ("inverted_residual", SAME | {"multiplier": 2}, "multiplier must be 1, got 2"),
    ("inverted_residual", SAME, "hidden must be at least 1, got 0"),
    *((op, SAME | {"hidden": 6} | HALF, ROWS) for op in
      ("standard", "depthwise", "separable", "inverted_residual")),
    ("depthwise", SAME | {"dh": 3},
     "height 7, kernel 3, dilation 3, stride 1, padding (1, 1) give 3 output rows, got 7"),
    ("global_average", MAP, "the output must have 1 x 1 pixels, got 7 x 5"),
    ("global_average", MAP | {"oh": 1, "ow": 1, "oc": 7},
     "channels 6 must stay the same, got 7 in the output"),
    *((op, POOL | {"oh": 5}, f"height 7, kernel 2, stride 2, {OUTSIDE}") for op in
      ("average_pool", "max_pool")),
    ("max_pool", POOL | {"oc": 7}, "channels 6 must stay the same, got 7 in the output"),
    *((op, MAP | {"oh": 6}, "height 7 must stay the same, got 6 in the output") for op in
      ("add", "mul", "scale", "activation", "local_response", "l2", "softmax")),
    ("resize", MAP | {"oc": 7}, "channels 6 must stay the same, got 7 in the output"),
]  # fmt: skip
COPY = ((1, 1, 7, 5, 6), (0, 0, 30, 6, 1), (0, 0, 30, 6, 1), 0, 0)


@pytest.mark.parametrize(("op", "geometry", "message"), FIELDS)
def test_unfit_steps_are_refused(
    isa: ModuleType, op: str, geometry: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(f'{op}: {message}')}$"):
        isa.Step(op, geometry, (1, 0), (2, 0))


def test_every_op_but_zero_refuses_something() -> None:
    assert {op for op, *_ in FIELDS} | {"copy", "zero"} == set(kernel_module("baseline").OPS)


@pytest.mark.parametrize(
    ("shift", "to_shift", "message"),
    [
        (1, 0, "a copy reaches beyond its map: floats 1 to 211 of x, which has 210"),
        (0, -1, "a copy reaches beyond its map: floats -1 to 209 of y, which has 210"),
    ],
)
def test_copies_are_refused(isa: ModuleType, shift: int, to_shift: int, message: str) -> None:
    isa.Step("copy", MAP, (1, 0), (2, 0), None, None, COPY)
    with pytest.raises(ValueError, match=f"^copy: {message}$"):
        isa.Step("copy", MAP, (1, 0), (2, 0), None, None, (*COPY[:3], shift, to_shift))


def test_second_inputs(isa: ModuleType) -> None:
    for op in ("add", "mul"):
        with pytest.raises(ValueError, match=f"^{op} takes a second input$"):
            isa.Step(op, MAP, (1, 0), (2, 0))
    for op in ("activation", "softmax", "zero", "max_pool"):
        with pytest.raises(ValueError, match=rf"^{op} takes no second input, got \(1, 0\)$"):
            isa.Step(op, MAP, (1, 0), (2, 0), (1, 0))


def test_programs_name_the_step(isa: ModuleType) -> None:
    fill = isa.Step("zero", MAP, (1, 0), (0, 0))
    for places, message in [
        (((1, 1), (2, 0)), "step 1 (activation) reads floats 1 to 211 of array 1, which has 210"),
        (
            ((0, -1), (2, 0)),
            "step 1 (activation) reads floats -1 to 209 of the arena, which has at",
        ),
        (((1, 0), (1, 0)), "step 1 (activation) writes array 1; it must be 0, or from 2 to 2"),
    ]:
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            isa.Program([fill, isa.Step("activation", MAP, *places)], (210,), (210,))


def test_geometry_is_a_copy() -> None:
    geometry = dict(MAP)
    step = kernel_module("baseline").Step("zero", geometry, (1, 0), (2, 0))
    geometry["h"] = 9
    assert step.geometry == MAP


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_stamps_follow_each_other_within_the_call(isa: ModuleType, threads: int) -> None:
    """Check threads that find no strip, or that come late: they spoil no stamp."""
    fields = {"h": 3, "w": 5, "c": 6, "oh": 3, "ow": 5, "oc": 6}
    steps = [isa.Step("activation", fields, (1, 0), (2, 0)) for _ in range(4)]
    program = isa.Program(steps, (90,), (90,))
    x, y = np.zeros(90, np.float32), np.empty(90, np.float32)
    for _ in range(20):
        stamps = np.zeros(5)
        before = time.clock_gettime(time.CLOCK_MONOTONIC)
        program.run((x, y), 1, threads, stamps)
        after = time.clock_gettime(time.CLOCK_MONOTONIC)
        assert before <= stamps[0] and (np.diff(stamps) >= 0).all() and stamps[-1] <= after
