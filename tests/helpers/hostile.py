"""What tests of hostile weight files share."""

from __future__ import annotations

import tempfile
import tracemalloc
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


def refused(data: bytes, message: str = "", memory: int = 4 * MEGABYTE) -> None:
    """Check that reading raises a ValueError that names the file, within `memory` bytes."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=f"(?s)weights: .*{message}"):
            read(data)
        assert tracemalloc.get_traced_memory()[1] < memory + 10 * len(data)
    finally:
        tracemalloc.stop()
