"""Write arrays as .npz and .pth files, as the training frameworks save them."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch_files
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

Arrays = dict[str, np.ndarray]
DTYPES = ["<f4", ">f4", "<f8", "<f2", "<i8", ">i4", "<i2", "i1", "<u8", "<u4", ">u2", "u1", "?"]


@st.composite
def some_arrays(draw: Any) -> np.ndarray:
    """Draw an array of any dtype that all formats have, also empty or without axes."""
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    return draw(hnp.arrays(np.dtype(draw(st.sampled_from(DTYPES))), shape))


def npz(arrays: Mapping[str, Any], compressed: bool = False) -> bytes:
    out = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(out, **arrays)
    return out.getvalue()


def pth(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Write a .pth file of the legacy format."""
    kinds = {np.dtype(np.float32): "Float", np.dtype(np.int64): "Long", np.dtype(float): "Double"}
    tensors = OrderedDict(
        (name, torch_files.full(kinds[array.dtype], str(key), array))
        for key, (name, array) in enumerate(arrays.items())
    )
    return torch_files.legacy(tensors)
