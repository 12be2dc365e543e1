"""Weights in the order in which the kernels read them.

    pointwise, dense, conv2d     panels of B for the GEMM tile       (src/microkernels/gemm.pxi)
    winograd                     such panels for each matrix        (src/convolutions/winograd.pxi)
    depthwise                    blocks of channels, tap by tap      (src/microkernels/depthwise.pxi)

The widths depend on the instruction set, so a packed weight belongs to one kernel module.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dsconv.arguments.arrays import float32
from dsconv.arguments.numbers import integer
from dsconv.kernels import dispatch
from dsconv.kernels.memory import aligned_empty

KINDS = ("conv2d", "depthwise", "pointwise", "dense")
Widths = tuple[int, int]  # what packing depends on: `lanes` and `block` of a kernel module
_RANKS = {
    "conv2d": (4, "(KH, KW, Cin/groups, Cout)"),
    "winograd": (4, "(side, side, Cin, Cout)"),  # transformed: see dsconv/winograd.py
    "depthwise": (4, "(KH, KW, C, multiplier)"),
    "pointwise": (2, "(Cin, Cout)"),
    "dense": (2, "(Cin, Cout)"),
}


class PackedWeight:
    """A weight array packed for one kind of layer; accepted wherever the array is.

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
    """`pack` for an argument called `name`, into memory that `empty` gives.

    `empty(floats)` is an uninitialised vector at a cache line, e.g. a `Block`.
    """
    weight = float32(weight, name)
    rank, layout = _RANKS[kind]
    if weight.ndim != rank:
        raise ValueError(f"{name} must be {layout} for kind {kind!r}, got shape {weight.shape}")
    if 0 in weight.shape:
        raise ValueError(f"{name} must not be empty, got shape {weight.shape}")
    if groups > 1 and kind != "conv2d":
        raise ValueError(f'groups must be 1 for kind {kind!r}; only "conv2d" has groups')
    if weight.shape[-1] % groups:
        raise ValueError(f"groups must divide the output channels {weight.shape[-1]}, got {groups}")
    data = empty(packed_floats(weight.shape, kind, groups))
    if kind == "depthwise":
        pack_depthwise(weight, data, dispatch.kernels)
    elif _runs_as_depthwise(weight.shape, groups):
        channels = (groups, weight.shape[3] // groups)
        pack_depthwise(weight.reshape(*weight.shape[:2], *channels), data, dispatch.kernels)
    elif kind == "winograd":
        matrices = weight.reshape(-1, *weight.shape[2:])
        for matrix, part in zip(matrices, data.reshape(len(matrices), -1), strict=True):
            pack_panels(matrix, 1, part, dispatch.kernels)
    else:
        pack_panels(weight.reshape(-1, weight.shape[-1]), groups, data, dispatch.kernels)
    data.flags.writeable = False
    return PackedWeight(kind, weight.shape, groups, dispatch.isa, data)


def packed_floats(
    shape: tuple[int, ...], kind: str, groups: int = 1, widths: Widths | None = None
) -> int:
    """Size of a packed weight: output channels filled up to whole vecs, or depthwise blocks."""
    lanes, block = widths or (dispatch.kernels.lanes, dispatch.kernels.block)
    if kind == "depthwise" or _runs_as_depthwise(shape, groups):
        return shape[0] * shape[1] * round_up(math.prod(shape[2:]), block)
    return groups * math.prod(shape[:-1]) * round_up(shape[-1] // groups, lanes)


def round_up(number: int, step: int) -> int:
    """The next multiple of `step`."""
    return -(-number // step) * step


def _runs_as_depthwise(shape: tuple[int, ...], groups: int) -> bool:
    """Whether a grouped convolution has one input channel for each group."""
    return groups > 1 and shape[2] == 1


def pack_panels(weight: np.ndarray, groups: int, data: np.ndarray, widths: Any) -> None:
    """Panels of `block` columns, the last one as narrow as whole vecs allow, group after group."""
    # weight: (K, N) -> (groups, [panels][K][block], [K][rest])
    depth, columns = weight.shape
    columns //= groups
    block = widths.block
    padded = round_up(columns, widths.lanes)
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


def pack_depthwise(weight: np.ndarray, data: np.ndarray, widths: Any) -> None:
    """Blocks of output channels c * multiplier + m, zero-filled: [blocks][KH * KW][block]."""
    # weight: (KH, KW, C, M) -> (KH * KW, C * M) -> (blocks, KH * KW, block)
    taps = weight.shape[0] * weight.shape[1]
    weight = weight.reshape(taps, -1)
    channels, block = weight.shape[1], widths.block
    out = data.reshape(-1, taps, block)
    whole = channels // block
    out[:whole] = weight[:, : whole * block].reshape(taps, whole, block).transpose(1, 0, 2)
    if whole < len(out):
        out[whole] = 0
        out[whole, :, : channels - whole * block] = weight[:, whole * block :]


def pack_bias(bias: np.ndarray | None, channels: int, groups: int, width: int) -> np.ndarray:
    """A bias per output channel, each group filled with zeros to a multiple of `width`."""
    # bias: (N,) -> (groups, padded)
    padded = round_up(channels // groups, width)
    data = np.zeros((groups, padded), np.float32)
    if bias is not None:
        data[:, : channels // groups] = bias.reshape(groups, -1)
    return data.reshape(-1)
