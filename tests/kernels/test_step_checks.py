"""Steps and programs take any numbers: what does not fit is refused before anything runs."""

from __future__ import annotations

import re
import sys
import weakref
from typing import Any

import numpy as np
import processes
import pytest
import step_cases
from hypothesis import settings
from step_cases import GOOD, LAYOUT, SECOND, SLIDING, floats

from dsconv.kernels import dispatch

LARGE = "must be from [01] to 1099511627776"
RANGE = "must be from [01] to 2147483647"
UNFIT = "^{}: .*(must|give)"
FAR = "too large for a map"
MISSING = "of (array [1-3]|the arena), which has (at most )?[0-9]+"


def vectors(kernels: Any, op: str) -> dict[str, np.ndarray]:
    return {name: np.ones(n, np.float32) for name, n in step_cases.weights(kernels, op).items()}


def step(kernels: Any, op: str, changes: dict[str, Any] | None = None, **arguments: Any) -> Any:
    """Make the good step of an op, with some fields and arguments changed."""
    good = {
        "x": (1, 0),
        "y": (3, 0),
        "residual": (2, 0) if op in SECOND else None,
        "weights": vectors(kernels, op),
        "layout": LAYOUT if op == "copy" else None,
    }
    return kernels.Step(op, GOOD[op] | (changes or {}), **(good | arguments))


def sizes(op: str) -> tuple[tuple[int, int], tuple[int]]:
    y = floats(GOOD[op], "oh", "ow", "oc")
    return (floats(GOOD[op], "h", "w", "c"), y), (y,)


def arrays(op: str, n: int = 1) -> list[np.ndarray]:
    inputs, outputs = sizes(op)
    return [np.ones(n * size, np.float32) for size in inputs + outputs]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("op", GOOD)
def test_good_steps_run(isa, op, threads):
    assert GOOD.keys() == isa.OPS.keys()
    program = isa.Program([step(isa, op)], *sizes(op))
    assert program.arena == 0
    for n in (0, 1, 2):
        maps = arrays(op, n)
        maps[2][:] = np.nan
        program.run(tuple(maps), n, threads)
        written = maps[2].reshape(-1, 7)[:, 1:] if op == "copy" else maps[2]
        assert np.isfinite(written).all()


def test_names():
    with pytest.raises(ValueError, match="op must be one of .*'add'.*, got 'conv'"):
        dispatch.kernels.Step("conv", {}, (1, 0), (2, 0))
    for fields in ({"height": 1}, {"h": 1, "": 2}, {1: 1}):
        name = list(fields)[-1]
        with pytest.raises(ValueError, match=re.escape(f"geometry has no [{name!r}]")):
            dispatch.kernels.Step("add", fields, (1, 0), (2, 0))


@pytest.mark.parametrize("op", GOOD)
def test_ranges(isa, op):
    for field in ("h", "w", "c", "oh", "ow", "oc"):
        for size in (0, -1, -(2**63), 2**40 + 1, 2**63 - 1):
            with pytest.raises(ValueError, match=LARGE):
                step(isa, op, {field: size})
    for size in (-1, 2**40 + 1):
        with pytest.raises(ValueError, match=LARGE):
            step(isa, op, {"hidden": size})
    for field in ("kh", "kw", "sh", "sw", "dh", "dw", "groups", "multiplier"):
        for size in (0, -1, 2**31, 2**63 - 1):
            with pytest.raises(ValueError, match=RANGE):
                step(isa, op, {field: size})
    for field in ("top", "bottom", "left", "right"):
        for size in (-1, 2**31):
            with pytest.raises(ValueError, match=RANGE):
                step(isa, op, {field: size})


@pytest.mark.parametrize("field", ["h", "kw", "tile", "low"])
def test_types_of_numbers(field):
    for value in ("3", None, [3]):
        with pytest.raises(TypeError):
            step(dispatch.kernels, "winograd", {field: value})
    if field != "low":
        with pytest.raises(TypeError):
            step(dispatch.kernels, "winograd", {field: 3.0})
        with pytest.raises(OverflowError):
            step(dispatch.kernels, "winograd", {field: 2**63})


@pytest.mark.parametrize(
    ("ops", "changes"),
    [  # what test_records.py does not have
        (SLIDING, {"oh": 6}),
        (SLIDING, {"ow": 3}),
        (SLIDING, {"sh": 2}),
        (SLIDING[1:], {"dw": 2}),
        (SLIDING[1:], {"top": 0}),
        (SLIDING[1:], {"h": 3, "top": 0, "bottom": 0, "dh": 2}),
        (("pointwise",), {"left": 1, "ow": 5}),
        (("pointwise",), {"kh": 2, "oh": 4}),
        (("standard",), {"oc": 3}),
        (("winograd",), {"tile": 0}),
        (("depthwise",), {"multiplier": 1}),
        (("depthwise",), {"multiplier": 2**31 - 1}),
        (step_cases.POOLS, {"oh": 4}),
        (step_cases.POOLS, {"left": 2}),
        (step_cases.POOLS, {"oc": 5}),
        (step_cases.POOLS, {"oh": 2**32 + 6, "sh": 2**31 - 1}),
        (("resize", "add", "scale", "l2"), {"oc": 5}),
        (("add", "mul", "activation", "softmax", "local_response"), {"w": 5}),
    ],
)
def test_sizes_that_do_not_fit(isa, ops, changes):
    for op in ops:
        with pytest.raises(ValueError, match=UNFIT.format(op)):
            step(isa, op, changes)


@pytest.mark.parametrize(
    ("op", "changes"),
    [
        ("depthwise", {"dh": 2**30, "top": 2**30, "bottom": 2**30 - 1}),
        ("standard", {"dw": 2**25, "left": 2**25, "right": 2**25}),
        ("separable", {"sw": 2**25, "left": 2**25, "ow": 2}),
        ("depthwise", {"sw": 2**25, "left": 2**25 - 3, "ow": 1}),
        ("standard", {"sw": 2**25, "left": 2**25 - 3, "ow": 1}),
    ],
)
def test_windows_out_of_proportion(isa, op, changes):
    with pytest.raises(ValueError, match=FAR):
        step(isa, op, changes)


@pytest.mark.parametrize("op", GOOD)
def test_weights(isa, op):
    good = vectors(isa, op)
    for name, array in good.items():
        text = f"{op} takes {len(array)} floats of {name}, got"
        for bad, count in ((array[:-1], len(array) - 1), (None, 0), (array[:0], 0)):
            with pytest.raises(ValueError, match=f"{text} {count}"):
                step(isa, op, weights=good | {name: bad})
        with pytest.raises(ValueError, match=f"{text} 0"):
            step(isa, op, weights={key: good[key] for key in good if key != name})
        for dtype in ("f8", "f2", "i4", ">f4", "c8", "V4"):
            with pytest.raises((TypeError, ValueError), match="float32|buffer"):
                step(isa, op, weights=good | {name: np.zeros(array.size, dtype)})
        with pytest.raises(ValueError, match="contiguous"):
            step(isa, op, weights=good | {name: np.repeat(array, 2)[::2]})
        with pytest.raises(TypeError):
            step(isa, op, weights=good | {name: array.tolist()})


def test_steps_keep_their_weights(isa):
    weights = vectors(isa, "scale")
    bias = weakref.ref(weights["bias"])
    made = step(isa, "scale", weights=weights)
    weights.clear()
    assert made.weights["bias"] is bias()


def test_steps_and_programs_do_not_change(isa):
    made, other = step(isa, "zero"), step(isa, "zero", y=(0, 0))
    program = isa.Program([other], *sizes("zero"))
    arena = program.arena
    assert arena >= floats(GOOD["zero"], "oh", "ow", "oc")
    made.__init__("add", {"h": 9, "oh": 9}, (1, 0), (3, 0), (2, 0))
    assert (made.op, made.geometry) == ("zero", GOOD["zero"])
    program.__init__([], (), ())
    assert (program.steps, program.arena) == ((other,), arena)


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ({"x": (4, 0)}, "array 4; it must be 0, or from 1 to 3"),
        ({"x": (-1, 0)}, "array -1; it must be 0, or from 1 to 3"),
        ({"x": (2**62, 0)}, "array 4611686018427387904; it must be 0, or from 1 to 3"),
        ({"y": (4, 0)}, "array 4; it must be 0, or from 3 to 3"),
        ({"y": (1, 0)}, "array 1; it must be 0, or from 3 to 3"),  # into an input
        ({"x": (1, 1)}, MISSING),
        ({"x": (1, -1)}, MISSING),
        ({"y": (3, 1)}, MISSING),
        ({"y": (0, -1)}, MISSING),
        ({"y": (0, 2**40)}, MISSING),
        ({"y": (0, 2**63 - 1)}, MISSING),
        ({"residual": (2, 1)}, MISSING),
        ({"residual": None}, "takes a second input"),
        ({"residual": (-1, 0)}, "takes a second input"),
    ],
)
def test_places(isa, places, message):
    for op in SECOND:
        with pytest.raises(ValueError, match=message):
            isa.Program([step(isa, op, **places)], *sizes(op))


def test_programs():
    kernels = dispatch.kernels
    for bad in (0, -1, 2**40 + 1, float("nan")):
        with pytest.raises(ValueError, match="arrays must have from 1 to"):
            kernels.Program([], (1,), (bad,))
    for item in (None, 1, "add"):
        with pytest.raises(TypeError, match="steps must be Step objects"):
            kernels.Program([item], (1,), (1,))
    inputs, outputs = sizes("add")
    with pytest.raises(ValueError, match=MISSING):
        kernels.Program([step(kernels, "add")], inputs, (outputs[0] - 1,))


def test_runs(isa):
    program = isa.Program([step(isa, "add"), step(isa, "add", x=(0, 3))], *sizes("add"))
    x, second, y = arrays("add", 2)
    count, frozen = len(x) // 2, y.copy()
    frozen.flags.writeable = False

    def refused(kind: type[Exception], message: str, maps: Any, n: int, threads: int = 1) -> None:
        with pytest.raises(kind, match=message):
            program.run(maps, n, threads)

    program.run((x, second, y), 2, 1)
    refused(ValueError, "run takes 3 arrays, .* got 2, 2 and 1", (x, y), 2)
    refused(ValueError, "run takes 3 arrays, .* got 4, 2 and 1", (x, second, y, y), 2)
    refused(ValueError, "got 3, -1 and 1", (x, second, y), -1)
    refused(ValueError, "got 3, 2 and 0", (x, second, y), 2, 0)
    refused(ValueError, f"array 1 must have 3 x {count} floats, got {2 * count}", (x,) * 3, 3)
    refused(ValueError, f"array 3 must have 2 x {count} floats", (x, second, y[:-1]), 2)
    refused(TypeError, "float32", (x.astype("f8"), second, y), 2)
    refused(TypeError, "float32", (x.view("i4"), second, y), 2)
    refused(TypeError, "bytes-like", (x.tolist(), second, y), 2)
    refused(ValueError, "contiguous", (x, np.repeat(second, 2)[::2], y), 2)
    refused(ValueError, "read-only", (x, second, frozen), 2)
    refused(MemoryError, "no memory", (x, second, y), 2**62)
    with pytest.raises(ValueError, match="stamps must have 3 elements, got 2"):
        program.run((x, second, y), 2, 2, np.zeros(2))
    with pytest.raises(TypeError, match="float64"):
        program.run((x, second, y), 2, 1, np.zeros(3, np.float32))


@pytest.mark.parametrize(
    ("at", "axis", "value"),
    [
        *((0, axis, value) for axis in (2, 3, 4) for value in (0, -1, 7, 2**40, 2**63 - 1)),
        *((at, 2, value) for at in (1, 2) for value in (-1, 36, 2**62, -(2**62))),
        *((at, None, value) for at in (3, 4) for value in (-1, 2, 2**62, -(2**63))),
        (0, 0, 2**62),  # strides of 0: every number would be copied so often
        (0, 1, 36),
    ],
)
def test_copies(isa, at, axis, value):
    layout: list[Any] = [list(part) if isinstance(part, tuple) else part for part in LAYOUT]
    if axis is None:
        layout[at] = value
    else:
        layout[at][axis] = value
    with pytest.raises(ValueError, match="cop"):
        step(isa, "copy", layout=layout)


def test_copies_take_three_times_five_numbers_and_two():
    for layout in (None, (), LAYOUT[:4], (LAYOUT[0][:4], *LAYOUT[1:]), 5):
        with pytest.raises((TypeError, ValueError)):
            step(dispatch.kernels, "copy", layout=layout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mprotect is called as on Linux")
def test_any_step_is_refused_or_stays_within_its_arrays(isa):
    examples = str(settings.default.max_examples)
    done = processes.run("guarded_steps.py", dispatch.isa, examples)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"nothing else was touched by {len(GOOD)} ops\n"
