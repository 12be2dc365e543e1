"""Put weights in the order in which the kernels read them.

    pointwise, dense, conv2d     panels of B for the GEMM tile       (src/microkernels/gemm.pxi)
    winograd                     such panels for each matrix        (src/convolutions/winograd.pxi)
    depthwise                    blocks of channels, tap by tap      (src/microkernels/depthwise.pxi)

The widths depend on the instruction set, so a packed weight belongs to one kernel module.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from dsconv.arguments.arrays import float32
from dsconv.arguments.numbers import integer
from dsconv.kernels import dispatch
from dsconv.kernels.memory import aligned_empty

KINDS = ("conv2d", "depthwise", "pointwise", "dense")
Widths = tuple[int, int]  # what packing depends on: `lanes` and `block` of a kernel module
_AXES = {
    "conv2d": "(KH, KW, Cin/groups, Cout)",
    "winograd": "(side, side, Cin, Cout)",  # transformed: see dsconv/kernels/winograd.py
    "depthwise": "(KH, KW, C, multiplier)",
    "pointwise": "(Cin, Cout)",
    "dense": "(Cin, Cout)",
}
Form = tuple[str, tuple[int, ...], int]  # kind, shape and groups of a weight


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

    __slots__ = ("kind", "shape", "groups", "isa", "data")

    def __init__(
        self, kind: str, shape: tuple[int, ...], groups: int, isa: str, data: np.ndarray
    ) -> None:
        self.kind, self.shape, self.groups, self.isa, self.data = kind, shape, groups, isa, data

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
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    if isinstance(weight, PackedWeight):
        raise TypeError(f"weight is packed already: {weight!r}")
    return pack_named(weight, "weight", kind, integer(groups, "groups"), aligned_empty)


def pack_named(
    weight: Any, name: str, kind: str, groups: int, empty: Callable[[int], np.ndarray]
) -> PackedWeight:
    """Pack the argument called `name` into memory that `empty` gives.

    `empty(floats)` returns an uninitialised vector at a cache line, e.g. a `Block`.
    """
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
    form = runs_as(kind, given, groups)
    data = empty(packed_floats(*form))
    _PACKERS.get(form[0], pack_panels)(weight.reshape(form[1]), form[2], data, dispatch.kernels)
    data.flags.writeable = False
    return PackedWeight(kind, given, groups, dispatch.isa, data)


def runs_as(kind: str, shape: tuple[int, ...], groups: int) -> Form:
    """Return the form in which the kernels take a weight: the only place that decides it.

    A convolution with one input channel in each group is a depthwise one, because its output
    channel g * M + m is filter m of input channel g.
    """
    if kind == "conv2d" and groups > 1 and shape[2] == 1:
        return "depthwise", (*shape[:2], groups, shape[3] // groups), 1
    return kind, shape, groups


def unpack(
    data: np.ndarray, kind: str, shape: tuple[int, ...], groups: int, widths: Widths
) -> np.ndarray:
    """Return the array that was packed into `data`; its form is one that `runs_as` gives."""
    _, block = widths
    if kind == "depthwise":
        taps = shape[0] * shape[1]
        blocks = data.reshape(-1, taps, block).transpose(1, 0, 2)
        channels = math.prod(shape[2:])
        return blocks.reshape(taps, -1)[:, :channels].reshape(shape)
    winograd = kind == "winograd"
    matrices = math.prod(shape[:2]) if winograd else groups
    depth = math.prod(shape[2:-1] if winograd else shape[:-1])
    columns = shape[-1] // groups
    whole = columns // block * block
    parts = []
    for part in data.reshape(matrices, -1):
        panels = part[: depth * whole].reshape(-1, depth, block).transpose(1, 0, 2)
        rest = part[depth * whole :].reshape(depth, -1)[:, : columns - whole]
        parts.append(np.hstack([panels.reshape(depth, whole), rest]))
    return (np.stack(parts) if winograd else np.hstack(parts)).reshape(shape)


def packed_floats(
    kind: str, shape: tuple[int, ...], groups: int = 1, widths: Widths | None = None
) -> int:
    """Return the size of a packed weight, with channels up to whole vecs or depthwise blocks."""
    lanes, block = widths or (dispatch.kernels.lanes, dispatch.kernels.block)
    if kind == "depthwise":
        return shape[0] * shape[1] * round_up(math.prod(shape[2:]), block)
    return groups * math.prod(shape[:-1]) * round_up(shape[-1] // groups, lanes)


def bias_floats(kind: str, shape: tuple[int, ...], groups: int, widths: Widths) -> int:
    """Return the size of the bias beside a packed weight, see `pack_bias`."""
    lanes, block = widths
    if kind == "depthwise":
        return round_up(math.prod(shape[2:]), block)
    return groups * round_up(shape[-1] // groups, lanes)


def round_up(number: int, step: int) -> int:
    """Return the next multiple of `step`."""
    return -(-number // step) * step


def pack_panels(weight: np.ndarray, groups: int, data: np.ndarray, kernels: ModuleType) -> None:
    """Write panels of `block` columns, the last as narrow as whole vecs allow, group after group."""
    # weight: (..., N) -> (K, N) -> (groups, [panels][K][block], [K][rest])
    weight = weight.reshape(-1, weight.shape[-1])
    depth, columns = weight.shape
    columns //= groups
    block = kernels.block
    padded = round_up(columns, kernels.lanes)
    for group in range(groups):
        part = weight[:, group * columns : (group + 1) * columns]
        out = data[group * depth * padded : (group + 1) * depth * padded]
        whole = columns // block * block
        rows = part[:, :whole].reshape(depth, -1, block).transpose(1, 0, 2)
        panels = out[: depth * whole].reshape(-1, depth, block)
        if rows.strides[2] == rows.itemsize:  # copied a row of a panel at a time
            wide = np.dtype((np.void, block * rows.itemsize))
            rows, panels = rows.view(wide), panels.view(wide)
        panels[...] = rows
        if padded > whole:
            rest = out[depth * whole :].reshape(depth, padded - whole)
            rest[:, columns - whole :] = 0
            rest[:, : columns - whole] = part[:, whole:]


def pack_matrices(weight: np.ndarray, groups: int, data: np.ndarray, kernels: ModuleType) -> None:
    """Write the panels of each of the (side, side) matrices of Winograd's algorithm."""
    matrices = weight.reshape(-1, *weight.shape[2:])
    for matrix, part in zip(matrices, data.reshape(len(matrices), -1), strict=True):
        pack_panels(matrix, 1, part, kernels)


def pack_depthwise(weight: np.ndarray, groups: int, data: np.ndarray, kernels: ModuleType) -> None:
    """Write blocks of output channels c * multiplier + m, zero-filled: [blocks][KH * KW][block]."""
    # weight: (KH, KW, C, M) -> (KH * KW, C * M) -> (blocks, KH * KW, block)
    taps = weight.shape[0] * weight.shape[1]
    weight = weight.reshape(taps, -1)
    channels, block = weight.shape[1], kernels.block
    out = data.reshape(-1, taps, block)
    whole = channels // block
    out[:whole] = weight[:, : whole * block].reshape(taps, whole, block).transpose(1, 0, 2)
    if whole < len(out):
        out[whole] = 0
        out[whole, :, : channels - whole * block] = weight[:, whole * block :]


def pack_bias(bias: np.ndarray | None, channels: int, groups: int, width: int) -> np.ndarray:
    """Return one bias per output channel, each group filled with zeros up to whole `width`."""
    # bias: (N,) -> (groups, padded)
    padded = round_up(channels // groups, width)
    data = np.zeros((groups, padded), np.float32)
    if bias is not None:
        data[:, : channels // groups] = bias.reshape(groups, -1)
    return data.reshape(-1)


def unpack_bias(data: np.ndarray, kind: str, shape: tuple[int, ...], groups: int) -> np.ndarray:
    """Return the bias per output channel that was packed into `data` beside such a weight."""
    if kind == "depthwise":
        return data[: math.prod(shape[2:])]
    return data.reshape(groups, -1)[:, : shape[-1] // groups].reshape(-1)


_PACKERS = {"depthwise": pack_depthwise, "winograd": pack_matrices}  # all others take panels
