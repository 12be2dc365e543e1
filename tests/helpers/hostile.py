"""Read weight files that are made to harm, within a limit of memory."""

from __future__ import annotations

import tempfile
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from dsconv import weights

MEGABYTE = 2**20


def read(data: bytes) -> dict[str, np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights"
        path.write_bytes(data)
        return weights.read(path)


@contextmanager
def at_most(memory: int) -> Iterator[None]:
    """Check that what is done takes at most `memory` bytes at a time."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < memory
    finally:
        tracemalloc.stop()


def refused(data: bytes, message: str = "", memory: int = 4 * MEGABYTE) -> None:
    """Check that reading raises a ValueError that names the file, within `memory` bytes."""
    with at_most(memory + 10 * len(data)):
        with pytest.raises(ValueError, match=f"(?s)weights: .*{message}"):
            read(data)
