"""Winograd's F(2 x 2, 3 x 3) and F(4 x 4, 3 x 3): matrices, weights and choice of the tile.

Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, arXiv 1509.09308. A tile of
2 x 2 or 4 x 4 output pixels is

    Y = A^T [(G g G^T) * (B^T d B)] A        d: input pixels, 2 more each way, g: 3 x 3 weights

with * by element. In one dimension and with 2 outputs it takes four products instead of six:

    y0 = d0 g0 + d1 g1 + d2 g2 = m0 + m1 + m2       m0 = (d2 - d0) (-g0)
    y1 = d1 g0 + d2 g1 + d3 g2 =      m1 - m2 + m3  m1 = (d1 + d2) (g0 + g1 + g2) / 2
                                                    m2 = (d2 - d1) (g0 - g1 + g2) / 2
                                                    m3 = (d3 - d1) g2

Why there are such m: a polynomial a(x) with `tile` coefficients times g(x) = g0 + g1 x + g2 x^2 has
side = tile + 2 coefficients. Its values at as many points say them all, and each value is a single
product a(p) g(p); the point at infinity gives the highest coefficient. Let A and G evaluate at the
points and B find the coefficients, then

    coefficients of a(x) g(x) = B [(G g) * (A a)]

The map from a is linear. Its transpose, y = A^T [(G g) * (B^T d)], is what a convolution computes. The
divisors of the interpolation may stand in B or in G; in G they cost nothing, because weights are
transformed once.

The points of the larger tile, 0, +-3/2, +-3/4 and infinity, round less than the paper's 0, +-1, +-2:
half of the error on normal numbers, a quarter in the worst element. All entries of A and B are exact
in float32. They stand beside the code that multiplies by them, src/ops/winograd.pxi.
"""

from __future__ import annotations

import numpy as np

from dsconv.arguments.window import Window

POINTS = {2: (0.0, 1.0, -1.0), 4: (0.0, 1.5, -1.5, 0.75, -0.75)}  # beside infinity, by tile


def matrices(tile: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (A^T, B^T, G) in float64: (tile, side), (side, side), (side, 3) with side = tile + 2."""
    points, side = POINTS[tile], tile + 2
    a, b, g = np.zeros((tile, side)), np.zeros((side, side)), np.zeros((side, 3))
    for i, point in enumerate(points):
        others = [other for other in points if other != point]
        a[:, i] = point ** np.arange(tile)
        b[i, : side - 1] = np.poly(others)[::-1]
        g[i] = point ** np.arange(3) / np.prod([point - other for other in others])
    a[-1, -1] = g[-1, -1] = 1
    b[-1] = np.poly(points)[::-1]
    return a, b, g


def transform(weight: np.ndarray, tile: int) -> np.ndarray:
    """Return G g G^T of every filter, computed in float64 and rounded once.

    Parameters
    ----------
    weight : ndarray of float32
        (3, 3, Cin, Cout).
    tile : int
        2 or 4.

    Returns
    -------
    ndarray of float32
        (Cin, side, side, Cout) with side = tile + 2: 1.8 or 4 times as large.
    """
    g = matrices(tile)[2]
    channels, filters = weight.shape[2:]
    result = np.empty((channels, tile + 2, tile + 2, filters), np.float32)
    for c in range(channels):  # one input channel at a time stays in the caches
        rows = _along(g, weight[:, :, c].astype(np.float64))
        for i, row in enumerate(rows):
            result[c, i] = _along(g, row)
    return result


def _along(g: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """Multiply the first axis by G, term by term, because a library may sum in another order."""
    # taps: (3, ...) -> (side, ...)
    g = g.reshape(*g.shape, *(1,) * (taps.ndim - 1))
    return g[:, 0] * taps[0] + g[:, 1] * taps[1] + g[:, 2] * taps[2]


def applies(window: Window, groups: int) -> bool:
    """Return True for the convolutions of this algorithm: 3 x 3 taps side by side, stride 1."""
    return (*window[:3], groups) == ((3, 3), (1, 1), (1, 1), 1)


def best_tile(window: Window, channels: int, filters: int, groups: int) -> int:
    """Return the tile, 2 or 4, with which a convolution is fastest; 0 where the direct one is.

    The costs are counted in multiply-adds of the GEMM tile:

        direct       9 * pixels * channels * filters
        Winograd     side^2 * (max(tiles, 12) * channels * filters + 20 * tiles * (channels + filters))

    Below 12 tiles the weights arrive from memory more slowly than they are used, and transforming one
    number costs as much as 20 multiply-adds. Both constants were measured. The batch is
    left out: it must not choose the order of summation.
    """
    if not applies(window, groups):
        return 0
    height, width = window.output
    costs = {0: 9 * height * width * channels * filters}
    for tile in POINTS:
        tiles = -(-height // tile) * -(-width // tile)
        products = max(tiles, 12) * channels * filters
        costs[tile] = (tile + 2) ** 2 * (products + 20 * tiles * (channels + filters))
    return min(costs, key=costs.__getitem__)
