"""Lay the same numbers out in memory in other ways."""

from __future__ import annotations

import numpy as np

NAMES = (
    "every other",
    "every other channel",
    "part of a larger array",
    "column by column",
    "axes swapped",
    "backwards",
    "channels backwards",
    "read-only",
    "in a subclass",
)


def laid_out(a: np.ndarray, layout: str) -> np.ndarray:
    """Return an array equal to `a` in one of the layouts `NAMES`; of rank 1 some are the same."""
    first = (slice(None),) * (a.ndim - 1)
    if layout == "every other":
        return _within(a, [2 * n for n in a.shape], (slice(1, None, 2),) * a.ndim)
    if layout == "every other channel":
        return _within(a, [*a.shape[:-1], 2 * a.shape[-1]], (*first, slice(None, None, 2)))
    if layout == "part of a larger array":
        return _within(a, [n + 3 for n in a.shape], tuple(slice(1, 1 + n) for n in a.shape))
    if layout == "column by column":
        return np.asfortranarray(a)
    if layout == "axes swapped":
        return a.swapaxes(0, -1).copy().swapaxes(0, -1)
    if layout == "backwards":
        backwards = (slice(None, None, -1),) * a.ndim
        return a[backwards].copy()[backwards]
    if layout == "channels backwards":
        return a[..., ::-1].copy()[..., ::-1]
    if layout == "read-only":
        copy = a.copy()
        copy.flags.writeable = False
        return copy
    assert layout == "in a subclass"
    return a.view(np.memmap)


def _within(a: np.ndarray, shape: list[int], part: tuple[slice, ...]) -> np.ndarray:
    """Copy `a` into a part of an array of NaN, or of the largest number for integers."""
    nothing = np.nan if a.dtype.kind == "f" else np.iinfo(a.dtype).max
    view = np.full(shape, nothing, a.dtype)[part]
    view[...] = a
    return view
