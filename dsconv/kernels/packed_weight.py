"""PackedWeight: a weight that is packed once, for callers who run an operation many times."""

from __future__ import annotations

from typing import Any

import numpy as np

from dsconv.arguments.arrays import float32
from dsconv.arguments.numbers import integer
from dsconv.kernels import dispatch
from dsconv.kernels.memory import aligned_empty
from dsconv.kernels.packing import Packing, Widths

_AXES = {
    "conv2d": "(KH, KW, Cin/groups, Cout)",
    "depthwise": "(KH, KW, C, multiplier)",
    "pointwise": "(Cin, Cout)",
    "dense": "(Cin, Cout)",
}


class PackedWeight:
    """Hold a weight array packed for one kind of layer; it is accepted wherever the array is.

    Attributes
    ----------
    kind : str
        "conv2d", "depthwise", "pointwise" or "dense".
    shape : tuple of int
        Shape of the array that was packed.
    groups : int
        Groups of the convolution that it was packed for.
    """

    __slots__ = ("kind", "shape", "groups", "isa", "data", "packing", "bias")

    def __init__(
        self, kind: str, shape: tuple[int, ...], groups: int, isa: str, data: np.ndarray
    ) -> None:
        self.kind, self.shape, self.groups, self.isa, self.data = kind, shape, groups, isa, data
        self.packing = packing_of(kind, shape, groups)
        self.bias = self.packing.bias()

    def __repr__(self) -> str:
        return f"PackedWeight(kind={self.kind!r}, shape={self.shape}, isa={self.isa!r})"


def pack(weight: Any, kind: str, *, groups: int = 1) -> PackedWeight:
    """Pack a weight array for the kernels in use.

    Parameters
    ----------
    weight : array_like of float32
        (KH, KW, Cin/groups, Cout) for "conv2d", (KH, KW, C, multiplier) for "depthwise",
        (Cin, Cout) for "pointwise" and "dense".
    kind : {"conv2d", "depthwise", "pointwise", "dense"}
    groups : int
        Groups of the convolution, for "conv2d" alone.

    Returns
    -------
    PackedWeight

    Raises
    ------
    ValueError, TypeError
        For another kind, rank, dtype, or a number of output channels that `groups` does not divide.
    """
    if kind not in _AXES:
        raise ValueError(f"kind must be one of {', '.join(_AXES)}, got {kind!r}")
    if isinstance(weight, PackedWeight):
        raise TypeError(f"weight is packed already: {weight!r}")
    return pack_named(weight, "weight", kind, integer(groups, "groups"))


def pack_named(weight: Any, name: str, kind: str, groups: int) -> PackedWeight:
    """Pack the argument called `name`."""
    weight = float32(weight, name)
    given, axes = weight.shape, _AXES[kind]
    if len(given) != axes.count(",") + 1:
        raise ValueError(f"{name} must be {axes} for kind {kind!r}, got shape {given}")
    if 0 in given:
        raise ValueError(f"{name} must not be empty, got shape {given}")
    if groups > 1 and kind != "conv2d":
        raise ValueError(f'groups must be 1 for kind {kind!r}; only "conv2d" has groups')
    if given[-1] % groups:
        raise ValueError(f"groups must divide the output channels {given[-1]}, got {groups}")
    packing, widths = packing_of(kind, given, groups), Widths.of(dispatch.kernels)
    data = aligned_empty(packing.floats(widths))
    packing.pack(weight, data, widths)
    data.flags.writeable = False
    return PackedWeight(kind, given, groups, dispatch.isa, data)


def packing_of(kind: str, shape: tuple[int, ...], groups: int = 1) -> Packing:
    """Return how the kernels take a weight of a convolution: the only place that decides it.

    A convolution with one input channel in each group is a depthwise one, because its output
    channel g * M + m is filter m of input channel g. With a single input channel in all it is a
    standard one, whose tiles compute many filters of a pixel at once; a depthwise tile would copy
    the pixel for each filter. All sums are the same.
    """
    if kind == "conv2d" and groups > 1 and shape[2] == 1:
        return Packing((*shape[:2], groups, shape[3] // groups), depthwise=True)
    if kind == "depthwise" and shape[2] > 1:
        return Packing(shape, depthwise=True)
    return Packing(shape, groups)
