"""Write arrays as .npz and .pth files, as the training frameworks save them."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch_files

Arrays = dict[str, np.ndarray]


def npz(arrays: Mapping[str, Any], compressed: bool = False) -> bytes:
    """An .npz file."""
    out = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(out, **arrays)
    return out.getvalue()


def pth(arrays: Mapping[str, np.ndarray]) -> bytes:
    """A .pth file of the legacy format."""
    kinds = {np.dtype(np.float32): "Float", np.dtype(np.int64): "Long", np.dtype(float): "Double"}
    tensors = OrderedDict(
        (name, torch_files.full(kinds[array.dtype], str(key), array))
        for key, (name, array) in enumerate(arrays.items())
    )
    return torch_files.legacy(tensors)
