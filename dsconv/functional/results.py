"""Find the array that a result goes into, and run one step on it."""

from __future__ import annotations

from typing import Any

import numpy as np

from dsconv.arguments.arrays import float32
from dsconv.kernels import dispatch
from dsconv.kernels.threads import threads_or_default


def check_out(out: Any, shape: tuple[int, ...]) -> None:
    """Check that the kernels can write a result of this shape into `out`."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a numpy array, got {type(out).__name__}")
    float32(out, "out")
    if out.shape != shape:
        raise ValueError(f"out must have shape {shape}, got {out.shape}")
    if not out.flags.c_contiguous or not out.flags.writeable:
        raise ValueError("out must be C-contiguous and writeable")
    if not out.flags.aligned:
        raise ValueError("out must be aligned to whole floats")


def result(x: np.ndarray, shape: tuple[int, ...], out: np.ndarray | None) -> np.ndarray:
    """Return the array that the kernels write: `out`, or a new one."""
    if out is None:
        return np.empty(shape, np.float32)
    check_out(out, shape)
    if np.may_share_memory(out, x):
        raise ValueError("out must not share memory with x")
    return out


def output_map(x: np.ndarray, shape: tuple[int, ...], out: np.ndarray | None) -> np.ndarray:
    """Return `result` for a map of this shape, with the batch axis if x has one."""
    return result(x, (len(x), *shape) if x.ndim == 4 else shape, out)


def few_threads(x: np.ndarray) -> int:
    """Return 1 for a small array, because starting a team costs more than a pass over it."""
    return 1 if x.size < 1 << 16 else threads_or_default(None)


def run(step: Any, x: np.ndarray, y: np.ndarray, threads: int | None, terms: int = 1) -> np.ndarray:
    """Run one step on the images of x, the first axis, into y: sums of `terms` products each.

    By default a step that takes one thread less than about 20 microseconds runs on one thread.
    """
    number = threads_or_default(threads)
    if threads is None and y.size * terms < 1 << 20:
        number = 1
    if images := len(x):
        sizes = (x.size // images,), (y.size // images,)
        dispatch.kernels.Program([step], *sizes).run((x, y), images, number)
    return y
