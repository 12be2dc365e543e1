"""Reduce over pixels or along an axis: the global average, and softmax by NumPy."""

from __future__ import annotations

import numpy as np

from dsconv.arguments.arrays import contiguous, float32
from dsconv.functional.arguments import maps
from dsconv.functional.results import few_threads, result, run
from dsconv.kernels import dispatch
from dsconv.kernels.steps import geometry


def global_average_pool(x: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
    """Average over the pixels of a map: y[n, c] = (sum over h, w of x[n, h, w, c]) / (H * W).

    Parameters
    ----------
    x : ndarray of float32, (N, H, W, C) or (H, W, C)
    out : ndarray of float32, optional
        As in `conv2d`.

    Returns
    -------
    ndarray of float32, (N, C) or (C,)

    Raises
    ------
    ValueError, TypeError
        If x has another rank or dtype, or no pixels.
    """
    x, batch = maps(x)
    y = result(x, (*x.shape[:-3], batch.shape[3]), out)
    fields = geometry(batch.shape[1:], (1, 1, batch.shape[3]))
    step = dispatch.kernels.Step("global_average", fields, (1, 0), (2, 0))
    return run(step, batch, y, few_threads(batch))


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """Return exp(x) / sum of exp(x) along an axis, from x - max(x) so that nothing overflows.

    The bits of each result depend on the numbers along the axis alone, not on the memory layout.

    Parameters
    ----------
    x : ndarray of float32
    axis : int

    Returns
    -------
    ndarray of float32, of the shape of x

    Raises
    ------
    TypeError, ValueError
        If x has another dtype, or no such axis.
    """
    x = float32(x, "x")
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
        raise TypeError(f"axis must be an integer, got {axis!r}")
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"axis must be within the {x.ndim} axes of x, got {axis}")
    if x.size == 0:
        return np.empty(x.shape, np.float32)
    # NumPy adds in an order that depends on strides, so each sum runs over neighbours in memory.
    rows = contiguous(np.moveaxis(x, axis, -1))
    with np.errstate(all="ignore"):  # inf and NaN take their course
        powers = np.exp(rows - rows.max(axis=-1, keepdims=True))
        y = powers / powers.sum(axis=-1, keepdims=True)
    return contiguous(np.moveaxis(y, -1, axis))
