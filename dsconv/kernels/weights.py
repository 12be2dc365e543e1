"""Know the weights of a step: its op and geometry tell the form and the shape of each.

    panels        (K, N) for the GEMM tile, group after group        (src/microkernels/gemm.pxi)
    winograd      such panels for each transformed matrix            (src/ops/winograd.pxi)
    blocks        channels block by block, tap by tap                (src/microkernels/depthwise.pxi)
    vector        one number a channel, each group filled up to whole vecs
    long vector   one number a channel, filled up to whole blocks

Packed weights depend on two widths of a kernel module, `lanes` and `block`. Because the geometry
tells the rest, weights that were packed for one instruction set can be packed again for another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from dsconv.kernels.packing import pack_depthwise, pack_panels, round_up


class Widths(NamedTuple):
    """Floats of a vec, and of a panel or a depthwise block, of one kernel module."""

    lanes: int
    block: int


class Packing(NamedTuple):
    """How one weight of a step is packed."""

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
            return
        array = array.reshape(self.shape)
        if self.form == "blocks":
            pack_depthwise(array, data, widths)
        elif self.form == "panels":
            pack_panels(array.reshape(-1, self.shape[-1]), self.groups, data, widths)
        elif self.form == "winograd":
            matrices = array.reshape(-1, *self.shape[2:])
            for matrix, part in zip(matrices, data.reshape(len(matrices), -1), strict=True):
                pack_panels(matrix, 1, part, widths)
        else:
            rows = data.reshape(self.groups, -1)
            columns = self.shape[0] // self.groups
            rows[:, :columns] = array.reshape(self.groups, -1)
            rows[:, columns:] = 0

    def unpack(self, data: np.ndarray, widths: Widths) -> np.ndarray:
        """Return the plain array that `pack` wrote into `data`."""
        if self.form == "blocks":
            (rows, columns), channels = self._kernel_and_channels()
            blocks = data.reshape(-1, rows * columns, widths.block).transpose(1, 0, 2)
            return blocks.reshape(rows * columns, -1)[:, :channels].reshape(self.shape)
        if self.form in ("vector", "long vector"):
            columns = self.shape[0] // self.groups
            return data.reshape(self.groups, -1)[:, :columns].reshape(self.shape)
        matrices = math.prod(self.shape[:2]) if self.form == "winograd" else self.groups
        depth = math.prod(self.shape[2:-1] if self.form == "winograd" else self.shape[:-1])
        columns = self.shape[-1] // self.groups
        parts = [_unpanelled(part, depth, columns, widths) for part in data.reshape(matrices, -1)]
        joined = np.stack(parts) if self.form == "winograd" else np.hstack(parts)
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
            "weight": Packing("winograd", (side, side, c, oc)),
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
