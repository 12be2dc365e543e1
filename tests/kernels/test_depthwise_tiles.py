"""Depthwise tiles of every width against NumPy, called directly.

All values are small integers, so every sum is exact and the results must be equal. What must not be
written is a mark that has to stay.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

MARK = np.float32(-12345)
WIDTHS = (1, 2, 6, 7, 8, 13, 14, 15)  # output pixels: below, at and above one tile and two


def check(
    kernels: ModuleType,
    taps: tuple[int, int],
    stride: int,
    dilation: int,
    width: int,
    channels: int,
) -> None:
    random = np.random.default_rng(width)
    rows, columns = taps
    inputs = (width - 1) * stride + (columns - 1) * dilation + 1
    window = random.integers(-3, 4, (rows, inputs, kernels.block)).astype(np.float32)
    weight = random.integers(-3, 4, (rows, columns, kernels.block)).astype(np.float32)
    bias = random.integers(-3, 4, kernels.block).astype(np.float32)
    out = np.full((width + 1, channels + 3), MARK)
    kernels.depthwise_line(
        rows, columns, stride, dilation, window, inputs * kernels.block, weight, bias,
        out, channels + 3, width, channels, -20.0, 25.0,
    )  # fmt: skip
    expected = np.full_like(out, MARK)
    total = np.broadcast_to(bias, (width, kernels.block)).astype(np.float64)
    for i in range(rows):
        for j in range(columns):
            pixels = window[i, j * dilation : j * dilation + (width - 1) * stride + 1 : stride]
            total = total + pixels * weight[i, j]
    expected[:width, :channels] = total[:, :channels].clip(-20, 25)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(
    ("taps", "stride", "dilation"),
    [
        ((3, 3), 1, 1),
        ((3, 3), 2, 1),
        ((3, 3), 3, 1),
        ((3, 3), 1, 2),
        ((1, 1), 1, 1),
        ((5, 5), 1, 1),
        ((5, 5), 2, 1),
        ((2, 4), 1, 3),
    ],
)
def test_every_width_and_number_of_channels(
    isa: ModuleType, taps: tuple[int, int], stride: int, dilation: int
) -> None:
    for width in WIDTHS:
        for channels in range(1, isa.block + 1):
            check(isa, taps, stride, dilation, width, channels)
