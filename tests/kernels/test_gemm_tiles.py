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
        fetch: bool = False,
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
        if vecs > 2:  # whole panels, one after the other
            packed = b.reshape(depth, -1, kernels.block).swapaxes(0, 1).copy()
        self.c = np.full((pixels + 1, ldc), MARK)
        second = np.full((pixels, ldc), np.nan, np.float32)
        second[:, :columns] = added
        kernels.gemm_tile(
            rows, vecs, x, pitch, offsets, lengths[0], packed, bias, second if residual else None,
            self.c, ldc, columns, *bounds, tiles, fetch,
        )  # fmt: skip
        expected = (a.astype(np.float64) @ b + bias)[:, :columns] + (added if residual else 0)
        self.expected = np.full_like(self.c, MARK)
        self.expected[:pixels, :columns] = expected.clip(*bounds)

    def check(self) -> None:
        np.testing.assert_array_equal(self.c, self.expected)


def heights(kernels: ModuleType, vecs: int) -> range:
    """Return all heights of the tiles of this width, found by asking for taller ones."""
    rows = 1
    while True:
        try:
            Case(kernels, rows, vecs, vecs * kernels.lanes, (1,), False)
        except ValueError as error:
            assert str(error) == f"there is no tile of {rows} x {vecs}"
            return range(1, rows)
        rows += 1


@pytest.mark.parametrize("vecs", [1, 2])
def test_every_height_width_and_length(isa: ModuleType, vecs: int) -> None:
    assert len(heights(isa, vecs)) >= (isa.gemm_rows if vecs == 2 else 8)
    for rows in heights(isa, vecs):
        for columns in range((vecs - 1) * isa.lanes + 1, vecs * isa.lanes + 1):
            for lengths in LENGTHS:
                for residual in (False, True):
                    Case(isa, rows, vecs, columns, lengths, residual).check()


@pytest.mark.parametrize("vecs", [1, 2])
def test_clamp_and_several_tiles_with_and_without_prefetching(isa: ModuleType, vecs: int) -> None:
    for rows in heights(isa, vecs):
        for columns in (vecs * isa.lanes, vecs * isa.lanes - 1):
            for fetch in (False, True):
                Case(isa, rows, vecs, columns, (7, 7), True, (-2.0, 5.0), 3, fetch).check()


@pytest.mark.parametrize("residual", [False, True])
def test_one_pixel_of_four_panels(isa: ModuleType, residual: bool) -> None:
    for lengths in LENGTHS:
        Case(isa, 1, 8, 4 * isa.block, lengths, residual, (-9.0, 9.0)).check()
