"""Random calls of the operations, with shapes below, at, above and between the tile sizes.

Every strategy takes the kernel module, whose tiles decide which numbers of channels and pixels are
interesting, and a budget of multiply-adds. Maps follow from the size of the output, so no draw is
thrown away because a kernel does not fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from dsconv import functional

INF = math.inf

# Which arguments can be packed, and as what.
KINDS = {
    "conv2d": {"weight": "conv2d"},
    "depthwise_conv2d": {"weight": "depthwise"},
    "pointwise_conv2d": {"weight": "pointwise"},
    "separable_conv2d": {"depthwise_weight": "depthwise", "pointwise_weight": "pointwise"},
    "dense": {"weight": "dense"},
}


class Call(NamedTuple):
    """One call of an operation, all arguments by name."""

    operation: str
    arrays: dict[str, np.ndarray | None]
    options: dict[str, Any]

    def __call__(self, module: Any = functional, **changes: Any) -> Any:
        """Run it in dsconv.functional or dsconv.reference, with some arguments changed."""
        return getattr(module, self.operation)(**{**self.arrays, **self.options, **changes})

    def __repr__(self) -> str:
        shapes = {name: getattr(array, "shape", None) for name, array in self.arrays.items()}
        return f"{self.operation}({', '.join(f'{k}={v}' for k, v in shapes.items())}, " + (
            f"{', '.join(f'{k}={v!r}' for k, v in self.options.items())})"
        )


def array(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Normal numbers times powers of two, so that sums round all the time."""
    return np.ldexp(rng.standard_normal(shape, np.float32), rng.integers(-3, 4, shape))


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Tell whether two float32 arrays are the same, bit for bit."""
    return a.shape == b.shape and a.dtype == b.dtype == np.float32 and a.tobytes() == b.tobytes()


def widths(kernels: ModuleType) -> list[int]:
    """Return numbers of channels: few, and around one vec, one panel, and several of them."""
    lanes, block, panel = kernels.lanes, kernels.block, kernels.panel
    around = {n + i for n in (lanes, block, block + lanes, panel, 2 * panel) for i in (-1, 0, 1)}
    return sorted(around | {1, 2, 3, 5, panel + lanes, 3 * block - 1})


def heights(kernels: ModuleType) -> list[int]:
    """Return numbers of pixels: few, around one GEMM tile and several, and depthwise tiles."""
    rows = kernels.gemm_heights[-1]
    return sorted(
        {1, 2, 3, 4, 5, 7, 8, 9, 14, 15, *(n + i for n in (rows, 2 * rows) for i in (0, 1))}
    )


seeds = st.integers(0, 2**32 - 1)
batches = st.sampled_from([None, 1, 2, 3])
activations = st.sampled_from(
    [None, "relu", "relu6", (-0.5, 1.25), (0.0, 0.0), (-INF, 1.0), (-1.0, INF)]
)
kernel_sizes = st.one_of(
    st.sampled_from([(3, 3), (1, 1), (5, 5), (1, 7), (7, 1), (2, 2), (4, 4)]),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
)


def pairs(most: int) -> st.SearchStrategy[Any]:
    return st.one_of(st.integers(1, 2), st.tuples(st.integers(1, most), st.integers(1, most)))


_side = st.integers(0, 4)
_sides = st.tuples(_side, _side)
paddings = st.one_of(
    st.sampled_from(["same", "valid"]), _side, st.tuples(_side, _side), st.tuples(_sides, _sides)
)


def both(value: Any) -> tuple[Any, Any]:
    """Return (rows, columns) of an argument that is given once or twice."""
    return value if isinstance(value, tuple) else (value, value)


def sides(padding: Any) -> list[tuple[int, int]]:
    """Return ((top, bottom), (left, right)) of a padding in pixels."""
    return [both(side) for side in both(0 if padding == "valid" else padding)]


def some(values: Sequence[int], limit: int) -> st.SearchStrategy[int]:
    """Draw one of the values up to `limit`, at least the smallest."""
    return st.sampled_from([v for v in values if v <= max(limit, min(values))])


@st.composite
def maps(draw: Any, kernels: ModuleType, kernel: tuple[int, int], pixels: int) -> Any:
    """Draw stride, dilation and padding, and an (H, W) for at most about `pixels` outputs."""
    options = {"stride": draw(pairs(4)), "dilation": draw(pairs(5)), "padding": draw(paddings)}
    columns = draw(some(heights(kernels), pixels))
    outputs = draw(some(heights(kernels), pixels // columns)), columns
    if draw(st.booleans()):
        outputs = columns, outputs[0]
    size = []
    for axis in (0, 1):
        stride, dilation = both(options["stride"])[axis], both(options["dilation"])[axis]
        reach = 1
        if options["padding"] != "same":
            reach = (kernel[axis] - 1) * dilation + 1 - sum(sides(options["padding"])[axis])
        unread = draw(st.integers(0, stride - 1))
        size.append(max(1, (outputs[axis] - 1) * stride + reach + unread))
    return tuple(size), options


def _x(rng: np.random.Generator, batch: int | None, *shape: int) -> np.ndarray:
    return array(rng, *shape) if batch is None else array(rng, batch, *shape)


def _bias(draw: Any, rng: np.random.Generator, channels: int) -> np.ndarray | None:
    return array(rng, channels) if draw(st.booleans()) else None


@st.composite
def conv2d(draw: Any, kernels: ModuleType, budget: int) -> Call:
    rng, kernel, batch = np.random.default_rng(draw(seeds)), draw(kernel_sizes), draw(batches)
    budget //= math.prod(kernel) * (batch or 1)
    form = draw(st.sampled_from(["standard", "standard", "grouped", "depthwise"]))
    if form == "standard":
        groups, filters = 1, draw(some(widths(kernels), budget))
        depth = draw(some(widths(kernels), budget // filters))
    elif form == "grouped":
        groups = draw(st.integers(2, 4))
        filters = draw(some(widths(kernels), budget // groups))
        depth = draw(some(range(1, 6), budget // (groups * filters)))
    else:
        groups = draw(some(widths(kernels), budget))
        filters, depth = draw(st.integers(1, 3)), 1
    size, options = draw(maps(kernels, kernel, budget // (groups * filters * depth)))
    arrays = {
        "x": _x(rng, batch, *size, groups * depth),
        "weight": array(rng, *kernel, depth, groups * filters),
        "bias": _bias(draw, rng, groups * filters),
    }
    return Call("conv2d", arrays, {**options, "groups": groups, "activation": draw(activations)})


@st.composite
def depthwise_conv2d(draw: Any, kernels: ModuleType, budget: int) -> Call:
    rng, kernel, batch = np.random.default_rng(draw(seeds)), draw(kernel_sizes), draw(batches)
    budget //= math.prod(kernel) * (batch or 1)
    multiplier = draw(st.integers(1, 3))
    channels = draw(some(widths(kernels), budget // multiplier))
    size, options = draw(maps(kernels, kernel, budget // (channels * multiplier)))
    arrays = {
        "x": _x(rng, batch, *size, channels),
        "weight": array(rng, *kernel, channels, multiplier),
        "bias": _bias(draw, rng, channels * multiplier),
    }
    return Call("depthwise_conv2d", arrays, {**options, "activation": draw(activations)})


@st.composite
def pointwise_conv2d(draw: Any, kernels: ModuleType, budget: int) -> Call:
    rng, batch = np.random.default_rng(draw(seeds)), draw(batches)
    budget //= batch or 1
    filters = draw(some(widths(kernels), budget))
    channels = draw(some(widths(kernels), budget // filters))
    size, options = draw(maps(kernels, (1, 1), budget // (filters * channels)))
    arrays = {
        "x": _x(rng, batch, *size, channels),
        "weight": array(rng, channels, filters),
        "bias": _bias(draw, rng, filters),
    }
    options = {"stride": options["stride"], "activation": draw(activations)}
    return Call("pointwise_conv2d", arrays, options)


@st.composite
def separable_conv2d(draw: Any, kernels: ModuleType, budget: int) -> Call:
    rng, kernel, batch = np.random.default_rng(draw(seeds)), draw(kernel_sizes), draw(batches)
    budget //= batch or 1
    filters = draw(some(widths(kernels), budget // (math.prod(kernel) + 1)))
    multiplier = draw(st.integers(1, 3))
    each = multiplier * (math.prod(kernel) + filters)
    channels = draw(some(widths(kernels), budget // each))
    size, options = draw(maps(kernels, kernel, budget // (channels * each)))
    arrays = {
        "x": _x(rng, batch, *size, channels),
        "depthwise_weight": array(rng, *kernel, channels, multiplier),
        "pointwise_weight": array(rng, channels * multiplier, filters),
        "depthwise_bias": _bias(draw, rng, channels * multiplier),
        "bias": _bias(draw, rng, filters),
    }
    options.update(depthwise_activation=draw(activations), activation=draw(activations))
    return Call("separable_conv2d", arrays, options)


@st.composite
def dense(draw: Any, kernels: ModuleType, budget: int) -> Call:
    rng = np.random.default_rng(draw(seeds))
    filters = draw(some(widths(kernels), budget))
    channels = draw(some(widths(kernels), budget // filters))
    batch = draw(st.one_of(st.none(), some(heights(kernels), budget // (filters * channels))))
    arrays = {
        "x": _x(rng, batch, channels),
        "weight": array(rng, channels, filters),
        "bias": _bias(draw, rng, filters),
    }
    return Call("dense", arrays, {"activation": draw(activations)})


WITH_WEIGHTS = {
    strategy.__name__: strategy
    for strategy in (conv2d, depthwise_conv2d, pointwise_conv2d, separable_conv2d, dense)
}


def any_of(kernels: ModuleType, budget: int) -> st.SearchStrategy[Call]:
    """Draw a call of any operation that has weights."""
    return st.one_of([strategy(kernels, budget) for strategy in WITH_WEIGHTS.values()])
