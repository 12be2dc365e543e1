"""Steps of the kernels as plain values: a good one of every op, and random ones around it.

The maps are x: (h, w, c) and y: (oh, ow, oc); what a field does not say is as in `GEOMETRY`.
"""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any, NamedTuple

from hypothesis import strategies as st

SLIDING = ("pointwise", "standard", "winograd", "depthwise", "separable", "inverted_residual")
POOLS = ("average_pool", "max_pool")
SECOND = ("add", "mul")  # ops that take a second input; most convolutions may

_SAME = {"h": 5, "w": 4, "c": 6, "oh": 5, "ow": 4, "oc": 6}
_WINDOW = {"kh": 3, "kw": 3, "top": 1, "bottom": 1, "left": 1, "right": 1}
GOOD: dict[str, dict[str, Any]] = {
    "pointwise": _SAME | {"oc": 7},
    "standard": _SAME | _WINDOW | {"oc": 4, "groups": 2},
    "winograd": _SAME | _WINDOW | {"oc": 7, "tile": 2},
    "depthwise": _SAME | _WINDOW | {"oc": 12, "multiplier": 2},
    "separable": _SAME | _WINDOW | {"oc": 7, "multiplier": 2},
    "inverted_residual": _SAME | _WINDOW | {"oc": 7, "hidden": 9},
    "global_average": _SAME | {"oh": 1, "ow": 1},
    **dict.fromkeys(POOLS, _SAME | {"oh": 3, "ow": 2, "kh": 2, "kw": 2, "sh": 2, "sw": 2}),
    **dict.fromkeys(("add", "mul", "scale", "activation", "l2", "softmax"), _SAME),
    "local_response": _SAME | {"mode": 5, "alpha": 1.0, "beta": 0.75, "gamma": 1.0},
    "resize": _SAME | {"oh": 9, "ow": 3},
    "copy": _SAME | {"oc": 7},
    "zero": _SAME,
}
LAYOUT = ((1, 1, 5, 4, 6), (0, 0, 24, 6, 1), (0, 0, 28, 7, 1), 0, 1)  # into channels 1 .. 6 of 7


def floats(geometry: dict[str, Any], *axes: str) -> int:
    """Count the floats of the map with these axes."""
    product = 1
    for axis in axes:
        product *= geometry.get(axis, 1)
    return product


def up(size: int, width: int) -> int:
    return -(-size // width) * width


def weights(kernels: ModuleType, op: str) -> dict[str, int]:
    """Count the floats of the packed weights that the good step of an op reads."""
    g = GOOD[op]
    lanes, block = kernels.lanes, kernels.block
    c, oc, middle = g["c"], up(g["oc"], lanes), g["c"] * g.get("multiplier", 1)
    if op == "pointwise":
        return {"weight": c * oc, "bias": oc}
    if op == "standard":
        return {"weight": 9 * (c // 2) * 2 * up(g["oc"] // 2, lanes), "bias": 2 * up(2, lanes)}
    if op == "winograd":
        return {"weight": 16 * c * oc, "bias": oc}
    if op == "depthwise":
        return {"weight": 9 * up(middle, block), "bias": up(middle, block)}
    if op == "scale":
        return {"weight": up(c, lanes), "bias": up(c, lanes)}
    if op == "l2":
        return {"weight": up(c, lanes)}
    if op not in ("separable", "inverted_residual"):
        return {}
    middle = g.get("hidden", middle)
    sizes = {"weight": middle * oc, "bias": oc}
    sizes |= {"mid_weight": 9 * up(middle, block), "mid_bias": up(middle, block)}
    if op == "inverted_residual":
        sizes |= {"in_weight": c * up(middle, lanes), "in_bias": up(middle, lanes)}
    return sizes


def missing(error: ValueError) -> tuple[str, int] | None:
    """Return name and size of the weight for which a step is refused, if that is the reason."""
    found = re.search(r"takes (\d+) floats of (\w+), got", str(error))
    return (found[2], int(found[1])) if found else None


class Case(NamedTuple):
    """One step and how it is run."""

    op: str
    geometry: dict[str, Any]
    layout: Any
    second: bool
    shared: bool  # all maps begin at the same place, in the output
    n: int
    threads: int


_channels = st.sampled_from([1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 33, 65])
_few = st.integers(1, 3)


@st.composite
def _axis(draw: Any, names: str, plain: bool) -> Any:
    """Draw size, window and output of one axis; `names` are those of its fields."""
    size, out, kernel, stride, dilation, before, after = names.split()
    k, s, d = (3, 1, 1) if plain else (draw(st.integers(1, 5)), draw(_few), draw(_few))
    pad = draw(st.sampled_from([0, 1, 2, k - 1, 20])), draw(st.sampled_from([0, 1, 2, 9]))
    extent = (k - 1) * d + 1
    pixels = max(draw(st.integers(1, 17)), extent - sum(pad))
    outputs = (pixels + sum(pad) - extent) // s + 1
    values = pixels, outputs, k, s, d, *pad
    return dict(zip((size, out, kernel, stride, dilation, before, after), values, strict=True))


@st.composite
def _geometries(draw: Any, op: str) -> dict[str, Any]:
    g = draw(_axis("h oh kh sh dh top bottom", op == "winograd"))
    g |= draw(_axis("w ow kw sw dw left right", op == "winograd"))
    g |= {"c": draw(_channels), "oc": draw(_channels), "mode": draw(st.integers(-1, 5))}
    if op == "pointwise":
        g |= {"kh": 1, "kw": 1, "top": 0, "bottom": 0, "left": 0, "right": 0}
        g |= {"oh": (g["h"] - 1) // g["sh"] + 1, "ow": (g["w"] - 1) // g["sw"] + 1}
    elif op == "standard":
        g["groups"] = draw(_few)
        g |= {"c": g["c"] * g["groups"], "oc": g["oc"] * g["groups"]}
    elif op in POOLS:
        g |= {"top": min(g["top"], g["kh"] - 1), "left": min(g["left"], g["kw"] - 1)}
        g["oh"] = min(g["oh"], (g["h"] + g["top"] - 1) // g["sh"] + 1)
        g["ow"] = min(g["ow"], (g["w"] + g["left"] - 1) // g["sw"] + 1)
    elif op == "global_average":
        g |= {"oh": 1, "ow": 1}
    elif op not in (*SLIDING, "resize", "copy", "zero"):
        g |= {"oh": g["h"], "ow": g["w"]}
    if op in ("depthwise", "separable"):
        g["multiplier"] = draw(_few)
    if op == "depthwise":
        g["oc"] = g["c"] * g["multiplier"]
    elif op not in (*SLIDING, "copy", "zero"):
        g["oc"] = g["c"]
    g |= {"hidden": draw(_channels)} if op == "inverted_residual" else {}
    g |= {"tile": draw(st.sampled_from([2, 4]))} if op == "winograd" else {}
    return g


_changes = st.one_of(
    st.sampled_from([-1, 1]).map(lambda step: lambda value: value + step),
    st.sampled_from([0, -1, 5, 2**16, 2**31 - 1, 2**32, 2**40, 2**62]).map(lambda to: lambda _: to),
    st.sampled_from([-1, 2, 3, 64]).map(lambda by: lambda value: value * by),
)


@st.composite
def _layouts(draw: Any, g: dict[str, Any]) -> Any:
    """Draw as many pixels and channels as both maps have, and change a number or two."""
    h, w, c = min(g["h"], g["oh"]), min(g["w"], g["ow"]), min(g["c"], g["oc"])
    numbers = [1, 1, h, w, c, 0, 0, g["w"] * g["c"], g["c"], 1, 0, 0, g["ow"] * g["oc"], g["oc"], 1]
    numbers += [0, 0]
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(numbers) - 1))
        numbers[at] = draw(_changes)(numbers[at])
    return numbers[:5], numbers[5:10], numbers[10:15], numbers[15], numbers[16]


@st.composite
def cases(draw: Any, op: str) -> Case:
    """Draw steps that fit, and steps of which some numbers were changed afterwards."""
    g = draw(_geometries(op))
    layout = draw(_layouts(g)) if op == "copy" else None
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2]))):
        name = draw(st.sampled_from([*g, "groups", "multiplier", "hidden", "tile"]))
        g[name] = draw(_changes)(g.get(name, 1))
    second = op in SECOND or (op in SLIDING and op != "depthwise" and draw(st.booleans()))
    return Case(op, g, layout, second, draw(st.booleans()), draw(st.integers(0, 3)), draw(_few))
