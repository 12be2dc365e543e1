"""Find the array that a result goes into, and run one step on it."""

from __future__ import annotations

from typing import Any

import numpy as np

from dsconv.arguments.arrays import float32
from dsconv.arguments.window import Window
from dsconv.functional.arguments import Convolution
from dsconv.kernels import dispatch
from dsconv.kernels.packing import STAGES, Widths
from dsconv.kernels.steps import convolution_step, geometry
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


def few_threads(x: np.ndarray) -> int:
    """Return 1 for a small array, because starting a team costs more than a pass over it."""
    return 1 if x.size < 1 << 16 else threads_or_default(None)


def run(step: Any, x: np.ndarray, y: np.ndarray, threads: int) -> np.ndarray:
    """Run one step on the images of x, the first axis, into y."""
    if images := len(x):
        sizes = (x.size // images,), (y.size // images,)
        dispatch.kernels.Program([step], *sizes).run((x, y), images, threads)
    return y


def convolve(
    x: np.ndarray, y: np.ndarray, window: Window, threads: int | None, *chain: Convolution
) -> np.ndarray:
    """Run one to three convolutions in one pass over the images of x, into y.

    By default a step that takes one thread less than about 20 microseconds runs on one thread.
    """
    kernels = dispatch.kernels
    widths, weights, stages = Widths.of(kernels), {}, []
    for prefix, (weight, bias, bounds) in zip(STAGES, reversed(chain), strict=False):
        weights[prefix + "weight"] = weight.data
        weights[prefix + "bias"] = weight.bias.packed(bias, widths)
        stages.append((weight.packing, bounds))
    op, output, fields = convolution_step(window, stages)
    numbers = geometry(x.shape[1:], output, window, **fields)
    step = kernels.Step(op, numbers, (1, 0), (2, 0), None, weights)
    mult_adds = y.size * chain[-1].weight.packing.matrix[0]
    few = threads is None and mult_adds < 1 << 20
    return run(step, x, y, 1 if few else threads_or_default(threads))
