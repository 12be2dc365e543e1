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
        array = np.asarray(array)
    except ValueError:  # a ragged list
        raise TypeError(f"{name} must be float32, got {type(array).__name__}") from None
    if array.dtype != _FLOAT32:  # byte-swapped ones are another dtype, too
        raise TypeError(
            f"{name} must be float32, got {array.dtype}; convert with {name}.astype(numpy.float32)"
        )
    return array


def contiguous(array: np.ndarray) -> np.ndarray:
    """Return the array itself if the kernels can read it, else a copy."""
    good = array.flags.c_contiguous and array.flags.aligned
    return array if good else np.require(array, requirements=["C", "A"])
