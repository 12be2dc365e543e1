"""Files that are no network, or not the one that they seem to be."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_files import npz, pth
from hostile import at_most
from saved_networks import NETWORKS, Saved

from dsconv.files.load import load

ARRAYS = [  # one of each kind of layer, by network
    ("mobilenet_v1", "MobilenetV1/Conv2d_0/weights", "conv0/weight"),
    ("mobilenet_v1", "MobilenetV1/Conv2d_7_depthwise/depthwise_weights", "block7/depthwise/weight"),
    ("mobilenet_v1", "MobilenetV1/Conv2d_5_pointwise/BatchNorm/beta", "block5/pointwise/bn/beta"),
    ("mobilenet_v1", "MobilenetV1/Conv2d_13_pointwise/weights", "block13/pointwise/weight"),
    ("mobilenet_v1", "MobilenetV1/Logits/Conv2d_1c_1x1/weights", "logits/weight"),
    ("mobilenet_v1", "MobilenetV1/Logits/Conv2d_1c_1x1/biases", "logits/bias"),
    ("mobilenet_v2", "features.0.0.weight", "conv0/weight"),
    ("mobilenet_v2", "features.1.conv.1.weight", "block1/project/weight"),
    ("mobilenet_v2", "features.9.conv.1.0.weight", "block9/depthwise/weight"),
    ("mobilenet_v2", "features.17.conv.2.weight", "block17/project/weight"),
    ("mobilenet_v2", "features.17.conv.3.running_var", "block17/project/bn/variance"),
    ("mobilenet_v2", "classifier.1.weight", "logits/weight"),
    ("mobilenet_v2", "classifier.1.bias", "logits/bias"),
]


@pytest.mark.parametrize(("network", "array"), [a[:2] for a in ARRAYS])
def test_an_array_is_missing(tmp_path: Path, network: str, array: str) -> None:
    saved = Saved(network, 0.35)
    del saved.arrays[array]
    with pytest.raises(ValueError, match=f"weights of a network: .*{array}"):
        saved.load(tmp_path)


@pytest.mark.parametrize("network", NETWORKS)
def test_arrays_are_left_over(tmp_path: Path, network: str) -> None:
    saved = Saved(network, 0.35)
    saved.arrays["optimizer/momentum"] = np.zeros(3, np.float32)
    with pytest.raises(
        ValueError,
        match=r"weights of a network: .*nearest is MobileNetV[12] of .*1 left over \('optimizer/momentum'\)",
    ):
        saved.load(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a[..., :-1],
        lambda a: np.concatenate([a, a], axis=-1),
        lambda a: a[np.newaxis],
        lambda a: a.ravel()[0],
        lambda a: a[:0],
    ],
    ids=["less", "twice", "another axis", "a number", "nothing"],
)
@pytest.mark.parametrize(("network", "array", "ours"), ARRAYS)
def test_wrong_shapes(tmp_path: Path, network: str, array: str, ours: str, change: Any) -> None:
    """Check that it is named, or an array that contradicts it, which gave width or classes."""
    saved = Saved(network, 0.35)
    saved.arrays[array] = np.asarray(change(saved.arrays[array]))
    decides = array.endswith((".17.conv.2.weight", "13_pointwise/weights", "biases", "1.bias"))
    named = "" if decides else f"'({array}|{ours})'"
    with pytest.raises(ValueError, match=f"{named}.*(shape|must be|above 0|at least)"):
        saved.load(tmp_path)


@pytest.mark.parametrize(("network", "array"), [a[:2] for a in ARRAYS])
def test_an_array_has_the_wrong_dtype(tmp_path: Path, network: str, array: str) -> None:
    saved = Saved(network, 0.35)
    saved.arrays[array] = saved.arrays[array].astype(np.float64)
    with pytest.raises(TypeError, match=f"network: .*'{array}' is float64; .* float32"):
        saved.load(tmp_path)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_width_beyond_all_memory(tmp_path: Path, network: str) -> None:
    """Give an array without values many channels: the others speak against them."""
    saved = Saved(network, 0.35)
    if network == "mobilenet_v1":
        decides, shape = "MobilenetV1/Conv2d_13_pointwise/weights", (1, 1, 0, 2**40)
    else:
        decides, shape = "features.17.conv.2.weight", (2**40, 0, 1, 1)
    saved.arrays[decides] = np.empty(shape, np.float32)
    with pytest.raises(ValueError, match=r"array '.*' has the shape \(.*1099511627776.*\)"):
        saved.load(tmp_path)


def test_widths_that_nothing_pays_for(tmp_path: Path) -> None:
    """Let arrays without values agree on 32 times the channels: gigabytes, if believed."""
    saved = Saved("mobilenet_v1", 1.0)
    for name, array in saved.arrays.items():
        shape = tuple(n if n in (1, 3, 6) else 32 * n for n in array.shape)
        saved.arrays[name] = np.empty((*shape[:-2], 0, shape[-1])[-len(shape) :], np.float32)
    with at_most(2**26), pytest.raises(ValueError, match="array '.*' has the shape"):
        saved.load(tmp_path)


@pytest.mark.parametrize("share", [0.001, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("network", NETWORKS)
def test_a_truncated_file(tmp_path: Path, network: str, share: float) -> None:
    saved = Saved(network, 0.25)
    data = saved.write(saved.arrays)
    path = tmp_path / "truncated"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ValueError, match="truncated: "):
        load(path, resolution=32)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"layer,weight\nconv0,0.5\n", "unknown format"),
        (pickle.dumps({"weights": [1, 2]}), "the file is a pickle, but not a PyTorch checkpoint"),
        (npz({}), r"no known network has these arrays \(there are none\)"),
        (npz({"weight": np.zeros(3)}), "no known network has these arrays .'weight'"),
        (pth({"weight": np.zeros(3)}), "no known network has these arrays .'weight'"),
    ],
    ids=["empty", "text", "pickle", "no arrays", "another npz", "another pth"],
)
def test_files_of_no_network(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "something"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"something: {message}"):
        load(path)


def test_no_path_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=tmp_path.name):
        load(tmp_path)
    with pytest.raises(TypeError):
        load(3.5)  # type: ignore[arg-type]
