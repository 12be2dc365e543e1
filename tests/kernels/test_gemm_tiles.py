"""GEMM tiles of every size against NumPy, called directly.

All values are small integers, so every sum is exact and the results must be equal. Whatever a tile
must not read is NaN, and whatever it must not write is a mark that has to stay.
"""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
import pytest

MARK = np.float32(-12345)
LENGTHS = ((1,), (5,), (3, 3), (4, 4, 4))  # of the segments of a sum; all of a tile are equal


def integers(random: np.random.Generator, *shape: int) -> np.ndarray:
    return random.integers(-3, 4, shape).astype(np.float32)


class Case:
    """One call of a tile: arrays with room around what it may touch, and the result."""

    def __init__(
        self, kernels: ModuleType, rows: int, vecs: int, columns: int, lengths: tuple[int, ...],
        residual: bool, bounds: tuple[float, float] = (-math.inf, math.inf), tiles: int = 1,
        fetch: bool = False, resume: bool = False,
    ) -> None:  # fmt: skip
        random = np.random.default_rng(rows + 100 * vecs + 1000 * columns)
        width, pixels, depth = vecs * kernels.lanes, rows * tiles, sum(lengths)
        ldc = columns + 3
        self.arguments = [rows, vecs]
        a = integers(random, pixels, depth)
        b = integers(random, depth, width)
        bias = integers(random, width)
        added = integers(random, pixels, columns)
        # Segments lie in the pixel from back to front, with a gap of two floats behind each.
        pitch = sum(lengths) + 2 * len(lengths) + 1
        x = np.full((pixels, pitch), np.nan, np.float32)
        offsets, end, first = [], pitch, 0
        for length in lengths:
            end -= length + 2
            offsets.append(end)
            x[:, end : end + length] = a[:, first : first + length]
            first += length
        packed = b
        if width > kernels.panel:  # whole panels, one after the other
            packed = b.reshape(depth, -1, kernels.panel).swapaxes(0, 1).copy()
        self.c = np.full((pixels + 1, ldc), MARK)
        begin: np.ndarray = bias[:columns]
        if resume:
            begin = self.c[:pixels, :columns] = integers(random, pixels, columns)
            begin, bias = begin.copy(), np.full_like(bias, np.nan)
        second = np.full((pixels, ldc), np.nan, np.float32)
        second[:, :columns] = added
        kernels.gemm_tile(
            rows, vecs, x, pitch, offsets, lengths[0], packed, bias, second if residual else None,
            self.c, ldc, columns, *bounds, tiles, fetch, resume,
        )  # fmt: skip
        expected = (a.astype(np.float64) @ b)[:, :columns] + begin + (added if residual else 0)
        self.expected = np.full_like(self.c, MARK)
        self.expected[:pixels, :columns] = expected.clip(*bounds)

    def check(self) -> None:
        np.testing.assert_array_equal(self.c, self.expected)


def test_heights(isa: ModuleType) -> None:
    """Check that a tile fits into the registers, and that there are none but those of the table."""
    registers = 32 if isa.lanes == 16 else 16
    for vecs, tallest in enumerate(isa.gemm_heights, 1):
        assert registers / 4 <= tallest * vecs <= registers - vecs - 1
        Case(isa, tallest, vecs, vecs * isa.lanes, (1,), False).check()
        with pytest.raises(ValueError, match=f"there is no tile of {tallest + 1} x {vecs}"):
            Case(isa, tallest + 1, vecs, vecs * isa.lanes, (1,), False)
    with pytest.raises(ValueError, match=f"there is no tile of 2 x {2 * vecs}"):
        Case(isa, 2, 2 * vecs, isa.lanes, (1,), False)


def heights(kernels: ModuleType, vecs: int) -> range:
    """Return the heights of the tiles of this width, none where tiles are not as wide."""
    return range(1, kernels.gemm_heights[vecs - 1] + 1 if vecs <= len(kernels.gemm_heights) else 1)


@pytest.mark.parametrize("vecs", [1, 2, 3, 4])
def test_every_height_width_and_length(isa: ModuleType, vecs: int) -> None:
    for rows in heights(isa, vecs):
        for columns in range((vecs - 1) * isa.lanes + 1, vecs * isa.lanes + 1):
            for lengths in LENGTHS:
                for residual in (False, True):
                    Case(isa, rows, vecs, columns, lengths, residual).check()
                    Case(isa, rows, vecs, columns, lengths, residual, resume=True).check()


@pytest.mark.parametrize("vecs", [1, 2, 3, 4])
def test_clamp_and_several_tiles_with_and_without_prefetching(isa: ModuleType, vecs: int) -> None:
    for rows in heights(isa, vecs):
        for columns in (vecs * isa.lanes, vecs * isa.lanes - 1):
            for fetch in (False, True):
                Case(isa, rows, vecs, columns, (7, 7), True, (-2.0, 5.0), 3, fetch).check()


@pytest.mark.parametrize("residual", [False, True])
def test_one_pixel_of_eight_vecs(isa: ModuleType, residual: bool) -> None:
    for lengths in LENGTHS:
        Case(isa, 1, 8, 8 * isa.lanes, lengths, residual, (-9.0, 9.0)).check()
