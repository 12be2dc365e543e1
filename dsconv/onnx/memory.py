"""Ask for memory before protobuf does, because protobuf ends the process where there is none."""

from __future__ import annotations

import numpy as np

_ALWAYS = 16 << 20  # bytes for what does not grow with the file: the interpreter's own blocks


def require_memory(size: int, what: str) -> None:
    """Raise MemoryError unless a block of `size` bytes could be had now; it is given back at once.

    protobuf reports a failed allocation as a damaged file, or not at all: it writes through a null
    pointer. The block is not touched, so asking costs a few microseconds. It cannot tell what
    other threads take in the meantime, nor what a system promises and does not have.
    """
    try:
        np.empty(size + _ALWAYS, np.uint8)
    except MemoryError:
        raise MemoryError(f"{what} takes about {size + _ALWAYS} bytes of memory") from None
