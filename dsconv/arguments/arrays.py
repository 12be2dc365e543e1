"""Check arrays that callers give: float32, and contiguous where kernels read them."""

from __future__ import annotations

from typing import Any

import numpy as np

_FLOAT32 = np.dtype(np.float32)


def is_float32(array: object) -> bool:
    """Return True for a numpy array of native float32."""
    return isinstance(array, np.ndarray) and array.dtype == _FLOAT32


def float32(array: Any, name: str) -> np.ndarray:
    """Return `array` as a numpy array, unchanged; refuse all dtypes but native float32."""
    try:
        found = np.asarray(array)
    except ValueError:  # a ragged list
        found = np.empty(0, np.object_)
    if found.dtype == _FLOAT32:  # byte-swapped ones are another dtype
        return found
    if isinstance(array, np.ndarray):
        hint = f"got {found.dtype}; convert with {name}.astype(numpy.float32)"
    else:
        hint = f"got a {type(array).__name__}; use numpy.asarray(values, numpy.float32)"
    raise TypeError(f"{name} must be a NumPy array of float32, {hint}")


def contiguous(array: np.ndarray) -> np.ndarray:
    """Return the array itself if the kernels can read it, else a copy."""
    good = array.flags.c_contiguous and array.flags.aligned
    return array if good else np.require(array, requirements=["C", "A"])
