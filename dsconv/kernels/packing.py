"""Put weights in the order in which the kernels read them, and take them out again.

    panels        (..., N) as K rows for the GEMM tile, by groups    (src/microkernels/gemm.pxi)
    matrices      such panels for each of Winograd's matrices        (src/ops/winograd.pxi)
    blocks        channels block by block, tap by tap                (src/microkernels/depthwise.pxi)
    vector        one number a channel, each group filled up to whole vecs
    long vector   one number a channel, filled up to whole blocks

Packed weights depend on two widths of a kernel module, `lanes` and `block`. The op and the geometry
of a step tell the rest, so weights that are packed for one instruction set can be packed again for
another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import ModuleType
from typing import NamedTuple

import numpy as np


class Widths(NamedTuple):
    """Floats of a vec, and of a panel or a depthwise block, of one kernel module."""

    lanes: int
    block: int

    @classmethod
    def of(cls, kernels: ModuleType) -> Widths:
        """Return the widths of a kernel module."""
        return cls(kernels.lanes, kernels.block)


class Packing(NamedTuple):
    """The form, shape and groups of one weight of a step."""

    form: str
    shape: tuple[int, ...]  # of the plain array
    groups: int = 1

    def floats(self, widths: Widths) -> int:
        """Return the size of the packed weight."""
        if self.form in ("blocks", "long vector"):
            kernel, channels = self._kernel_and_channels()
            return math.prod(kernel) * round_up(channels, widths.block)
        columns = round_up(self.shape[-1] // self.groups, widths.lanes)
        return math.prod(self.shape[:-1]) * self.groups * columns

    def pack(self, array: np.ndarray | None, data: np.ndarray, widths: Widths) -> None:
        """Write the plain array, or zeros for None, into `data`, which has `floats` values."""
        if array is None:
            data[...] = 0
        elif self.form in ("vector", "long vector"):
            rows, columns = data.reshape(self.groups, -1), self.shape[0] // self.groups
            rows[:, :columns] = array.reshape(self.groups, -1)
            rows[:, columns:] = 0
        elif self.form == "blocks":
            _pack_blocks(array.reshape(self.shape), data, widths.block)
        elif self.form == "panels":
            _pack_panels(array.reshape(-1, self.shape[-1]), self.groups, data, widths)
        else:
            matrices = array.reshape(-1, *self.shape[2:])
            for matrix, part in zip(matrices, data.reshape(len(matrices), -1), strict=True):
                _pack_panels(matrix, 1, part, widths)

    def packed(self, array: np.ndarray | None, widths: Widths) -> np.ndarray:
        """Return the packed array in memory of its own."""
        data = np.empty(self.floats(widths), np.float32)
        self.pack(array, data, widths)
        return data

    def unpack(self, data: np.ndarray, widths: Widths) -> np.ndarray:
        """Return the plain array that `pack` wrote into `data`."""
        if self.form == "blocks":
            (rows, columns), channels = self._kernel_and_channels()
            blocks = data.reshape(-1, rows * columns, widths.block).transpose(1, 0, 2)
            return blocks.reshape(rows * columns, -1)[:, :channels].reshape(self.shape)
        if self.form in ("vector", "long vector"):
            columns = self.shape[0] // self.groups
            return data.reshape(self.groups, -1)[:, :columns].reshape(self.shape)
        matrices = math.prod(self.shape[:2]) if self.form == "matrices" else self.groups
        depth = math.prod(self.shape[2:-1] if self.form == "matrices" else self.shape[:-1])
        columns = self.shape[-1] // self.groups
        parts = [_unpanelled(part, depth, columns, widths) for part in data.reshape(matrices, -1)]
        joined = np.stack(parts) if self.form == "matrices" else np.hstack(parts)
        return joined.reshape(self.shape)

    def _kernel_and_channels(self) -> tuple[tuple[int, int], int]:
        if self.form == "long vector":
            return (1, 1), self.shape[0]
        return self.shape[:2], math.prod(self.shape[2:])  # type: ignore[return-value]


def _unpanelled(data: np.ndarray, depth: int, columns: int, widths: Widths) -> np.ndarray:
    """Return the (K, N) matrix of one group, or of one of Winograd's matrices."""
    whole = columns // widths.block * widths.block
    panels = data[: depth * whole].reshape(-1, depth, widths.block).transpose(1, 0, 2)
    rest = data[depth * whole :].reshape(depth, -1)[:, : columns - whole]
    return np.hstack([panels.reshape(depth, whole), rest])


def _pack_panels(weight: np.ndarray, groups: int, data: np.ndarray, widths: Widths) -> None:
    """Write panels of `block` columns, the last as narrow as whole vecs allow, group after group."""
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


def _pack_blocks(weight: np.ndarray, data: np.ndarray, block: int) -> None:
    """Write blocks of output channels c * multiplier + m, zero-filled: [blocks][KH * KW][block]."""
    # weight: (KH, KW, C, M) -> (KH * KW, C * M) -> (blocks, KH * KW, block)
    taps = weight.shape[0] * weight.shape[1]
    weight = weight.reshape(taps, -1)
    channels = weight.shape[1]
    out = data.reshape(-1, taps, block)
    whole = channels // block
    out[:whole] = weight[:, : whole * block].reshape(taps, whole, block).transpose(1, 0, 2)
    if whole < len(out):
        out[whole] = 0
        out[whole, :, : channels - whole * block] = weight[:, whole * block :]


def round_up(number: int, step: int) -> int:
    """Return the next multiple of `step`."""
    return -(-number // step) * step


def weights_of(op: str, geometry: Mapping[str, int]) -> dict[str, Packing]:
    """Return how the weights of a step are packed, by the names that `Step` gives them.

    Parameters
    ----------
    op
        One of `OPS` of the kernels.
    geometry
        All fields of the step's geometry that are whole numbers.

    Raises
    ------
    ValueError
        If a size is below 1, so that there can be no such weights.
    """
    g = geometry
    c, oc, kernel = g["c"], g["oc"], (g["kh"], g["kw"])
    depthwise = (*kernel, c, g["multiplier"])
    channels = c * g["multiplier"]
    side = g["tile"] + 2
    found = {}
    if op in ("pointwise", "standard"):
        found = {
            "weight": Packing("panels", (*kernel, c // max(g["groups"], 1), oc), g["groups"]),
            "bias": Packing("vector", (oc,), g["groups"]),
        }
    elif op == "winograd":
        found = {
            "weight": Packing("matrices", (side, side, c, oc)),
            "bias": Packing("vector", (oc,)),
        }
    elif op == "depthwise":
        found = {
            "weight": Packing("blocks", depthwise),
            "bias": Packing("long vector", (channels,)),
        }
    elif op == "scale":
        found = {"weight": Packing("vector", (c,)), "bias": Packing("vector", (c,))}
    elif op == "l2":
        found = {"weight": Packing("vector", (c,))}
    elif op in ("separable", "inverted_residual"):
        if op == "inverted_residual":
            channels = g["hidden"]
            depthwise = (*kernel, channels, 1)
            found = {
                "in_weight": Packing("panels", (c, channels)),
                "in_bias": Packing("vector", (channels,)),
            }
        found |= {
            "mid_weight": Packing("blocks", depthwise),
            "mid_bias": Packing("long vector", (channels,)),
            "weight": Packing("panels", (channels, oc)),
            "bias": Packing("vector", (oc,)),
        }
    for field, packing in found.items():
        if min(*packing.shape, packing.groups) < 1:
            raise ValueError(f"{op}: {field} cannot have the shape {packing.shape}")
    return found
