"""Check the arrays that the writers of weight files get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

_ALLOWED = "bool, integers, float16, float32 and float64"


def checked(arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the arrays, C-contiguous and little-endian; copied only where they are not.

    Raises
    ------
    TypeError
        For anything but a mapping from strings to arrays of numbers up to 64 bits.
    ValueError
        For a name that is empty or not printable.
    """
    if not isinstance(arrays, Mapping):
        raise TypeError(f"arrays must map names to arrays, got {type(arrays).__name__}")
    result = {}
    for name, array in arrays.items():
        if not isinstance(name, str):
            raise TypeError(f"names of arrays must be strings, got {name!r}")
        if not name or not name.isprintable():
            raise ValueError(f"names of arrays must be printable and not empty, got {name!r}")
        if not isinstance(array, np.ndarray):
            raise TypeError(f"array {name!r} must be an ndarray, got {type(array).__name__}")
        if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            raise TypeError(f"array {name!r} has dtype {array.dtype}; allowed are {_ALLOWED}")
        result[name] = np.require(np.asarray(array), array.dtype.newbyteorder("<"), "C")
    return result
