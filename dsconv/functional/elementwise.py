"""Compute element by element: batch norm and addition."""

from __future__ import annotations

import numpy as np

from dsconv.arguments.arrays import contiguous, float32
from dsconv.functional.arguments import Activation, clamp, vector
from dsconv.functional.results import check_out, few_threads, run
from dsconv.kernels import dispatch
from dsconv.kernels.packing import Packing, Widths
from dsconv.kernels.steps import geometry


def batch_norm(
    x: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    *,
    epsilon: float,
    activation: Activation = None,
) -> np.ndarray:
    """Apply batch norm: y = gamma * (x - mean) / sqrt(variance + epsilon) + beta.

    The statistics are fixed. It is computed as y = x * factor + shift, where factor and shift come
    from double precision.

    Parameters
    ----------
    x : ndarray of float32, (..., C)
    gamma, beta, mean, variance : ndarray of float32, (C,)
    epsilon : float
        Added to the variance; there is no default, because checkpoints differ in it.
    activation : None, "relu", "relu6" or (low, high)

    Returns
    -------
    ndarray of float32, of the shape of x

    Raises
    ------
    ValueError, TypeError
        If shapes or dtypes are wrong, or variance + epsilon is not positive.
    """
    x = float32(x, "x")
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"x must be (..., C) with at least one channel, got shape {x.shape}")
    channels = x.shape[-1]
    named = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
    g, b, m, v = (vector(array, name, channels).astype(np.float64) for name, array in named.items())
    if isinstance(epsilon, bool) or not isinstance(epsilon, (int, float, np.floating)):
        raise TypeError(f"epsilon must be a number, got {epsilon!r}")
    if not epsilon >= 0:
        raise ValueError(f"epsilon must be at least 0, got {epsilon}")
    if (v + epsilon <= 0).any():
        raise ValueError(f"variance + epsilon must be positive, got {(v + epsilon).min()}")
    factor = g / np.sqrt(v + epsilon)
    shift = b - m * factor
    rows = contiguous(x).reshape(-1, 1, 1, channels)
    y = np.empty(x.shape, np.float32)
    kernels, packing = dispatch.kernels, Packing((channels,))
    named = {"weight": factor.astype(np.float32), "bias": shift.astype(np.float32)}
    weights = {k: packing.packed(array, Widths.of(kernels)) for k, array in named.items()}
    shape, bounds = rows.shape[1:], clamp(activation, "activation")
    step = kernels.Step(
        "scale", geometry(shape, shape, bounds=bounds), (1, 0), (2, 0), None, weights
    )
    return run(step, rows, y, few_threads(x))


def add(
    a: np.ndarray,
    b: np.ndarray,
    *,
    activation: Activation = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the elementwise sum, y = a + b.

    Parameters
    ----------
    a, b : ndarray of float32, of one shape
    activation : None, "relu", "relu6" or (low, high)
    out : ndarray of float32, optional
        C-contiguous, of the same shape; it may be a or b itself.

    Returns
    -------
    ndarray of float32

    Raises
    ------
    ValueError, TypeError
        If shapes differ, a dtype is not float32, or `out` overlaps an input without being it.
    """
    a, b = float32(a, "a"), float32(b, "b")
    if a.shape != b.shape:
        raise ValueError(f"a and b must have one shape, got {a.shape} and {b.shape}")
    if out is None:
        out = np.empty(a.shape, np.float32)
    else:
        check_out(out, a.shape)
        for name, array in (("a", a), ("b", b)):
            same = array.ctypes.data == out.ctypes.data and array.flags.c_contiguous
            if not same and np.may_share_memory(array, out):
                raise ValueError(f"out overlaps {name} without being the same array")
    a, b = contiguous(a), contiguous(b)
    fields = geometry((1, 1, 1), (1, 1, 1), bounds=clamp(activation, "activation"))
    step = dispatch.kernels.Step("add", fields, (1, 0), (3, 0), (2, 0))
    program = dispatch.kernels.Program([step], (1, 1), (1,))
    program.run((a, b, out), a.size, few_threads(a))
    return out
